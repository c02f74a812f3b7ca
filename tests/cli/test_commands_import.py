"""The commands that write drafts, and what `check` says about drafts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import Result

from greentactics.contribute.importing.drafts import ImportedDraft, draft_text
from tests.contribute.test_importing_patterns import PATTERN
from tests.examples.archive_entries import AWESOME, DARK
from tests.examples.command_line import call
from tests.examples.example_files import needs_any_name

NAME = "2023-01-02-skip-what-nobody-reads.md"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    (folder / "posts").mkdir(parents=True)
    (folder / "posts" / NAME).write_text(AWESOME, encoding="utf-8")
    (folder / "posts" / "2022-01-02-show.markdown").write_text(DARK, encoding="utf-8")
    (folder / "picture.png").write_bytes(b"x")
    return folder


def refusals(finished: Result) -> list[str]:
    """Return what a command says of files that it did not import."""
    return [line for line in finished.stderr.splitlines() if ": not carried over: " not in line]


def drafts(root: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((root / "drafts").glob("*"))}


def test_importing_twice_changes_nothing(root: Path, archive: Path) -> None:
    first = call(root, "import", "aadt", archive)
    assert first.exit_code == 0, first.output
    assert first.stdout.splitlines() == [
        "drafts/show-everything.yaml: written; 1 point to clarify",
        "drafts/skip-what-nobody-reads.yaml: written; 8 points to clarify",
        "2 in drafts/, 0 not imported",
    ]
    (lost,) = first.stderr.splitlines()
    assert lost.startswith("drafts/skip-what-nobody-reads.yaml: not carried over: ")
    assert 't-participant "Poet", t-artifact "some columns that are not needed any more"' in lost
    assert 'tags "shiny"' in lost
    written = drafts(root)
    assert list(written) == ["show-everything.yaml", "skip-what-nobody-reads.yaml"]
    second = call(root, "import", "aadt", archive)
    assert second.exit_code == 0
    assert "drafts/skip-what-nobody-reads.yaml: unchanged; 8 points" in second.stdout
    assert drafts(root) == written


def test_an_edited_draft_is_overwritten_only_when_asked_for(root: Path, archive: Path) -> None:
    call(root, "import", "aadt", archive)
    written = drafts(root)
    path = root / "drafts" / "skip-what-nobody-reads.yaml"
    path.write_text("title: My words\n", encoding="utf-8")
    refused = call(root, "import", "aadt", archive)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "drafts/skip-what-nobody-reads.yaml: expected no such file, or the text that is to be written, got "
        "another text; it was edited or made from something else, and stays as it is; --replace overwrites "
        "it\n"
    )
    assert path.read_text(encoding="utf-8") == "title: My words\n"
    assert (
        "drafts/skip-what-nobody-reads.yaml: replaced"
        in call(root, "import", "aadt", archive, "--replace").stdout
    )
    assert drafts(root) == written


def test_one_bad_file_does_not_stop_the_others(root: Path, archive: Path) -> None:
    (archive / "posts" / "again.md").write_text(AWESOME, encoding="utf-8")
    (archive / "posts" / "bad.md").write_text("x", encoding="utf-8")
    (archive / "posts" / "latin.md").write_bytes(b"\xff")
    finished = call(root, "import", "aadt", archive)
    assert finished.exit_code == 1
    assert finished.stdout.splitlines()[-1] == "2 in drafts/, 3 not imported"
    again, bad, latin = refusals(finished)
    assert "again.md: expected an id of its own, got skip-what-nobody-reads, which" in again
    assert bad.startswith("posts/bad.md:1: expected front matter")
    assert latin.startswith("posts/latin.md:1:1: expected UTF-8, got byte 0xff")


@needs_any_name
def test_names_that_no_terminal_shows_are_escaped(root: Path, archive: Path) -> None:
    (archive / "posts" / NAME).rename(archive / "posts" / "\udcff\u202e.md")
    (archive / "posts" / "\nbad.md").write_text("x", encoding="utf-8")
    (archive / "posts" / "\udcfe.md").write_text(AWESOME, encoding="utf-8")
    finished = call(root, "import", "aadt", archive)
    assert finished.exit_code == 1
    bad, again = refusals(finished)
    assert bad.startswith("posts/\\nbad.md:1: expected front matter")
    assert r"\udcff\u202e.md: expected an id of its own, got skip-what-nobody-reads" in again
    assert r"# Made from \udcfe.md." in drafts(root)["skip-what-nobody-reads.yaml"]


def test_links_out_of_the_folder_are_not_followed(root: Path, archive: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text(AWESOME, encoding="utf-8")
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "out.md").symlink_to(secret)
    (folder / "folder").symlink_to(archive)
    finished = call(root, "import", "aadt", folder)
    assert finished.exit_code == 1
    assert (
        "out.md:1:1: expected a file inside the catalogue, got a link to a place outside" in finished.stderr
    )
    assert not (root / "drafts").exists()


def test_drafts_are_not_written_through_links(root: Path, archive: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "drafts").symlink_to(outside)
    finished = call(root, "import", "aadt", archive)
    assert finished.exit_code == 1
    assert "drafts: expected a folder, got a link or a file; remove it" in finished.stderr
    (root / "drafts").unlink()
    (root / "drafts").mkdir()
    target = outside / "target.yaml"
    target.write_text("x: y\n", encoding="utf-8")
    (root / "drafts" / "show-everything.yaml").symlink_to(target)
    call(root, "import", "aadt", archive, "--replace")
    assert target.read_text(encoding="utf-8") == "x: y\n"
    assert not (root / "drafts" / "show-everything.yaml").is_symlink()


def test_a_path_without_files_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    finished = call(root, "import", "gsf", tmp_path / "empty")
    assert finished.exit_code == 1
    assert "empty: expected 1 to 2,000 files of text in it, got 0" in finished.stderr
    assert "expected a file of this name, got none" in call(root, "import", "gsf", tmp_path / "no.md").stderr


def test_patterns_are_written_by_the_same_means(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "send-fewer-words.md"
    path.write_text(PATTERN, encoding="utf-8")
    finished = call(root, "import", "gsf", path)
    assert finished.stdout.splitlines()[0] == "drafts/send-fewer-words.yaml: written; 4 points to clarify"
    assert finished.stderr == (
        'drafts/send-fewer-words.yaml: not carried over: version "1.0", submitted_by "somebody", '
        'tags "size:small"\n'
    )
    assert "  Solution: Say less.\n" in drafts(root)["send-fewer-words.yaml"]


def test_check_leaves_drafts_alone_until_it_is_asked(root: Path, archive: Path) -> None:
    call(root, "import", "aadt", archive)
    assert call(root, "check").stdout == "3 records, 1 reference, 1 result file: no problems\n"
    asked = call(root, "check", root / "drafts" / "show-everything.yaml")
    assert asked.exit_code == 1
    assert ":1: title: expected a value, got nothing; add `title:`" in asked.stdout
    assert asked.stdout.splitlines()[-1].startswith("1 record, 0 references, 0 result files: ")
    assert "quarantine" not in asked.stdout


def test_a_finished_record_may_wait_in_drafts(root: Path) -> None:
    text = (root / "tactics" / "base-awesome.yaml").read_text(encoding="utf-8")
    (root / "drafts").mkdir()
    text = text.replace("id: base-awesome", "id: another")
    draft = root / "drafts" / "another.yaml"
    draft.write_text(f"{text}quarantine: {{a: b}}\n", encoding="utf-8")
    assert call(root, "check", draft).stdout == "1 record, 0 references, 0 result files: no problems\n"
    draft.write_text(text.replace("smith-2020", "smith-2021"), encoding="utf-8")
    assert (
        'sources.0.key: expected a key of tactics/references.yaml, got "smith-2021"'
        in call(root, "check", draft).stdout
    )


def test_the_seam_needs_nothing_of_an_importer() -> None:
    text = draft_text(ImportedDraft({"id": "by-hand"}, {}, {}, {}, ()), "nowhere")
    assert text.endswith("\n\nid: by-hand\n")


@pytest.mark.parametrize("variable", ["GREENTACTICS_ARCHIVE", "GREENTACTICS_ARCHIVE_2025"])
def test_the_whole_archive_is_imported(root: Path, variable: str) -> None:
    if variable not in os.environ:
        pytest.skip(f"needs {variable}, a folder of the archive with _posts/")
    posts = Path(os.environ[variable], "_posts")
    count = len([*posts.glob("*/*.m*")])
    finished = call(root, "import", "aadt", posts)
    assert finished.stdout.splitlines()[-1] == f"{count} in drafts/, 0 not imported"
    assert len(drafts(root)) == count > 0
