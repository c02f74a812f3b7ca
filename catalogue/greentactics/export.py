"""Machine-readable forms: BibTeX of the sources, JSON of tactics and the index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from greentactics.bibliography import Reference
from greentactics.comparison import Estimate, NotComparable, absolute, compare
from greentactics.evidence import Evidence, objections, timing_is_stale
from greentactics.latency import PassesCompared, compare_passes, engines, timed_arms
from greentactics.results import Results
from greentactics.schema import Record

LICENCE = "CC-BY-4.0"
_BIBTEX_TYPES = {
    "article": "misc",
    "article-journal": "article",
    "paper-conference": "inproceedings",
    "book": "book",
    "chapter": "incollection",
    "report": "techreport",
    "thesis": "phdthesis",
}
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_VERBATIM = str.maketrans({"{": "%7B", "}": "%7D", "\\": "%5C"})


def bibtex_entry(key: str, reference: Reference) -> str:
    """Return one BibTeX entry in UTF-8; titles are braced, so that their capitals survive."""
    container = {"article-journal": "journal", "paper-conference": "booktitle", "chapter": "booktitle"}
    publisher = {"report": "institution", "thesis": "school"}.get(reference.type, "publisher")
    fields = {
        "author": " and ".join(_name(reference, index) for index in range(len(reference.author))),
        "title": f"{{{_escaped(reference.title)}}}",
        container.get(reference.type, "howpublished"): _escaped(reference.container_title),
        "year": str(reference.year),
        "volume": _escaped(reference.volume),
        "number": _escaped(reference.issue),
        "pages": _escaped(reference.page).replace("-", "--"),
        publisher: _escaped(reference.publisher),
        "doi": (reference.doi or "").translate(_VERBATIM),
        "eprint": reference.arxiv or "",
        "archiveprefix": "arXiv" if reference.arxiv else "",
        "url": (reference.url or "").translate(_VERBATIM),
        "note": _escaped(reference.note),
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{_BIBTEX_TYPES.get(reference.type, 'misc')}{{{key},\n{lines}}}\n"


def bibtex(references: Mapping[str, Reference], keys: Iterable[str] | None = None) -> str:
    """Return BibTeX of the named references, or of all of them, in the order given."""
    chosen = references if keys is None else [key for key in dict.fromkeys(keys) if key in references]
    return "\n".join(bibtex_entry(key, references[key]) for key in chosen)


def _name(reference: Reference, index: int) -> str:
    name = reference.author[index]
    if name.literal:
        return f"{{{_escaped(name.literal)}}}"
    return ", ".join(_escaped(part) for part in (name.family, name.given) if part)


def _escaped(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return "".join(_SPECIAL.get(sign, sign) for sign in flat)


def tactic_document(
    record: Record,
    evidence: Evidence,
    verdict: str,
    results: Iterable[Results],
    recipe_sha256: str | None,
    timing_sha256: str | None = None,
) -> dict[str, Any]:
    """Return a tactic as plain JSON values: the record as written, then what its results gave."""
    return {
        "record": record.model_dump(mode="json", exclude_none=True),
        "evidence": {
            "level": evidence.level.value,
            "meaning": evidence.level.definition,
            "contested": evidence.contested,
            "reasons": list(evidence.reasons),
        },
        "verdict": verdict,
        "results": [
            _results_summary(record, entry, recipe_sha256)
            | _timings_summary(entry, timing_is_stale(entry, timing_sha256))
            for entry in results
        ],
    }


def _results_summary(record: Record, results: Results, recipe_sha256: str | None) -> dict[str, Any]:
    return {
        "raw": f"results/{record.id}/{results.device_slug}.json",
        "preset": results.preset,
        "data": results.data.name,
        "device": results.device.name,
        "seeds": list(results.seeds),
        "not_counted_because": list(objections(results, recipe_sha256)),
        "comparisons": [
            comparison
            for metric in results.metrics
            for arm in results.arms[1:]
            if (comparison := _comparison(results, arm, metric)) is not None
        ],
    }


def _timings_summary(results: Results, stale: bool) -> dict[str, Any]:
    return {
        "latency_is_stale": stale,
        "latency": [
            _latency(compare_passes(results.timings, engine, arm), stale)
            for engine in engines(results.timings)
            for arm in timed_arms([entry for entry in results.timings if entry.engine == engine])
        ],
    }


def _latency(compared: PassesCompared, stale: bool) -> dict[str, Any]:
    return {
        "engine": compared.engine,
        "arm": compared.arm,
        "against_baseline": _estimate(compared.estimate),
        "baseline_against_itself": _estimate(compared.control),
        "difference_shown": compared.difference_shown and not stale,
        "baseline_ms": _rounded(compared.baseline),
        "treated_ms": _rounded(compared.treated),
    }


def _comparison(results: Results, arm: str, metric: str) -> dict[str, Any] | None:
    try:
        estimate = compare(results, arm, metric)
    except NotComparable:
        return None
    return {
        "metric": metric,
        "arm": arm,
        "provenance": results.metrics[metric].provenance,
        "against_baseline": _estimate(estimate),
        "baseline": _estimate(absolute(results, "baseline", metric)),
        "treated": _estimate(absolute(results, arm, metric)),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {
        "value": _rounded(estimate.value),
        "interval_95": None
        if estimate.low is None or estimate.high is None
        else [_rounded(estimate.low), _rounded(estimate.high)],
        "n": estimate.n,
        "unit": estimate.unit,
    }


def _rounded(value: float) -> float:
    """Keep seven significant digits, so that the bytes do not depend on the machine's last bit."""
    return float(f"{value:.7g}")


def json_text(value: object) -> str:
    """Return JSON with a final newline, the same bytes for the same value."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
