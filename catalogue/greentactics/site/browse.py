"""A page for each term with the tactics that carry it, the glossary, and the page to browse by all terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from greentactics.evidence.level import Level
from greentactics.evidence.tactic import Tactic, effects_by_direction
from greentactics.evidence.terms import FURTHER, VOCABULARIES, WAYS, TermPage
from greentactics.models.vocabulary import Direction, Kind, Quality, Stage, Term
from greentactics.text.escaping import text_to_html


@dataclass(frozen=True)
class MatrixField:
    """One field of the matrix."""

    quality: Quality
    """What gets better."""
    stage: Stage
    """Where the decision is taken."""
    count: int
    """How many tactics of advice do so."""

    @property
    def query(self) -> str:
        """What "Find a tactic" is asked to show these tactics, and no others."""
        return f"?improves={self.quality}&stages={self.stage}"

    @property
    def shade(self) -> int:
        """How dark the field is drawn, from 1 to 4: one more for each doubling of the count."""
        return min(4, self.count.bit_length())


def matrix_rows(tactics: Iterable[Tactic]) -> list[tuple[Quality, tuple[MatrixField, ...]]]:
    """Return a row for each quality that some tactic improves, with a field for each stage.

    Habits to avoid are left out, as on the page that the fields lead to.
    """
    counts = _counts(tactics)
    return [
        (quality, tuple(MatrixField(quality, stage, counts[quality, stage]) for stage in Stage))
        for quality in Quality
        if any(counts[quality, stage] for stage in Stage)
    ]


def not_improved(tactics: Iterable[Tactic]) -> list[Quality]:
    """Return the qualities that no tactic improves."""
    improved = {quality for quality, _ in matrix_rows(tactics)}
    return [quality for quality in Quality if quality not in improved]


def _counts(tactics: Iterable[Tactic]) -> Counter[tuple[Quality, Stage]]:
    return Counter(
        (effect.quality, stage)
        for tactic in tactics
        if tactic.record.kind is not Kind.DARK
        for effect in tactic.record.effects
        if effect.direction is Direction.IMPROVES
        for stage in tactic.record.stages
    )


REPRODUCED = (Level.E3, Level.E4)
"""Levels that a result of ours is needed for."""
ROOT = "../../../"
"""Path from the page of a term to the root of the site."""


@dataclass(frozen=True)
class Cells:
    """The parts of a tactic's row, the same on the page of each term."""

    lead: Markup
    """Title and verdict."""
    effects: Markup
    """What gets better and what gets worse."""
    tail: Markup
    """Evidence and effort."""


def facet_pages(
    environment: Environment, pages: Sequence[TermPage], tactics: Iterable[Tactic]
) -> dict[str, str]:
    """Render the page of each term, the glossary, and the page to browse by all terms.

    Args:
        environment: The environment of the templates.
        pages: What is on the pages of the terms.
        tactics: All tactics.
    """
    known = list(tactics)
    cells = row_cells(environment, known)
    template = environment.get_template("term.md.j2")
    files = {
        f"{page.folder}/index.md": template.render(
            page=page,
            sections=term_rows(page, cells),
            links=selector_links(page),
            carriers=[tactic for found in page.sections.values() for tactic in by_evidence(found)],
            reproduced=reproduced_count(page),
            root=ROOT,
        )
        for page in pages
    }
    vocabularies = [
        (vocabulary, [page for page in pages if page.vocabulary is vocabulary]) for vocabulary in VOCABULARIES
    ]
    shared = {"vocabularies": vocabularies, "root": "../"}
    files["terms/index.md"] = environment.get_template("terms.md.j2").render(shared, further=FURTHER)
    files["browse/index.md"] = environment.get_template("browse.md.j2").render(
        shared,
        tactics=known,
        matrix=matrix_rows(known),
        stages=list(Stage),
        not_improved=not_improved(known),
        ways=_counts_by_way(pages),
    )
    return files


