"""Which entries and fields of the archive our records hold, on a few made-up entries."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from greentactics.contribute.importing.archive_coverage import cover
from greentactics.contribute.importing.archive_posts import read_posts
from greentactics.models.record import Alias, Change, Correction, Effect, Impact, SourceUse
from greentactics.models.vocabulary import Artifact, Direction, Group, Kind, Participant, Quality, TacticType
from greentactics.text.problems import UserError
from tests.examples.command_line import call
from tests.examples.records import PRUNING, ROOT, catalogue, claim, reference

CATEGORY = "green-ml-enabled-systems"
NAME = "2023-12-13-do-less"
FIELDS = {
    "layout": "tactic",
    "title": '"Do Less "',
    "tags": "machine-learning model-training measured",
    "t-sort": '"Awesome Tactic"',
    "t-type": '"Architectural Tactic"',
    "categories": CATEGORY,
    "t-description": '"Some words."',
    "t-participant": '"Data Scientist, Software Designer"',
    "t-artifact": '"ML Model"',
    "t-context": '"Machine Learning"',
    "t-feature": '"Inference"',
    "t-intent": '"Save."',
    "t-targetQA": '"Energy Efficiency"',
    "t-relatedQA": '"Accuracy, Performance" ',
    "t-measuredimpact": '"Some less."',
    "t-source": '"A. Author. 2020. One. [DOI](https://doi.org/10.1000/one); Two. [DOI](https://doi.org/10.1000/TWO)"',
    "t-source-doi": '"https://doi.org/doi.org/10.48550/arXiv.2001.00001"',
    "t-diagram": '"do-less.png"',
}
ALIAS = Alias(
    catalogue="aadt", title="Do Less", url=f"https://example.org/tactics/{NAME}", diagram="do-less.png"
)
RECORD = PRUNING.model_copy(
    update={
        "id": "do-less",
        "kind": Kind.AWESOME,
        "type": TacticType.ARCHITECTURAL_TACTIC,
        "group": Group.MODEL_TRAINING,
        "participant": (Participant.DATA_SCIENTIST, Participant.SOFTWARE_ARCHITECT),
        "artifact": (Artifact.MODEL,),
        "feature": "Inference",
        "target_quality": Quality.ENERGY_EFFICIENCY,
        "effects": tuple(
            Effect(quality=quality, direction=Direction.IMPROVES, reason="A reason.")
            for quality in (Quality.ENERGY_EFFICIENCY, Quality.FUNCTIONAL_CORRECTNESS, Quality.TIME_BEHAVIOUR)
        ),
        "impact": Impact(claims=(claim(),)),
        "sources": tuple(
            SourceUse(key=key, supports="it") for key in ("one-2020", "two-2020", "three-2020", "aadt-2023")
        ),
        "aliases": (ALIAS,),
        "history": (Change(date=PRUNING.created, change="First record."),),
    }
)


BIBLIOGRAPHY = {
    "one-2020": reference(doi="10.1000/ONE"),
    "two-2020": reference(doi="10.1000/two"),
    "three-2020": reference(arxiv="2001.00001v2"),
    "aadt-2023": reference(url="https://example.org"),
}


def write_post(folder: Path, name: str = NAME, **changes: str | None) -> None:
    """Write an entry; underscores in names stand for hyphens, None leaves a field out."""
    given = {key.replace("_", "-"): value for key, value in changes.items()}
    lines = [f"{key}: {value}" for key, value in (FIELDS | given).items() if value is not None]
    posts = folder / "_posts" / CATEGORY
    posts.mkdir(parents=True, exist_ok=True)
    (posts / f"{name}.md").write_text("\n".join(["---", *lines, "---"]), encoding="utf-8")


def made(*records):
    return dataclasses.replace(catalogue(*records), bibliography=BIBLIOGRAPHY)


def covered(folder: Path, *records):
    (entry,) = cover(read_posts(folder, CATEGORY), made(*records))
    return entry


def changed(**changes):
    return RECORD.model_copy(update=changes)


def corrected(field: str, catalogue_name: str = "aadt"):
    correction = Correction(catalogue=catalogue_name, field=field, theirs="a", ours="b", reason="c")
    first = RECORD.history[0].model_copy(update={"corrections": (correction,)})
    return {"history": (first,)}


def test_an_entry_that_is_held_whole(tmp_path) -> None:
    write_post(tmp_path)
    entry = covered(tmp_path, RECORD)
    assert (entry.held_by, entry.missing, entry.not_understood) == (("do-less",), (), ())
    assert entry.post.title == "Do Less"


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"participant": (Participant.DATA_SCIENTIST,)}, "t-participant"),
        ({"artifact": (Artifact.DATA,)}, "t-artifact"),
        ({"feature": None}, "t-feature"),
        ({"target_quality": Quality.CAPACITY}, "t-targetQA"),
        ({"effects": RECORD.effects[:2]}, "t-relatedQA"),
        ({"impact": Impact()}, "t-measuredimpact"),
        ({"group": Group.DEPLOYMENT}, "tags"),
        ({"kind": Kind.DARK}, "t-sort"),
        ({"type": TacticType.SOFTWARE_PRACTICE}, "t-type"),
        ({"aliases": (ALIAS.model_copy(update={"title": "Do less"}),)}, "title"),
        ({"aliases": (ALIAS.model_copy(update={"diagram": None}),)}, "t-diagram"),
        ({"aliases": (ALIAS.model_copy(update={"url": "https://example.org/other"}),)}, "address"),
        ({"sources": RECORD.sources[1:]}, "DOI 10.1000/one"),
        ({"sources": RECORD.sources[::2]}, "DOI 10.1000/TWO"),
        ({"sources": RECORD.sources[:2]}, "DOI 10.48550/arXiv.2001.00001"),
        ({"sources": RECORD.sources[1:], **corrected("resource utilization")}, "DOI 10.1000/one"),
    ],
)
def test_each_field_that_a_record_does_not_hold_is_named(tmp_path, changes, missing) -> None:
    write_post(tmp_path)
    assert covered(tmp_path, changed(**changes)).missing == (missing,)


@pytest.mark.parametrize(
    ("fields", "changes", "missing"),
    [
        ({"t_source": '"A. Author. 2020."', "t_source_doi": "NA"}, {"sources": RECORD.sources[3:]},
         ("t-source",)),
        ({"t_feature": "", "t_measuredimpact": "NA", "t_relatedQA": None},
         {"feature": None, "impact": Impact()}, ()),
        ({"t_diagram": '""'}, {"aliases": (ALIAS.model_copy(update={"diagram": None}),)}, ()),
    ],
    ids=["the archive itself is no source", "nothing needs no place", "nor does no diagram"],
)  # fmt: skip
def test_what_an_entry_says_decides_what_is_missing(tmp_path, fields, changes, missing) -> None:
    write_post(tmp_path, **fields)
    assert covered(tmp_path, changed(**changes)).missing == missing


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"artifact": (Artifact.DATA,)}, "artefact"),
        ({"sources": RECORD.sources[2:]}, "second DOI"),
        ({"sources": RECORD.sources[2:]}, "Sources"),
        ({"target_quality": Quality.CAPACITY}, "target quality"),
    ],
)
def test_what_the_history_corrects_is_held(tmp_path, changes, field) -> None:
    write_post(tmp_path)
    assert covered(tmp_path, changed(**changes, **corrected(field))).missing == ()
    assert covered(tmp_path, changed(**changes, **corrected(field, "another"))).missing != ()


def test_two_records_may_hold_one_entry_together(tmp_path) -> None:
    write_post(tmp_path)
    one = changed(feature=None)
    other = changed(id="other", artifact=(Artifact.DATA,))
    entry = covered(tmp_path, one, other)
    assert (entry.held_by, entry.missing) == (("do-less", "other"), ())


def test_what_is_not_the_archive_is_refused(tmp_path) -> None:
    write_post(tmp_path)
    with pytest.raises(UserError, match=f"expected entries in _posts/cloud/; _posts/ holds {CATEGORY}"):
        read_posts(tmp_path, "cloud")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command on a made-up archive of two entries, one of them held."""
    write_post(tmp_path)
    write_post(tmp_path, "2023-12-13-do-more", title='"Do More"')
    monkeypatch.delenv("GREENTACTICS_ARCHIVE", raising=False)

    def invoke(*arguments: str, records=(RECORD,)):
        monkeypatch.setattr("greentactics.cli.coverage.load_catalogue", lambda root: made(*records))
        return call(None, "coverage", "aadt", *arguments)

    return invoke


