"""Numbers and estimates in words, with the digits that carry meaning."""

from __future__ import annotations

import re
from pathlib import Path

from greentactics.evidence.comparison import POINTS, TIMES_HIGHER, TIMES_LOWER, Estimate
from greentactics.models.record import Record
from greentactics.models.results import MetricInfo, Results

DASH = "\u2013"
"""What stands in a cell that has no value."""
_UNITS_IN_NAMES = frozenset({"s", "ms", "J", "W"})
_PROVENANCE_WORD = re.compile(
    r"^(?:(?:modell?ed|measured|metered|counted|simulated|estimated)\s+)+", re.IGNORECASE
)

_WORDS = {
    "macs": "MACs",
    "mac": "MAC",
    "cpu": "CPU time",
    "gpu": "GPU",
    "dram": "DRAM",
    "nonzero": "non-zero",
}


def times_phrase(estimate: Estimate) -> str:
    """Return a ratio so that its number is at least 1, such as `7.4x lower [7.0, 7.9]`, with its method."""
    value, low, high = estimate.value, estimate.low, estimate.high
    higher = estimate.unit == TIMES_HIGHER
    if value < 1:
        value, higher = 1 / value, not higher
        low, high = (None, None) if low is None or high is None else (1 / high, 1 / low)
    digits = ratio_digits(value)
    interval = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    method = " (ratio of means)" if estimate.of_means else ""
    return f"{value:,.{digits}f}x {'higher' if higher else 'lower'}{interval}{method}"


def ratio_digits(value: float) -> int:
    """Return decimals for a ratio: two near 1, one up to 100."""
    return 2 if value < 2 else 1 if value < 100 else 0


def points_phrase(estimate: Estimate) -> str:
    """Return a difference with its sign, such as `-0.5 points`; the interval stands apart."""
    return f"{signed(estimate.value, points_digits(estimate))} {points_word(estimate)}"


def points_word(estimate: Estimate) -> str:
    """Return what a difference is counted in."""
    return "points" if estimate.unit == POINTS else estimate.unit


def tolerance_phrase(points: float, quality: Estimate | None) -> str:
    """Return the loss of a quality that is acceptable, such as `1 point` or `5 hundredths of a nat`."""
    word = "points" if quality is None else points_word(quality)
    return f"{points:g} {'point' if (points, word) == (1, 'points') else word}"


def points_interval(estimate: Estimate) -> str:
    """Return the interval of a difference, such as ` [-0.7, -0.3]`; empty without one."""
    if estimate.low is None or estimate.high is None:
        return ""
    digits = points_digits(estimate)
    return f" [{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def points_digits(estimate: Estimate) -> int:
    """Return decimals for a difference: a second one where the interval is narrower than a tenth."""
    narrow = estimate.low is not None and estimate.high is not None and estimate.high - estimate.low < 0.2
    return 2 if narrow else 1


def estimate_phrase(estimate: Estimate) -> str:
    """Return any comparison with its interval."""
    if estimate.is_difference:
        return points_phrase(estimate) + points_interval(estimate)
    return times_phrase(estimate)


def includes_no_effect(estimate: Estimate) -> bool:
    """Tell whether the interval holds the value that means no difference, or is missing."""
    if estimate.low is None or estimate.high is None:
        return True
    neutral = 0.0 if estimate.is_difference else 1.0
    return estimate.low <= neutral <= estimate.high


def signed(value: float, digits: int) -> str:
    """Write a number with its sign; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def with_provenance(label: str, info: MetricInfo) -> str:
    """Return the label led by how the values came about, whatever the label said itself."""
    bare = _PROVENANCE_WORD.sub("", label)
    return bare if info.provenance == "counted" else f"{info.provenance} {bare}"


def plain_label(metric: str) -> str:
    """Return a metric's name as words: `energy_batch_48` becomes `energy, batch 48`."""
    words = [_WORDS.get(word, word) for word in metric.split("_")]
    return re.sub(r" (batch \d+)", r", \1", " ".join(words))


def quantity(value: float, unit: str) -> str:
    """Write an absolute value with its unit and about four significant digits."""
    if unit == "fraction":
        return f"{100 * value:.2f} %"
    if unit == "bytes":
        return _bytes(value)
    if unit == POINTS:
        return f"{signed(value, 1)} points"
    if unit == TIMES_LOWER:
        return f"{value:,.{ratio_digits(value)}f}x lower"
    word = {"count": "", "ratio": "", "": "", "MAC energy": " MAC"}.get(unit, f" {unit}")
    for limit, name in ((1e9, " billion"), (1e6, " million")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{name}{word}" if abs(value / limit) < 1000 else f"{value:.3g}{word}"
    digits = (
        0 if abs(value) >= 1000 or (unit == "count" and value == int(value)) else 1 if abs(value) >= 10 else 3
    )
    return f"{value:,.{digits}f}{word}" if abs(value) >= 0.001 or value == 0 else f"{value:.3g}{word}"


def duration(seconds: float) -> str:
    """Write a duration as a reader would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def stored_line(path: Path, results: Results) -> str:
    """Return what a measuring run says when its results are stored."""
    return f"{path}: {len(results.repeats)} repeats, {results.data.name}"


def typographic(text: str) -> str:
    """Replace the plain signs of the terminal, x and hyphen, by the signs for times and minus."""
    text = re.sub(r"(?<=\d)x(?![\w])", "\u00d7", text)
    return re.sub(r"(?<![\w\-])-(?=\d)", "\u2212", text)


def sentence(text: str) -> str:
    """Return plain text as a sentence on a page: proper signs, a capital first, a full stop last."""
    proper = typographic(text)
    return f"{proper[:1].upper()}{proper[1:]}."


def _bytes(value: float) -> str:
    for limit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {name}"
    return f"{value:.0f} bytes"


def metric_title(record: Record, name: str, info: MetricInfo) -> str:
    """Return how the page calls a metric; a modelled one is always called so."""
    recipe = record.recipe
    if recipe is not None and name == recipe.cost_metric:
        label = with_provenance(recipe.cost_label, info)
        return f"{label}, {recipe.condition}" if recipe.condition else label
    if recipe is not None and name == recipe.quality_metric:
        return recipe.quality_label
    unit = f"_{info.unit.lower()}" if info.unit in _UNITS_IN_NAMES else ""
    return with_provenance(plain_label(name.removesuffix(unit)), info)
