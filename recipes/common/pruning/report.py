"""What a pruned net is judged by: accuracy, size, effective MACs and modelled energy."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from recipes.common.energy.report import BATCH_SIZES, MODEL, energy_metric, modelled
from recipes.common.pruning.weights import prunable_layers, prune_magnitude_while
from recipes.common.run.contract import Json, Metric


def accuracy_metric(value: float, state: str = "") -> Metric:
    """Return a test accuracy as a metric; `state` says of which net where it is not the final one."""
    description = f"Fraction of the test images classified correctly{state}."
    return Metric(value, "fraction", "higher", "measured", description)


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
    """Return the cost of an arm's nets as a metric."""
    description = "Processor time of pruning to all depths, their search and their fine-tuning."
    return Metric(cpu_s, "s", "lower", "measured", description)


def cut_metrics(
    dense: nn.Module,
    cut: nn.Module,
    images: Tensor,
    evaluate_test: Callable[[nn.Module], float],
    batch_size: int,
    cpu_s: float,
) -> dict[str, Metric]:
    """Report what a cut is worth before any gradient step.

    It is compared with the same dense net, cut by magnitude to the same energy.

    Args:
        dense: The net that was pruned.
        cut: The same net after pruning, before any gradient step.
        images: Training images; the first ones are used.
        evaluate_test: Returns the test accuracy of a net.
        batch_size: Images that share one reading of the weights.
        cpu_s: Processor time of the pruning.
    """
    energy = modelled(cut, images, batch_size).total
    rival = copy.deepcopy(dense)
    prune_magnitude_while(rival, lambda model: modelled(model, images, batch_size).total >= energy)
    dense_found, found, rival_found = evaluate_test(dense), evaluate_test(cut), evaluate_test(rival)
    when = f"before any gradient step, batch {batch_size}"
    return {
        "dense_accuracy_before_fine_tuning": accuracy_metric(
            dense_found, " by the dense net that pruning starts from"
        ),
        "energy_reduction_before_fine_tuning": Metric(
            modelled(dense, images, batch_size).total / energy, "times lower", "higher", "modelled",
            f"Modelled energy of the dense net over that after pruning, {when}; {MODEL}.",
        ),
        "accuracy_before_fine_tuning": accuracy_metric(found, " after pruning, before any gradient step"),
        "magnitude_accuracy_before_fine_tuning": accuracy_metric(
            rival_found, f" by magnitude pruning to the same energy, {when}"
        ),
        "loss_before_fine_tuning": Metric(
            100 * (dense_found - found), "percentage points", "lower", "measured",
            "Test accuracy of the dense net that pruning starts from less that after pruning, before any "
            "gradient step.",
        ),
        "gain_over_magnitude_before_fine_tuning": Metric(
            100 * (found - rival_found), "percentage points", "higher", "measured",
            f"Test accuracy after pruning less that of magnitude pruning to the same energy, {when}.",
        ),
        "pruning_cpu_s": Metric(
            cpu_s, "s", "lower", "measured", "Processor time of the one pruning before any gradient step."
        ),
    }  # fmt: skip


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
