"""Rendered files: each once, written to a folder and nowhere else."""

import pytest

from greentactics.site.pages import rendered_files, write_site
from greentactics.text.problems import UserError
from tests.examples.records import DARK, PRUNING, catalogue
from tests.examples.synthetic import results


@pytest.fixture
def static(tmp_path):
    (tmp_path / "static" / "assets").mkdir(parents=True)
    (tmp_path / "static" / "assets" / "site.css").write_text("a {}")
    return tmp_path / "static"


def test_no_file_is_rendered_twice() -> None:
    made = list(rendered_files(catalogue(PRUNING, DARK, results={PRUNING.id: (results(),)}), {}))
    assert len(made) > 50
    assert len(dict(made)) == len(made)


def test_wrong_addresses_are_told_before_anything_is_rendered() -> None:
    with pytest.raises(UserError, match="address"):
        rendered_files(catalogue(DARK), {}, "file:///etc")


def test_written_files_hold_the_hand_written_pages_too(static, tmp_path) -> None:
    out = tmp_path / "out"
    assert write_site(out, {"a/b.md": "text\n"}.items(), static) == 1
    assert (out / "assets" / "site.css").read_text() == "a {}"
    assert (out / "a" / "b.md").read_text() == "text\n"


def test_a_folder_with_files_is_written_to_on_demand_only_and_keeps_what_is_not_ours(
    static, tmp_path
) -> None:
    out = tmp_path / "out"
    write_site(out, {"a.md": "old\n", "b.md": "same\n"}.items(), static)
    (out / "own.txt").write_text("mine")
    before = (out / "b.md").stat().st_mtime_ns
    with pytest.raises(UserError, match=r"expected an empty folder, .*--replace"):
        write_site(out, {"a.md": "new\n", "b.md": "same\n"}.items(), static)
    assert (out / "a.md").read_text() == "old\n"
    write_site(out, {"a.md": "new\n", "b.md": "same\n"}.items(), static, replace=True)
    assert (out / "a.md").read_text() == "new\n"
    assert (out / "own.txt").read_text() == "mine"
    assert (out / "b.md").stat().st_mtime_ns == before


def test_nothing_is_written_among_the_hand_written_pages(static) -> None:
    for out in (static, static / "made"):
        with pytest.raises(UserError, match="expected a folder outside the hand-written pages"):
            write_site(out, {"a.md": "text\n"}.items(), static, replace=True)
    assert [path.name for path in static.iterdir()] == ["assets"]


@pytest.mark.parametrize("path", ["linked/a.md", "a.md", "../a.md"])
def test_nothing_is_written_outside_the_folder(static, tmp_path, path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "linked").symlink_to(elsewhere)
    (out / "a.md").symlink_to(elsewhere / "a.md")
    with pytest.raises(UserError, match="got a link that leads out; remove it"):
        write_site(out, {path: "text\n"}.items(), static, replace=True)
    assert not list(elsewhere.iterdir())
    assert not (out / "assets").exists()


def test_a_link_to_itself_is_no_folder_to_write_to(tmp_path) -> None:
    link = tmp_path / "loop"
    link.symlink_to("loop")
    with pytest.raises(UserError, match="got a link that leads to none"):
        write_site(link, [], tmp_path / "pages")
