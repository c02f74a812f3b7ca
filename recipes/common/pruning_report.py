"""What a pruned net is judged by: accuracy, size, effective MACs and modelled energy."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable

from torch import Tensor, nn

from recipes.common.contract import Json, Metric
from recipes.common.energy_model import NetworkEnergy, estimate
from recipes.common.pruning import prunable_layers, prune_magnitude_while

BATCH_SIZES = (1, 48)
"""Images that share one reading of the weights: the two ends of the literature's conventions."""

MODEL = "row-stationary model of Eyeriss with RF 1, array 2, buffer 6, DRAM 200"


def modelled(model: nn.Module, images: Tensor, batch_size: int) -> NetworkEnergy:
    """Return the modelled energy with the zeros of the activations taken from the first 256 images."""
    return estimate(model, images[:256], batch_size=batch_size)


def accuracy_metric(value: float, state: str = "") -> Metric:
    """Return a test accuracy as a metric; `state` says of which net where it is not the final one."""
    description = f"Fraction of the test images classified correctly{state}."
    return Metric(value, "fraction", "higher", "measured", description)


def energy_metric(value: float, batch_size: int) -> Metric:
    """Return a modelled energy per image as a metric."""
    description = f"Modelled energy of one inference, weights read once for {batch_size} image(s); {MODEL}."
    return Metric(value, "MAC energy", "lower", "modelled", description)


def cost_metrics(pruned: nn.Module, images: Tensor) -> dict[str, Metric]:
    """Count the weights and MACs of a net and model its energy.

    Args:
        pruned: The net described; the dense net itself for a baseline.
        images: Training images; the first ones are used.
    """
    nonzero = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(pruned).values())
    energy = {batch_size: modelled(pruned, images, batch_size) for batch_size in BATCH_SIZES}
    return {
        "nonzero_weights": Metric(float(nonzero), "count", "lower", "counted", "Weights that are not zero."),
        "effective_macs": Metric(
            energy[1].macs, "count", "lower", "counted", "MACs of one inference with both operands not zero."
        ),
        **{f"energy_batch_{n}": energy_metric(energy[n].total, n) for n in BATCH_SIZES},
    }


def cpu_metric(cpu_s: float) -> Metric:
    """Return the cost of the tactic itself as a metric."""
    description = "Processor time of pruning, its search and its fine-tuning."
    return Metric(cpu_s, "s", "lower", "measured", description)


def cut_metrics(
    dense: nn.Module, cut: nn.Module, images: Tensor, evaluate_test: Callable[[nn.Module], float]
) -> dict[str, Metric]:
    """Report what a cut is worth before any gradient step.

    It is compared with the same dense net, cut by magnitude to the same energy at batch 1.

    Args:
        dense: The net that was pruned.
        cut: The same net after pruning, before any gradient step.
        images: Training images; the first ones are used.
        evaluate_test: Returns the test accuracy of a net.
    """
    energy = modelled(cut, images, 1).total
    rival = copy.deepcopy(dense)
    prune_magnitude_while(rival, lambda model: modelled(model, images, 1).total >= energy)
    found, rival_found = evaluate_test(cut), evaluate_test(rival)
    when = "before any gradient step"
    return {
        "dense_accuracy_before_fine_tuning": accuracy_metric(
            evaluate_test(dense), " by the dense net that pruning starts from"
        ),
        "energy_reduction_before_fine_tuning": Metric(
            modelled(dense, images, 1).total / energy,
            "times lower",
            "higher",
            "modelled",
            f"Modelled energy of the dense net over that after pruning, {when}, batch 1; {MODEL}.",
        ),
        "accuracy_before_fine_tuning": accuracy_metric(found, f" after pruning, {when}"),
        "magnitude_accuracy_before_fine_tuning": accuracy_metric(
            rival_found, f" by magnitude pruning to the same energy, {when}"
        ),
        "gain_over_magnitude_before_fine_tuning": Metric(
            100 * (found - rival_found),
            "percentage points",
            "higher",
            "measured",
            f"Test accuracy after pruning less that of magnitude pruning to the same energy, {when}.",
        ),
    }


def round_row(
    loss: float, model: nn.Module, images: Tensor, accuracy: float, least_accuracy: float
) -> dict[str, Json]:
    """Describe a round as one flat row, and say on stderr how it went."""
    row: dict[str, Json] = {
        "allowed_loss_before_fine_tuning": loss,
        "nonzero_weights": sum(
            int(layer.weight.count_nonzero()) for layer in prunable_layers(model).values()
        ),
        **{f"energy_batch_{n}": modelled(model, images, n).total for n in BATCH_SIZES},
        "validation_accuracy": accuracy,
        "least_validation_accuracy": least_accuracy,
        "kept": accuracy >= least_accuracy,
    }
    print(  # noqa: T201 - a recipe talks on stderr
        f"allowing {loss:.2%} before fine-tuning: {row['nonzero_weights']:,} weights, modelled energy "
        f"{row['energy_batch_1']:,.0f} at batch 1, validation accuracy {accuracy:.2%} "
        f"(wanted {least_accuracy:.2%}): {'kept' if row['kept'] else 'not accurate enough'}",
        file=sys.stderr,
    )
    return row


def layer_table(model: nn.Module, images: Tensor) -> list[dict[str, Json]]:
    """Return one flat row a layer and batch size: density, MACs, and energy by data type in MAC energy."""
    layers = prunable_layers(model)
    rows: list[dict[str, Json]] = []
    for batch_size in BATCH_SIZES:
        for layer in modelled(model, images, batch_size).layers:
            weight = layers[layer.name].weight
            nonzero = int(weight.count_nonzero())
            rows.append(
                {
                    "batch_size": batch_size,
                    "layer": layer.name,
                    "nonzero_weights": nonzero,
                    "kept_fraction": nonzero / weight.numel(),
                    "effective_macs": layer.macs,
                    "energy": layer.energy,
                    **{f"energy_{kind}": value for kind, value in layer.by_data_type().items()},
                }
            )
    return rows
