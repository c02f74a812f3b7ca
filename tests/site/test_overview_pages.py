"""Pages over all tactics: corrections, relations, terms; and their traces on the page of a tactic."""

from __future__ import annotations

import re

import pytest

from greentactics.models.record import Change, Correction, Effect, Relation
from greentactics.models.vocabulary import Direction, EffortLevel, Quality, RelationType, Stage
from greentactics.site import pages
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, SPARSITY, catalogue

HOSTILE = '</td><script>alert(1)</script> ``` {{ 7 * 7 }} <!-- \u202e "'


def correction(field="DOI", **changes):
    values = {
        "catalogue": "aadt",
        "field": field,
        "theirs": "Theirs.",
        "ours": "Ours.",
        "reason": "Looked up.",
    }
    return Correction(**(values | changes))


def with_corrections(record, *corrections):
    history = (Change(date=record.created, change="First record.", corrections=corrections),)
    return record.model_copy(update={"history": history})


def plain(record, **changes):
    bare = {"relations": (), "history": (Change(date=record.created, change="First record."),)}
    return record.model_copy(update=bare | changes)


def site(*records):
    return render_site(catalogue(*records), {})


def test_corrections_are_listed_by_tactic_with_count_and_date() -> None:
    one = with_corrections(PRUNING, correction(), correction("impact", catalogue="other"))
    text = site(one, with_corrections(SPARSITY, correction()), plain(DARK))["corrections/index.md"]
    assert "3 corrections in 2 tactics." in text
    assert text.count(f'href="../tactics/{PRUNING.id}/index.html"') == 1
    assert f"<time>{PRUNING.created}</time>" in text
    assert DARK.id not in text
    assert ">impact (other)</th><td>Theirs.</td><td>Ours.</td><td>Looked up.</td>" in text


def test_one_correction_and_none() -> None:
    assert "1 correction in 1 tactic." in site(with_corrections(DARK, correction()))["corrections/index.md"]
    empty = site(plain(DARK))["corrections/index.md"]
    assert "None yet." in empty
    assert "<table" not in empty


def test_the_history_of_a_tactic_links_its_corrections() -> None:
    files = site(with_corrections(PRUNING, correction(), correction()), plain(DARK))
    link = f'<a href="../../corrections/index.html#{PRUNING.id}">2 corrections to other catalogues</a>'
    assert link in files[f"tactics/{PRUNING.id}/index.md"].split('<ul class="gt-history">')[1]
    assert files["corrections/index.md"].count(f'id="{PRUNING.id}"') == 1
    assert "corrections/" not in files[f"tactics/{DARK.id}/index.md"].split('<ul class="gt-history">')[1]


def test_hostile_text_stays_text() -> None:
    tie = Relation(type=RelationType.REQUIRES, target=DARK.id, reason=HOSTILE)
    hostile = correction(HOSTILE, theirs=HOSTILE, ours=HOSTILE, reason=HOSTILE, catalogue=HOSTILE)
    record = with_corrections(PRUNING, hostile).model_copy(
        update={"title": HOSTILE[:80], "relations": (tie,)}
    )
    files = site(record, plain(DARK))
    for path, text in files.items():
        if path.startswith(("browse/", "corrections/", "overview/", "relations/", "terms/")):
            text = re.sub(r'<script type="application/ld\+json">[^<>`]*</script>', "", text)
            assert "<script" not in text
            assert "```" not in text
            assert "{{" not in text
            assert "\u202e" not in text
    assert "&lt;script&gt;" in files["corrections/index.md"]


@pytest.fixture
def related():
    ties = (
        Relation(type=RelationType.REQUIRES, target=SPARSITY.id, reason="One reason."),
        Relation(type=RelationType.COMBINES_WITH, target=DARK.id, reason="Another reason."),
    )
    return plain(PRUNING, relations=ties), plain(SPARSITY), plain(DARK)


def test_relations_are_listed_at_both_tactics_with_their_reason(related) -> None:
    text = site(*related)["relations/index.md"]
    assert "2 relations between 3 tactics." in text
    listed = text.split("## All relations")[1]
    assert listed.count("One reason.") == listed.count("Another reason.") == 2
    assert f'<li>Required by <a href="../tactics/{PRUNING.id}/index.html">' in listed
    assert text.count("<svg") == 1 + len(RelationType)


def test_too_many_tactics_are_listed_but_not_drawn(related, monkeypatch) -> None:
    monkeypatch.setattr(pages, "DRAWN_AT_MOST", 2)
    text = site(*related)["relations/index.md"]
    assert "<svg" not in text
    assert "too many tactics for one drawing" in text
    assert text.count("One reason.") == 2


def test_without_relations_there_is_no_drawing() -> None:
    text = site(plain(PRUNING))["relations/index.md"]
    assert "0 relations between 0 tactics." in text
    assert "None recorded." in text
    assert "<svg" not in text


def test_a_tactic_links_its_terms_and_they_link_back() -> None:
    record = plain(
        PRUNING,
        stages=(Stage.COMPRESSION,),
        effort=PRUNING.effort.model_copy(update={"level": EffortLevel.M}),
        effects=(Effect(quality=Quality.SAFETY, direction=Direction.NEUTRAL, reason="A reason."),),
    )
    files = site(record)
    text = files[f"tactics/{PRUNING.id}/index.md"]
    assert (
        '<dt>Leaves as it is</dt> <dd><a href="../../terms/quality/safety/index.html">Safety</a></dd>' in text
    )
    links = set(re.findall(r'href="\.\./\.\./(terms/[^"]+)index\.html"', text))
    assert {"terms/stage/compression/", "terms/effort/m/", "terms/quality/safety/"} <= links
    for link in links:
        assert f'href="../../../tactics/{PRUNING.id}/index.html"' in files[f"{link}index.md"]


def test_the_glossary_links_each_term_with_its_count() -> None:
    files = site(plain(PRUNING, stages=(Stage.COMPRESSION,)), plain(SPARSITY, stages=(Stage.COMPRESSION,)))
    text = files["terms/index.md"]
    assert re.search(r'href="\.\./terms/stage/compression/index\.html">.*<small>2&nbsp;tactics</small>', text)
    assert re.search(r"terms/stage/decommissioning/.*<small>no&nbsp;tactics</small>", text)
    assert "<code>conflicts_with</code>" in text
    linked = {f"terms/{path}/index.md" for path in re.findall(r'href="\.\./terms/(\w+/[\w-]+)/index', text)}
    assert linked == {path for path in files if path.startswith("terms/")} - {"terms/index.md"}


def test_a_term_without_tactics_says_so() -> None:
    assert "No tactic carries it yet." in site(plain(PRUNING))["terms/kind/dark/index.md"]
