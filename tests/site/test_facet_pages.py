"""Pages to browse by: rows of a term's page, links to the selector, the matrix of qualities and stages."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from greentactics.evidence.tactic import join
from greentactics.evidence.terms import VOCABULARIES, term_pages
from greentactics.models.record import Effect, TradeOff
from greentactics.models.vocabulary import Direction, Quality, Stage
from greentactics.site.browse import (
    MatrixField,
    by_evidence,
    effects_sentence,
    matrix_rows,
    not_improved,
    selector_links,
)
from greentactics.site.find import advised_improvements, questions, selector_entries
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, catalogue
from tests.examples.synthetic import results

TACTICS = list(join(REAL, {}).values())
PAGES = term_pages(TACTICS)
LINKS = [(page, query) for page in PAGES for _, query in selector_links(page)]
HOSTILE = '</td><script>alert(1)</script> ``` {{ 7 * 7 }} "'


def effect(quality: Quality, direction: Direction, reason: str = "A reason.") -> Effect:
    return Effect(quality=quality, direction=direction, reason=reason)


def site(*records, **committed):
    return render_site(catalogue(*records, results={PRUNING.id: (results(),)} if committed else {}), {})


@pytest.fixture(scope="module")
def made_up() -> dict[str, str]:
    worse = PRUNING.model_copy(
        update={
            "effects": (
                effect(Quality.ENERGY_EFFICIENCY, Direction.IMPROVES, "Fewer operations."),
                effect(Quality.SAFETY, Direction.WORSENS, HOSTILE),
                effect(Quality.CAPACITY, Direction.DEPENDS),
            ),
            "trade_offs": (TradeOff(quality=Quality.SAFETY, effect="It fails more often."),),
        }
    )
    return site(worse, SPARSITY, DARK, results=True)


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda vocabulary: vocabulary.name)
def test_each_vocabulary_leads_to_choices_of_the_selector(vocabulary) -> None:
    entries = selector_entries(TACTICS)
    choices = {question.name: dict(question.choices) for question in questions(entries)}
    queries = [query for page, query in LINKS if page.vocabulary is vocabulary]
    assert queries
    for query in queries:
        name, _, word = query.removeprefix("?").partition("=")
        assert name in (vocabulary.asked_as, "keeps")
        assert word in choices[name]


def test_a_field_of_the_matrix_counts_what_the_selector_then_shows() -> None:
    entries = selector_entries(TACTICS)
    fields = [field for _, row in matrix_rows(TACTICS) for field in row]
    assert Counter(field.count > 0 for field in fields).keys() == {True, False}
    for field in fields:
        shown = [
            entry.id
            for entry in entries
            if field.quality in advised_improvements(entry) and field.stage in entry.stages
        ]
        assert len(shown) == field.count


def test_qualities_are_in_the_matrix_or_named_as_missing() -> None:
    rows = [quality for quality, _ in matrix_rows(TACTICS)]
    assert sorted([*rows, *not_improved(TACTICS)]) == sorted(Quality)
    assert matrix_rows([]) == []


@pytest.mark.parametrize(("count", "shade"), [(1, 1), (2, 2), (3, 2), (4, 3), (8, 4), (500, 4)])
def test_a_field_is_darker_with_each_doubling(count, shade) -> None:
    field = MatrixField(Quality.SAFETY, Stage.DATA, count)
    assert field.shade == shade
    assert field.query == "?improves=safety&stages=data"


def test_the_matrix_links_its_numbers_and_invites_into_its_gaps(made_up) -> None:
    text = made_up["browse/index.md"]
    assert 'href="../find/index.html?improves=energy-efficiency&amp;stages=compression"' in text
    assert re.search(r'class="gt-field gt-gap" href="\.\./contributing/index\.html" tabindex="-1"', text)
    assert "Energy efficiency, data: none yet, add one" in text
    assert text.count('<th scope="col">') == 1 + len(Stage)


def test_the_page_to_browse_by_leads_to_every_term_with_its_count(made_up) -> None:
    text = made_up["browse/index.md"]
    linked = {f"terms/{path}/index.md" for path in re.findall(r'"\.\./terms/(\w+/[\w-]+)/index\.html"', text)}
    assert linked == {path for path in made_up if re.fullmatch(r"terms/.+/index\.md", path)}
    assert ">Compression</a> <small>2</small>" in text
    assert ">Safety</a> <small>1 worsen</small>" in text
    assert ">Decommissioning</a> <small>none yet</small>" in text
    assert "E3: reproduced or shown here</a> <small>1</small>" in text


def test_a_catalogue_without_advice_has_no_matrix() -> None:
    text = site(DARK)["browse/index.md"]
    assert "<table" not in text
    assert "No advice improves these yet" in text


def test_a_quality_says_why_it_changes_and_what_the_trade_off_is(made_up) -> None:
    text = made_up["terms/quality/safety/index.md"]
    assert "<h2>Worsen it <small>(1)</small></h2>" in text
    (why,) = re.findall(r'<td data-label="Why">(.*?)</td>', text)
    assert "&lt;script&gt;" in why
    assert why.endswith("It fails more often.")
    assert 'href="../../../find/index.html?keeps=safety">all that do not worsen it</a>' in text
    assert "?improves=safety" not in text


def test_a_term_has_rows_with_verdict_effects_and_counts(made_up) -> None:
    text = made_up["terms/stage/compression/index.md"]
    assert "2 tactics, 1 of them reproduced here." in text
    assert 'href="../../../find/index.html?stages=compression">them</a>' in text
    rows = re.findall(r'<tr><th scope="row">.*', text)
    assert [PRUNING.id in rows[0], SPARSITY.id in rows[1]] == [True, True]
    assert "Modelled energy 7.4\u00d7 lower" in rows[0]
    assert "Improves: energy efficiency. Worsens: safety. Depends: capacity." in rows[0]
    about = json.loads(re.findall(r"ld\+json\">(.*)</script>", text)[0])
    assert about["about"]["termCode"] == "compression"
    assert about["mainEntity"]["numberOfItems"] == 2


def test_a_level_of_evidence_leads_to_it_and_higher_ones(made_up) -> None:
    assert "?evidence=E3" in made_up["terms/evidence/e3/index.md"]
    assert "those of this level or a higher one" in made_up["terms/evidence/e3/index.md"]
    empty = made_up["terms/evidence/e0/index.md"]
    assert "find/index.html" not in empty
    assert '<a href="../../../contributing/index.html">Add one</a>' in empty


def test_the_best_evidence_comes_first() -> None:
    made = catalogue(DARK, PRUNING, SPARSITY, results={PRUNING.id: (results(),)})
    order = [tactic.evidence.level.value for tactic in by_evidence(join(made, {}).values())]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) > 1


def test_effects_that_leave_a_quality_alone_are_not_told() -> None:
    record = PRUNING.model_copy(update={"effects": (effect(Quality.SAFETY, Direction.NEUTRAL),)})
    (tactic,) = join(catalogue(record), {}).values()
    assert effects_sentence(tactic) == ""
