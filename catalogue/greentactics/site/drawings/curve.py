"""Saving against quality lost, as inline SVG: every operating point of every arm, one drawing a metric.

What the marks mean stands in a list above the drawing, and the ticks outside its frame: no mark, and no line,
has words in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from greentactics.evidence.comparison import tolerance_points
from greentactics.evidence.wording import metric_title, plain_label
from greentactics.models.record import Record
from greentactics.models.results import BASELINE, CHOICE, Repeat, Results
from greentactics.models.timings import CONTROL
from greentactics.site.drawings.svg import TICK_SIZE, Figure, Scale, scale_over, text_width, ticks
from greentactics.text.escaping import text_to_html

DETAIL = "curve"
QUALITIES = ("choice_quality", "validation_accuracy")
"""What a row may call its quality: of a trial, on examples that no arm searched with; of another workload."""
QUALITY = "quality"


@dataclass(frozen=True)
class Curve:
    """The points of one arm, all seeds together."""

    arm: str
    """Name of the arm."""
    points: tuple[tuple[float, float], ...]
    """Points of quality lost, and times that the cost is lower; both against the baseline of the seed."""


def curves(record: Record, results: Results) -> dict[str, tuple[Curve, ...]]:
    """Return the curves of the arms by metric, for the metrics of the record that every row holds.

    Metrics that are better higher are left out, and so are arms without a curve. Empty where the baseline has
    none.
    """
    rows = {(repeat.arm, repeat.seed): _curve_rows(repeat) for repeat in results.repeats}
    reference = {seed: found[0] for (arm, seed), found in rows.items() if arm == BASELINE and found}
    arms = [arm for arm in results.arms if arm not in (BASELINE, CONTROL)]
    chosen_by = (info for name, info in results.metrics.items() if name.startswith(CHOICE))
    lost = -100 if any(info.better == "lower" for info in chosen_by) else 100
    found: dict[str, tuple[Curve, ...]] = {}
    for metric in _lower_is_better(record, results):
        drawn = [
            Curve(arm, points)
            for arm in arms
            if (
                points := tuple(
                    (lost * (base[QUALITY] - row[QUALITY]), base[metric] / row[metric])
                    for seed, base in sorted(reference.items())
                    for row in rows.get((arm, seed), ())
                    if base.get(metric, 0) > 0 and row.get(metric, 0) > 0
                )
            )
        ]
        if drawn:
            found[metric] = tuple(drawn)
    return found


def _lower_is_better(record: Record, results: Results) -> list[str]:
    if record.recipe is None:
        return []
    names = (record.recipe.cost_metric, *record.recipe.also_metrics)
    return [name for name in names if name in results.metrics and results.metrics[name].better == "lower"]


def _curve_rows(repeat: Repeat) -> list[Mapping[str, float]]:
    """Return the rows of a repeat's curve that hold a quality; numbers only."""
    value = repeat.details.get(DETAIL)
    if not isinstance(value, list | tuple):
        return []
    rows = [
        {
            name: float(cell)
            for name, cell in row.items()
            if isinstance(cell, int | float) and not isinstance(cell, bool)
        }
        for row in value
        if isinstance(row, Mapping)
    ]
    named = ((row, [row[name] for name in QUALITIES if name in row]) for row in rows)
    return [{**row, QUALITY: qualities[0]} for row, qualities in named if qualities]


WIDTH, HEIGHT = 360, 250
TOP, RIGHT, BOTTOM = 26, 12, 44
SHAPES = (
    "m-3 -3h6v6h-6z", "m0 -4l4 7h-8z", "m-3 -3l6 6m0 -6l-6 6", "m-4 0h8m-4 -4v8", "m-4 0h8", "m0 -4v8",
    "m0 -4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z", "m0 4l4 -7h-8z", "m-4 -3h8l-8 6h8z",
)  # fmt: skip
"""Marks of the rivals, in the order of the arms; the tactic has a dot."""
DOT = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0"
_VERTICES = ("start", "mid", "end")
_TICK_HEIGHT = 15.0
FURTHEST_LOSS = 6.0
"""Points of quality beyond which no point is drawn; a curve that far out decides nothing."""


def curve_figures(record: Record, results: Results, identifier: str) -> list[Figure]:
    """Return a drawing for each metric that the arms have curves of; none for a recipe without curves.

    Args:
        record: The tactic.
        results: Its results on one device.
        identifier: Prefix of the ids in the drawings, unique on their page.
    """
    figures = []
    tolerance = tolerance_points(results, record.recipe) if record.recipe else 0.0
    for index, (metric, drawn) in enumerate(curves(record, results).items()):
        title = metric_title(record, metric, results.metrics[metric])
        figures.append(Figure(title, draw(drawn, f"{identifier}-{index + 1}", title, tolerance)))
    return figures


