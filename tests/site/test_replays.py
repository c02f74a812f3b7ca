"""What others metered, on the page of a tactic, in its document and in its text."""

from __future__ import annotations

import dataclasses
import json

from greentactics.evidence.tactic import join
from greentactics.models.record import SourceUse
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, REAL, catalogue
from tests.examples.replays import CODE, replay
from tests.examples.synthetic import results

ID = PRUNING.id
CITED = SourceUse(key="the-ml-energy-initiative-2025", supports="the raw data of a replay")
RECORD = PRUNING.model_copy(update={"sources": (*PRUNING.sources, CITED)})
PROGRAM = "recipes/replays/consider_energy_aware_pruning.py"


def files(code: str = CODE, *committed) -> dict[str, str]:
    made = dataclasses.replace(
        catalogue(RECORD, DARK, results={ID: committed}),
        replays={ID: (replay(),)},
        replay_sha256={ID: code},
        modules={PROGRAM: "def replay(folder): ...\n"},
    )
    return render_site(made, {})


def test_a_section_with_source_figures_pairs_and_program() -> None:
    rendered = files()
    page = rendered[f"tactics/{ID}/index.md"]
    section = page[page.index("### Metered by others, recomputed here") : page.index("## Run it")]
    assert f'href="#source-{len(RECORD.sources)}"' in section
    assert "Provenance: metered, published data." in section
    assert "<td>2.0\u00d7 lower [2.0, 2.0] <small>GPU energy</small></td>" in section
    assert "<td>2.0\u00d7 to 2.0\u00d7 lower</td>" in section
    assert "<td>2 pairs of 2 models</td>" in section
    assert "&lt;3 series are left out" in section
    assert "stale" not in section
    raw = f"results/{ID}/replays/ml-energy.json"
    assert f'href="../../{raw}"' in section
    assert json.loads(rendered[raw])["comparisons"][0]["pairs"][0]["cluster"] == "a"
    assert f'href="../../{PROGRAM}"' in section
    assert rendered[PROGRAM].startswith("def replay")


def test_a_tactic_without_has_no_such_section() -> None:
    rendered = files()
    assert "Metered by others" not in rendered[f"tactics/{DARK.id}/index.md"]
    assert "Metered by others" not in rendered[f"api/v1/tactics/{DARK.id}.txt"]
    assert json.loads(rendered[f"api/v1/tactics/{DARK.id}.json"])["replays"] == []


def test_what_is_stale_says_so() -> None:
    rendered = files("f" * 64)
    page = rendered[f"tactics/{ID}/index.md"]
    assert "Stale: the program has changed since." in page
    assert '<tr class="gt-stale"><th scope="row">large' in page
    assert "(stale: the program has changed since)" in rendered[f"api/v1/tactics/{ID}.txt"]
    (document,) = json.loads(rendered[f"api/v1/tactics/{ID}.json"])["replays"]
    assert document["is_current"] is False


def test_the_document_has_the_figures_of_the_page() -> None:
    rendered = files()
    (document,) = json.loads(rendered[f"api/v1/tactics/{ID}.json"])["replays"]
    assert (document["source"], document["licence"]) == (CITED.key, "Apache-2.0")
    assert document["provenance"] == "metered, published data"
    (effect,) = document["effects"]
    assert effect["energy"] == {
        "value": 2.0, "interval_95": [2.0, 2.0], "n": 2, "unit": "times lower", "of_means": False
    }  # fmt: skip
    assert (effect["pairs"], effect["clusters"], effect["least"], effect["most"]) == (2, "models", 2.0, 2.0)
    assert "GPU energy 2.0x lower [2.0, 2.0]" in rendered[f"api/v1/tactics/{ID}.txt"]


def test_a_replay_decides_nothing() -> None:
    made = catalogue(RECORD, results={ID: (results(),)})
    with_replay = dataclasses.replace(made, replays={ID: (replay(),)})
    without, beside = (join(one, {})[ID] for one in (made, with_replay))
    assert beside.replays
    assert (beside.evidence, beside.verdict.line) == (without.evidence, without.verdict.line)


def test_those_of_the_catalogue_are_current() -> None:
    entries = [entry for tactic in join(REAL, {}).values() for entry in tactic.replays]
    assert {entry.replay.tactic for entry in entries} == set(REAL.replays)
    assert len(entries) == 4
    assert not [entry.replay.tactic for entry in entries if entry.against]
