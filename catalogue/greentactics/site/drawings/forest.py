"""Forest plots: claimed and reproduced figures on one axis, a table of label, plot and value a metric.

Marks differ in shape as well as colour; colours come from CSS variables, so one drawing serves both palettes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from greentactics.site.drawings.svg import Role, Scale, axis, plot, scale_over
from greentactics.text.escaping import text_to_html

_KEY = {
    Role.CLAIM: "Diamond: claimed.",
    Role.TACTIC: "Dot: reproduced.",
    Role.LOCAL: "Ring: reproduced on this machine.",
    Role.RIVAL: "Square: another arm.",
}


@dataclass(frozen=True)
class Mark:
    """One row of a panel."""

    label: str
    """What the row shows."""
    role: Role
    """What the mark stands for."""
    value: float
    """Position, in the panel's unit."""
    low: float | None
    """Lower end of the interval, where there is one."""
    high: float | None
    """Upper end of the interval."""
    text: str
    """The figure in words, right of the plot."""


@dataclass(frozen=True)
class Panel:
    """One metric with its rows."""

    title: str
    """What is compared."""
    axis: str
    """Unit and direction of the axis, such as `times lower (logarithmic)`."""
    logarithmic: bool
    """Whether the axis shows ratios; no effect is then 1, else 0."""
    marks: tuple[Mark, ...]
    """Rows, top to bottom."""


def shared_scale(panels: Sequence[Panel]) -> Scale:
    """Return the scale that holds all marks, their intervals and no effect, of panels with one unit."""
    logarithmic = panels[0].logarithmic
    ends = [
        end
        for panel in panels
        for mark in panel.marks
        for end in (mark.value, mark.low, mark.high)
        if end is not None
    ]
    return scale_over([*ends, 1.0 if logarithmic else 0.0], logarithmic=logarithmic)


def forest(panel: Panel, scale: Scale) -> Markup:
    """Draw one panel.

    Args:
        panel: What to draw.
        scale: The axis; panels that share a unit share it.
    """
    rows = Markup("\n").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>').format(
            text_to_html(mark.label),
            plot(mark.role, mark.value, mark.low, mark.high, scale),
            text_to_html(mark.text.replace(", ", ",\u00a0")),  # an interval stays on its line
        )
        for mark in panel.marks
    )
    return Markup(
        '<table class="gt-forest" aria-label="{}">\n<tbody>\n{}\n</tbody>\n'
        "<tfoot><tr><td></td><td>{}{}</td><td></td></tr></tfoot>\n</table>"
    ).format(text_to_html(panel.title), rows, axis(scale), panel.axis)


def forest_key(panels: Sequence[Panel]) -> str:
    """Say what the marks of panels stand for, of those that are drawn."""
    marks = [mark for panel in panels for mark in panel.marks]
    roles = {mark.role for mark in marks}
    words = [meaning for role, meaning in _KEY.items() if role in roles]
    if any(mark.low is not None and mark.high is not None for mark in marks):
        words.append("Bar: 95 % interval.")
    return " ".join([*words, "Dashed: no difference."])
