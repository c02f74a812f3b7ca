"""What a choice of pairs in a radio cell is judged by: power, pairs, and whether the links hold."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from recipes.common.beamforming import TOLERANCE, Cell, Selection, served, violations
from recipes.common.contract import Json, Metric

Choice = tuple[Cell, Selection]


def total_power_w(choice: Choice) -> float:
    """Return the power of computing and sending."""
    cell, selection = choice
    return cell.total_power_w(selection.beams, selection.active)


def service_metrics(choices: Sequence[Choice]) -> dict[str, Metric]:
    """Check the links anew from channels and beams; the solver's word is not taken.

    Args:
        choices: Cells and what was chosen in them, at least one.
    """
    met = torch.cat([served(cell, selection.beams) for cell, selection in choices])
    missed = sum(violations(cell, selection.beams) for cell, selection in choices)
    within = f"within {TOLERANCE:g} of its value"
    users = f"Fraction of the users whose signal over interference and noise meets the target, {within}."
    limits = f"Targets of users and power limits of access points that do not hold {within}."
    return {
        "served_fraction": Metric(float(met.double().mean()), "fraction", "higher", "modelled", users),
        "constraint_violations": Metric(float(missed), "count", "lower", "counted", limits),
    }


def power_metrics(choices: Sequence[Choice]) -> dict[str, Metric]:
    """Return the means over the cells, at least one: power in all and by part, and pairs that are on."""
    sent = statistics.fmean(cell.transmission_power_w(selection.beams) for cell, selection in choices)
    total = statistics.fmean(total_power_w(choice) for choice in choices)
    pairs = statistics.fmean(float(selection.active.sum()) for _, selection in choices)
    model = "model of a radio cell, mean over its draws"
    both = f"Power of amplifiers and computing; {model}."
    amplifiers = f"Power that the amplifiers draw; {model}."
    computing = f"Power of computing the tasks at all access points that do; {model}."
    on = "Pairs of access point and task that are on, mean over the draws."
    return {
        "total_power_w": Metric(total, "W", "lower", "modelled", both),
        "transmission_power_w": Metric(sent, "W", "lower", "modelled", amplifiers),
        "computation_power_w": Metric(total - sent, "W", "lower", "modelled", computing),
        "active_pairs": Metric(pairs, "count", "lower", "counted", on),
    }


def small_cell_metrics(
    choices: Sequence[Choice], optima: Sequence[Choice], cpu_s: float
) -> dict[str, Metric]:
    """Compare choices in small cells with the best of all sets of pairs.

    Args:
        choices: Cells and what was chosen in them, at least one.
        optima: The same cells and their optima.
        cpu_s: Processor time of the choices.
    """
    ratio = sum(map(total_power_w, choices)) / sum(map(total_power_w, optima))
    gap = (
        "Total power over that of the best of all sets of pairs, both summed over the draws of a small cell."
    )
    time = "Processor time to choose pairs and beams in a small cell, mean over its draws."
    return {
        "power_over_optimum": Metric(ratio, "ratio", "lower", "modelled", gap),
        "small_cell_cpu_s": Metric(cpu_s / len(choices), "s", "lower", "measured", time),
    }


def cpu_metric(cpu_s: float, draws: int) -> Metric:
    """Return the cost of choosing itself as a metric."""
    description = "Processor time to choose pairs and beams, mean over the draws of the cell."
    return Metric(cpu_s / draws, "s", "lower", "measured", description)


def draw_rows(choices: Sequence[Choice]) -> list[dict[str, Json]]:
    """Return one flat row a draw."""
    return [
        {
            "draw": draw,
            "total_power_w": total_power_w((cell, selection)),
            "transmission_power_w": cell.transmission_power_w(selection.beams),
            "active_pairs": int(selection.active.sum()),
        }
        for draw, (cell, selection) in enumerate(choices)
    ]


def path_rows(selection: Selection) -> list[dict[str, Json]]:
    """Return one flat row for each step that was kept: pairs left, and their power."""
    return [{"active_pairs": pairs, "total_power_w": power_w} for pairs, power_w in selection.path]


def level_rows(
    cells: Sequence[Cell],
    levels_w: Sequence[float],
    without: Callable[[Cell], Selection],
    choose: Callable[[Cell], Selection],
) -> list[dict[str, Json]]:
    """Return one flat row for each power of computing one task: mean power without and with a choice."""
    rows: list[dict[str, Json]] = []
    for level_w in levels_w:
        same = [
            replace(cell, computation_power_w=torch.full_like(cell.computation_power_w, level_w))
            for cell in cells
        ]
        before = power_metrics([(cell, without(cell)) for cell in same])
        after = power_metrics([(cell, choose(cell)) for cell in same])
        rows.append(
            {
                "power_of_one_task_w": level_w,
                "all_on_transmission_w": before["transmission_power_w"].value,
                "all_on_total_w": before["total_power_w"].value,
                "chosen_total_w": after["total_power_w"].value,
                "chosen_pairs": after["active_pairs"].value,
                "times_lower": before["total_power_w"].value / after["total_power_w"].value,
            }
        )
    return rows