def row_cells(environment: Environment, tactics: Iterable[Tactic]) -> dict[str, Cells]:
    """Render the parts of each tactic's row once, as it stands on some fifteen pages; by identifier."""
    parts = environment.get_template("facet_row.html.j2").module
    return {
        tactic.record.id: Cells(
            parts.lead(tactic, ROOT),  # type: ignore[attr-defined]
            _labelled_cell("Effects", effects_sentence(tactic)),
            parts.tail(tactic, ROOT),  # type: ignore[attr-defined]
        )
        for tactic in tactics
    }


def term_rows(page: TermPage, cells: Mapping[str, Cells]) -> dict[str, list[Markup]]:
    """Return the rows of a term's page by the way it is carried, the best evidence first.

    The middle of a row says what the tactic improves and worsens; on the page of a quality it says why this
    one changes, and what the trade-off is.
    """
    rows = {}
    for way, tactics in page.sections.items():
        rows[way] = [
            cells[tactic.record.id].lead
            + (quality_reasons(tactic, page.term) if way else cells[tactic.record.id].effects)
            + cells[tactic.record.id].tail
            for tactic in by_evidence(tactics)
        ]
    return rows


def by_evidence(tactics: Iterable[Tactic]) -> list[Tactic]:
    """Return tactics with the best supported ones first, otherwise in the order given."""
    return sorted(tactics, key=lambda tactic: tactic.evidence.level, reverse=True)


def quality_reasons(tactic: Tactic, quality: Term) -> Markup:
    """Return the cell with the reasons that the record gives for what becomes of a quality."""
    effects = [effect.reason for effect in tactic.record.effects if effect.quality is quality]
    trade_offs = [entry.effect for entry in tactic.record.trade_offs if entry.quality is quality]
    return _labelled_cell("Why", " ".join(dict.fromkeys((*effects, *trade_offs))))


def effects_sentence(tactic: Tactic) -> str:
    """Return what gets better, what gets worse, and what does either on a condition."""
    found = effects_by_direction(tactic.record)
    told = (Direction.IMPROVES, Direction.WORSENS, Direction.DEPENDS)
    return " ".join(
        f"{direction.label}: {found[direction.value].lower()}."
        for direction in told
        if found[direction.value]
    )


def selector_links(page: TermPage) -> list[tuple[str, str]]:
    """Return the choices on the page "Find a tactic" that belong to a term: words, then query.

    A habit to avoid is no answer to what must improve, and the lowest level of evidence is no choice.
    """
    asked, word = page.vocabulary.asked_as, page.term.value
    if not isinstance(page.term, Quality):
        words = "those of this level or a higher one" if isinstance(page.term, Level) else "them"
        return [(words, f"?{asked}={word}")] if page.count and page.term is not Level.E0 else []
    links = []
    if any(tactic.record.kind is not Kind.DARK for tactic in page.sections.get(WAYS[Direction.IMPROVES], [])):
        links.append(("those that improve it", f"?{asked}={word}"))
    if WAYS[Direction.WORSENS] in page.sections and page.term is not Quality.FUNCTIONAL_CORRECTNESS:
        links.append(("all that do not worsen it", f"?keeps={word}"))
    return links


def reproduced_count(page: TermPage) -> int:
    """Return how many of the tactics on a term's page were reproduced here."""
    return sum(
        tactic.evidence.level in REPRODUCED for tactics in page.sections.values() for tactic in tactics
    )


def _counts_by_way(pages: Iterable[TermPage]) -> dict[str, str]:
    """Return by folder how many tactics do what to a quality, in a few words."""
    words = dict(zip(WAYS.values(), ("improve", "worsen", "either", "keep"), strict=True))
    return {
        page.folder: ", ".join(f"{len(found)} {words[way]}" for way, found in page.sections.items())
        for page in pages
        if isinstance(page.term, Quality)
    }


def _labelled_cell(label: str, text: str) -> Markup:
    return Markup('<td data-label="{}">{}</td>').format(label, text_to_html(text))