def test_the_table_ends_with_the_sum(run, tmp_path) -> None:
    finished = run("--dir", str(tmp_path))
    assert finished.exit_code == 1
    assert "the whole entry" in finished.stdout
    assert finished.stdout.splitlines()[-1] == "1 of 2 entries held, 17 fields missing"
    more = ALIAS.model_copy(update={"title": "Do More", "url": "https://example.org/2023-12-13-do-more"})
    finished = run("--dir", str(tmp_path), records=(RECORD, changed(id="do-more", aliases=(more,))))
    assert finished.exit_code == 0
    assert finished.stdout.splitlines()[-1] == "2 of 2 entries held, 0 fields missing"


def test_a_clone_of_the_archive_is_read_too(run, tmp_path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "_posts").rename(tmp_path / "docs" / "_posts")
    assert "1 of 2 entries held" in run("--dir", str(tmp_path)).stdout


def test_words_not_understood_are_listed_and_fail(run, tmp_path) -> None:
    (tmp_path / "_posts" / CATEGORY / "2023-12-13-do-more.md").unlink()
    write_post(tmp_path, t_participant='"Data Scientist, Poet"')
    finished = run("--dir", str(tmp_path))
    assert finished.exit_code == 1
    assert f'not understood: {NAME}.md:9: t-participant: "Poet"' in finished.stdout


def test_json_has_one_entry_a_post(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_ARCHIVE", str(tmp_path))
    held, unheld = json.loads(run("--json").stdout)
    assert held == {
        "entry": NAME,
        "title": "Do Less",
        "ours": ["do-less"],
        "missing": [],
        "not_understood": [],
    }
    assert unheld["ours"] == []
    assert "t-intent" in unheld["missing"]


def test_without_a_folder_the_command_says_how_to_get_one(run) -> None:
    finished = run()
    assert finished.exit_code == 2
    assert "--dir or $GREENTACTICS_ARCHIVE" in finished.stderr
    assert "git clone https://github.com/S2-group/AwesomeAndDarkTactics" in finished.stderr


@pytest.mark.skipif("GREENTACTICS_ARCHIVE" not in os.environ, reason="needs GREENTACTICS_ARCHIVE")
def test_our_records_hold_the_whole_category() -> None:
    finished = call(ROOT, "coverage", "aadt")
    assert finished.stdout.splitlines()[-1] == "30 of 30 entries held, 0 fields missing", finished.output
    assert finished.exit_code == 0
