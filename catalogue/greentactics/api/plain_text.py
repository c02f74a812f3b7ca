"""Tactics and the overview `llms.txt` as plain text in Markdown (llmstxt.org).

The files end in `.txt`, as site generators take each `.md` for a page. A record's text cannot become markup:
what Markdown or HTML would interpret is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from greentactics.api.addresses import (
    ADDRESSES,
    CATALOGUE_DESCRIPTION,
    CATALOGUE_NAME,
    document_path,
    replay_path,
)
from greentactics.api.models import TacticDocument
from greentactics.evidence.claims import claim_figure, direction_word
from greentactics.evidence.comparison import NotComparable
from greentactics.evidence.replays import effect_lines
from greentactics.evidence.runs import TacticRun
from greentactics.evidence.tactic import Tactic
from greentactics.evidence.wording import estimate_phrase, tolerance_phrase, with_provenance
from greentactics.models.results import TACTIC
from greentactics.models.vocabulary import Kind
from greentactics.text.escaping import one_line, paragraphs

_INLINE = re.compile(r"[\\`*]|\](?=[(\[:]|$)|<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_BLOCK = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[#>]|~~~|[-+=]{2}|[-+]\s))")


class Plain(str):
    """Text that is Markdown already."""

    __slots__ = ()


def markdown(text: str) -> Plain:
    """Return text in one line that Markdown shows as it is."""
    escaped = _INLINE.sub(
        lambda found: "&lt;" if found[0] == "<" else f"\\{found[0]}", _ENTITY.sub("&amp;", one_line(text))
    )
    return Plain(_BLOCK.sub(r"\1\\", escaped))


def text_environment() -> Environment:
    """Return the environment of the text templates: strict, and everything escaped for Markdown."""
    environment = Environment(
        loader=PackageLoader("greentactics.api"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML; `finalize` escapes for Markdown
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        claim_figure=claim_figure, direction_word=direction_word, figures=figures, paragraphs=paragraphs
    )
    return environment


def tactic_text(environment: Environment, tactic: Tactic, document: TacticDocument, root: str) -> str:
    """Return one tactic as Markdown; `root` leads to the root of the site."""
    shown = document.reproduced
    run = next((entry for entry in document.results if shown and entry.run == shown.run), None)
    return environment.get_template("tactic.txt.j2").render(
        document=document,
        record=document.record,
        dark=document.record.kind is Kind.DARK,
        numbers={source.key: number for number, source in enumerate(document.sources, start=1)},
        run=run,
        shown=tactic.shown,
        tolerance=tactic.shown and tolerance_phrase(tactic.shown.tolerance_points, tactic.shown.quality),
        replays=tactic.replays,
        replay_path=replay_path,
        effect_lines=effect_lines,
        cost_label=shown and run and with_provenance(shown.label, run.metrics[shown.cost.metric]),
        root=Plain(root),
    )


def overview_text(environment: Environment, documents: Sequence[TacticDocument], root: str) -> str:
    """Return `llms.txt`: what the catalogue is, and a link with one line for each tactic and each table."""
    current = [entry for entry in documents if entry.record.withdrawn is None]
    return environment.get_template("llms.txt.j2").render(
        name=CATALOGUE_NAME,
        description=CATALOGUE_DESCRIPTION,
        sections=[
            (title, [entry for entry in current if entry.record.kind is kind])
            for title, kind in (("Tactics", Kind.AWESOME), ("Dark tactics: habits to avoid", Kind.DARK))
        ],
        addresses=[
            address for address in ADDRESSES if "{" not in address.path and address.path != "llms.txt"
        ],
        text_path=lambda document: document_path(document.id, "txt"),
        root=Plain(root),
    )


def figures(run: TacticRun, metric: str) -> str:
    """Return the tactic against the baseline in words, such as `7.4x lower [7.3, 7.5], n = 5`, or why not."""
    answer = run.compared(TACTIC, metric)
    if isinstance(answer, NotComparable):
        return f"no comparison: {answer}"
    return f"{estimate_phrase(answer)}, n = {answer.n}"


def _finalize(value: object) -> str:
    if value is None:
        raise ValueError("a template shows a value that is missing")
    return value if isinstance(value, Plain) else markdown(str(value))
