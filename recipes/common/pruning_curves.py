"""Curves of modelled energy against accuracy: how deep to prune next, and the energy at a given accuracy."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from recipes.common.contract import Metric
from recipes.common.energy_report import BATCH_SIZES, MODEL, modelled
from recipes.common.pruning import prunable_layers

FURTHEST_STEP = 2.0
"""Ratio of neighbouring allowed losses while no two of them enclose the accuracy asked for."""


@dataclass(frozen=True)
class Point:
    """One net of a curve: what it costs and how good it is; a row of the detail `curve`."""

    allowed_loss_before_fine_tuning: float
    """Validation accuracy that the pruning could lose, as a fraction; 0 for the dense net."""
    validation_accuracy: float
    """Fraction, on all validation images, after fine-tuning."""
    nonzero_weights: int
    """Weights that are not zero."""
    energy_batch_1: float
    """Modelled energy of one inference, in multiples of one 16-bit MAC; weights read for each image."""
    energy_batch_48: float
    """The same with weights read once for 48 images."""

    def energy(self, batch_size: int) -> float:
        """Return the modelled energy at batch 1 or 48."""
        return {1: self.energy_batch_1, 48: self.energy_batch_48}[batch_size]


def describe(allowed_loss: float, model: nn.Module, images: Tensor, accuracy: float) -> Point:
    """Describe a fine-tuned net, and say on stderr how it turned out.

    Args:
        allowed_loss: Validation accuracy that its pruning could lose, as a fraction.
        model: The net.
        images: Training images; the first ones give the zeros of the activations.
        accuracy: Its validation accuracy, as a fraction.
    """
    weights = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(model).values())
    found = Point(allowed_loss, accuracy, weights, *(modelled(model, images, n).total for n in BATCH_SIZES))
    print(  # noqa: T201 - a recipe talks on stderr
        f"allowing {allowed_loss:.2%} before fine-tuning: {weights:,} weights, modelled energy "
        f"{found.energy_batch_1:,.0f} at batch 1 and {found.energy_batch_48:,.0f} at batch 48, "
        f"validation accuracy {accuracy:.2%}",
        file=sys.stderr,
    )
    return found


def next_allowed_loss(points: Sequence[Point], least_accuracy: float) -> float:
    """Return the allowed loss to try next, so that the curve closes in on an accuracy.

    Twice or half the outermost one until two enclose the accuracy; then between these two, where a straight
    line over the logarithm of the allowed loss meets it, but at least a quarter of the way off either.

    Args:
        points: What has been tried, in any order; at least one.
        least_accuracy: Validation accuracy asked for, as a fraction.
    """
    bad = [p for p in points if p.validation_accuracy < least_accuracy]
    first_bad = min(bad, key=lambda p: p.allowed_loss_before_fine_tuning, default=None)
    limit = first_bad.allowed_loss_before_fine_tuning if first_bad else math.inf
    good = [p for p in points if p not in bad and p.allowed_loss_before_fine_tuning < limit]
    last_good = max(good, key=lambda p: p.allowed_loss_before_fine_tuning, default=None)
    if last_good is None:
        return limit / FURTHEST_STEP
    if first_bad is None:
        return last_good.allowed_loss_before_fine_tuning * FURTHEST_STEP
    above = last_good.validation_accuracy - least_accuracy
    share = above / (last_good.validation_accuracy - first_bad.validation_accuracy)
    low = last_good.allowed_loss_before_fine_tuning
    return low * float((limit / low) ** min(max(share, 0.25), 0.75))


def energy_at(dense: Point, pruned: Sequence[Point], least_accuracy: float, batch_size: int) -> float:
    """Read the modelled energy at an accuracy off the curve of the pruned nets.

    Neighbouring points whose accuracy falls while the energy rises are averaged, as in isotonic regression;
    between what is then left, the logarithm of the energy is linear in the accuracy. Never beyond the ends:
    a curve that is more accurate throughout gives its lowest energy.

    Args:
        dense: Ends the curve where no pruned net is accurate enough.
        pruned: Points in any order; may be none.
        least_accuracy: Validation accuracy asked for, as a fraction.
        batch_size: 1 or 48 images that share one reading of the weights.
    """
    blocks: list[tuple[float, float, int]] = []  # mean accuracy, mean logarithm of the energy, points
    for p in sorted(pruned, key=lambda p: p.energy(batch_size)):
        block = (p.validation_accuracy, math.log(p.energy(batch_size)), 1)
        while blocks and blocks[-1][0] >= block[0]:
            block = _averaged(blocks.pop(), block)
        blocks.append(block)
    if not blocks or blocks[-1][0] < least_accuracy:
        blocks.append((dense.validation_accuracy, math.log(dense.energy(batch_size)), 1))
    accuracies, logarithms, _ = zip(*blocks, strict=True)
    return math.exp(float(np.interp(least_accuracy, accuracies, logarithms)))


def _averaged(first: tuple[float, float, int], second: tuple[float, float, int]) -> tuple[float, float, int]:
    count = first[2] + second[2]
    accuracy, logarithm = ((first[i] * first[2] + second[i] * second[2]) / count for i in (0, 1))
    return accuracy, logarithm, count


def equal_accuracy_metrics(dense: Point, pruned: Sequence[Point], least_accuracy: float) -> dict[str, Metric]:
    """Return the energies at an accuracy, read off the curve, as metrics.

    Args:
        dense: The equally trained dense net.
        pruned: The nets of the arm; none for the baseline.
        least_accuracy: Validation accuracy that all arms of a seed are compared at, as a fraction.
    """
    return {
        f"energy_batch_{n}_at_equal_accuracy": Metric(
            energy_at(dense, pruned, least_accuracy, n),
            "MAC energy",
            "lower",
            "modelled",
            "Modelled energy of one inference at the validation accuracy that the arms are compared at, "
            f"interpolated between pruned nets; weights read once for {n} image(s); {MODEL}.",
        )
        for n in BATCH_SIZES
    }
