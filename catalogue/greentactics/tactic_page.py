"""What the page of one tactic is filled with."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greentactics.bibliography import Reference
from greentactics.certainty_rows import certainty_rows
from greentactics.claims import claim_figure, direction_word
from greentactics.details_tables import detail_tables
from greentactics.escaping import listing_to_html, paragraphs, safe_address
from greentactics.figures_flow import flow
from greentactics.figures_layers import layer_figures
from greentactics.impact_rows import source_number
from greentactics.impact_views import full_impact, headline_impact, rivals_table
from greentactics.latency_rows import timed_view
from greentactics.listings import highlighted, key_lines, usage
from greentactics.loading import Catalogue
from greentactics.reached_code import PACKAGE
from greentactics.recipe_files import archive_path, archived_files, packed
from greentactics.relation_graph import Tie
from greentactics.rival_rows import rival_rows
from greentactics.run_views import RunView, run_views
from greentactics.schema import Record
from greentactics.tactic import Tactic, effects_by_direction
from greentactics.verdict import headline_results, verdict_output
from greentactics.vocabulary import Kind
from greentactics.wording import (
    duration,
    sentence,
    stored_line,
    typographic,
)


def page_context(tactic: Tactic, catalogue: Catalogue, ties: Iterable[Tie]) -> dict[str, Any]:
    """Return the values for the templates of a tactic's pages; `ties` are its relations."""
    record = tactic.record
    runs = run_views(record, tactic.committed, tactic.local, tactic.checksum)
    verdict_run = _verdict_run(record, runs)
    full, rivals = full_impact(record, runs), rival_rows(record, runs)
    return {
        "tactic": tactic,
        "record": record,
        "successor": record.withdrawn and catalogue.records.get(record.withdrawn.successor or ""),
        "dark": record.kind is Kind.DARK,
        "verdict": sentence(tactic.verdict),
        "local_verdict": sentence(tactic.local_verdict) if tactic.local_verdict else None,
        "effects": effects_by_direction(record),
        "problem": paragraphs(record.problem),
        "solution": paragraphs(record.solution),
        "flow": flow(record.steps, "flow", f"How it works: {record.title}") if record.steps else None,
        "claims": _claim_rows(record),
        "runs": runs,
        "full": full,
        "headline": headline_impact(record, full, verdict_run),
        "rivals": rivals,
        "rivals_table": rivals_table(record, full, rivals, verdict_run),
        "details": detail_tables(verdict_run.results) if verdict_run else [],
        "energy_figures": layer_figures(verdict_run.results) if verdict_run else [],
        "certainty": certainty_rows(record, verdict_run),
        "timed": timed_view(runs, catalogue.timing_sha256),
        "relations": relation_groups(ties),
        "sources": source_entries(record, catalogue.bibliography),
        "aliases": [(alias, safe_address(alias.url)) for alias in record.aliases],
        "source_number": lambda key: source_number(record, key),
        "paragraphs": paragraphs,
        **_recipe_context(tactic, catalogue, runs),
    }


def _recipe_context(tactic: Tactic, catalogue: Catalogue, runs: Sequence[RunView]) -> dict[str, Any]:
    """Return what the pages show of the recipe: commands with their output, key lines, the whole file."""
    record = tactic.record
    source = catalogue.recipes.get(record.id)
    if source is None:
        return {"source": None}
    marked, used = key_lines(source.text), usage(source.text, record.module, catalogue.modules)
    archived = archived_files(record.id, catalogue)
    lines = verdict_output(record, tactic.committed, tactic.local, tactic.checksum)
    if runs and not runs[0].local:
        path = Path(PACKAGE, "results", record.id, f"{runs[0].results.device_slug}.json")
        lines = (stored_line(path, runs[0].results), *lines)
    return {
        "source": source,
        "times": expected_times(runs),
        "output": listing_to_html("\n".join(lines)),
        "key_lines": highlighted(marked) if marked else None,
        "usage": used,
        "usage_lines": highlighted(used.text) if used else None,
        "archive": archive_path(record.id) if archived else None,
        "archive_size": f"{len(archived)} files, {len(packed(archived)) / 1000:.0f} kB",
        "listing": highlighted(source.text),
        "line_count": source.text.count("\n"),
    }


def _claim_rows(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "claim": claim,
            "figure": typographic(f"{claim_figure(claim)}, {direction_word(claim)}"),
            "number": source_number(record, claim.source),
        }
        for claim in record.impact.claims
    ]


def _verdict_run(record: Record, runs: Sequence[RunView]) -> RunView | None:
    """Return the run whose details are shown: the one the verdict rests on, or else one of this machine."""
    fresh = [run for run in runs if not run.stale]
    chosen = [run for run in fresh if not run.local] or fresh
    shown = headline_results(record, [run.results for run in chosen])
    return next((run for run in chosen if run.results is shown), None)


def expected_times(runs: Sequence[RunView]) -> dict[str, str] | None:
    """Return how long a whole measuring run and one arm took, on the first run shown; None without runs."""
    if not runs:
        return None
    results = runs[0].results
    seconds = [repeat.duration_s for repeat in results.repeats]
    return {
        "total": duration(sum(seconds)),
        "arm": duration(statistics.median(seconds)),
        "repeats": str(len(seconds)),
        "seeds": str(len(results.seeds)),
        "device": results.device.name,
        "cores": str(results.device.cores),
        "threads": str(results.threads),
        "data": results.data.name,
        "memory": f"{max(repeat.peak_memory_bytes for repeat in results.repeats) / 2**30:.1f} GiB",
    }


def relation_groups(ties: Iterable[Tie]) -> dict[str, list[dict[str, str]]]:
    """Return a tactic's relations by label, in the order given."""
    found: dict[str, list[dict[str, str]]] = {}
    for tie in ties:
        entry = {
            "id": tie.target.record.id,
            "title": tie.target.record.title,
            "reason": tie.reason,
            "verdict": sentence(tie.target.verdict),
        }
        found.setdefault(tie.label, []).append(entry)
    return found


def source_entries(record: Record, bibliography: Mapping[str, Reference]) -> list[dict[str, Any]]:
    """Return the numbered sources with their links."""
    return [
        {
            "use": use,
            "reference": reference,
            "authors": _authors(reference),
            "link": safe_address(reference.link),
            "link_text": f"doi:{reference.doi}"
            if reference.doi
            else f"arXiv:{reference.arxiv}"
            if reference.arxiv
            else reference.link,
            "arxiv": f"https://arxiv.org/abs/{reference.arxiv}"
            if reference.arxiv and reference.doi
            else None,
        }
        for use in record.sources
        if (reference := bibliography.get(use.key)) is not None
    ]


def _authors(reference: Reference) -> str:
    names = [str(name) for name in reference.author]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