def draw(drawn: Sequence[Curve], identifier: str, title: str, tolerance: float) -> Markup:
    """Draw the points of all arms.

    Args:
        drawn: Curves of the arms, the tactic's first.
        identifier: Prefix of the ids in the SVG, unique on its page.
        title: What is saved.
        tolerance: Points of quality that the record lets be lost; a dashed line.
    """
    nearby = {curve.arm: [point for point in curve.points if point[0] <= FURTHEST_LOSS] for curve in drawn}
    shown = {arm: points for arm, points in nearby.items() if points}
    losses = [loss for points in shown.values() for loss, _ in points]
    savings = [saving for points in shown.values() for _, saving in points]
    axes = _Axes(
        scale_over([*losses, 0.0, tolerance], logarithmic=False),
        scale_over(savings or [1.0], logarithmic=True),
    )
    legend, marks = [], []
    for index, (arm, points) in enumerate(shown.items()):
        role, shape = _look(index)
        legend.append(
            Markup(
                '<li class="{}"><svg viewBox="-6 -6 12 12" aria-hidden="true"><path d="{}"/></svg>{}</li>'
            ).format(role, shape, text_to_html(plain_label(arm)))
        )
        at = [axes.place(loss, saving) for loss, saving in points]
        marks.append(_marked(at, role, shape, f"{identifier}-m{index}"))
    return Markup("\n").join(
        [
            Markup('<ul class="gt-arms">{}</ul>').format(Markup("").join(legend)),
            Markup(
                '<svg class="gt-curve" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">'
            ).format(WIDTH, HEIGHT, identifier, identifier),
            Markup('<title id="{}-t">{}</title>').format(identifier, title),
            Markup('<desc id="{}-d">{}</desc>').format(identifier, _described(shown)),
            _grid(axes, tolerance),
            *marks,
            Markup("</svg>"),
        ]
    )


class _Axes:
    """Maps losses and savings to positions inside the frame, which leaves the ticks the room they take."""

    def __init__(self, across: Scale, up: Scale) -> None:
        self.across, self.up = across, up
        self.high = HEIGHT - BOTTOM - TOP
        self.up_ticks = ticks(up, self.high, lambda _: _TICK_HEIGHT)
        self.left = 10 + max((text_width(words, TICK_SIZE) for _, words in self.up_ticks), default=0.0)
        self.wide = WIDTH - RIGHT - self.left

    def place(self, loss: float, saving: float) -> tuple[int, int]:
        """Return where a point stands."""
        return (
            round(self.left + self.wide * self.across.share(loss)),
            round(TOP + self.high * (1 - self.up.share(saving))),
        )


def _look(index: int) -> tuple[str, str]:
    """Return class and shape of the marks of an arm; after all shapes they come again in another colour."""
    if index == 0:
        return "gt-tactic", DOT
    colour, shape = divmod(index - 1, len(SHAPES))
    return ("gt-rival", "gt-claim")[colour % 2], SHAPES[shape]


def _marked(at: Sequence[tuple[int, int]], role: str, shape: str, identifier: str) -> Markup:
    """Draw the mark of an arm at each position; as a marker of one path it is written once."""
    ends = Markup(" ").join(Markup('marker-{}="url(#{})"').format(end, identifier) for end in _VERTICES)
    return Markup(
        '<marker id="{}" class="{}" markerUnits="userSpaceOnUse">'
        '<path d="{}"/></marker><path class="gt-points" d="M{}" {}/>'
    ).format(identifier, role, shape, " ".join(f"{x} {y}" for x, y in at), ends)


def _described(shown: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    parts = [
        f"{plain_label(arm)}: {min(saving for _, saving in points):.2g} to "
        f"{max(saving for _, saving in points):.2g} times lower at a loss of "
        f"{min(loss for loss, _ in points):.1f} to {max(loss for loss, _ in points):.1f} points"
        for arm, points in shown.items()
    ]
    return f"{'; '.join(parts) or 'No point'}."


def _grid(axes: _Axes, tolerance: float) -> Markup:
    left, bottom = _n(axes.left), TOP + axes.high
    parts = [
        Markup('<path class="gt-axis" d="M{} {}V{}H{}" fill-opacity="0"/>').format(
            left, TOP, bottom, WIDTH - RIGHT
        ),
        Markup('<line class="gt-neutral" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            axes.place(tolerance, axes.up.low)[0], bottom, TOP
        ),
        Markup('<text class="gt-tick gt-start" x="0" y="12">times lower</text>'),
        Markup('<text class="gt-tick gt-end" x="{}" y="{}">points lost on validation</text>').format(
            WIDTH - RIGHT, bottom + 36
        ),
    ]
    parts += [
        _tick("gt-tick", axes.place(value, axes.up.low)[0], bottom + 17, words.removeprefix("+"))
        for value, words in ticks(axes.across, axes.wide)
    ]
    parts += [
        _tick("gt-tick gt-end", axes.left - 6, axes.place(0.0, value)[1] + 4, words)
        for value, words in axes.up_ticks
    ]
    return Markup("").join(parts)


def _tick(look: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(look, _n(x), _n(y), text)


def _n(value: float) -> str:
    """Write a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
