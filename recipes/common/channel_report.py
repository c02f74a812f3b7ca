"""What a net with fewer channels is judged by: modelled energy, words of activations moved, and size."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import spearmanr
from torch import Tensor, nn

from recipes.common.channels import group_norms, without_channels
from recipes.common.contract import Json, Metric
from recipes.common.data import Images
from recipes.common.energy_model import NetworkEnergy
from recipes.common.energy_report import BATCH_SIZES, MODEL, energy_metric, modelled
from recipes.common.net_report import accuracy, macs_per_image, net_metrics


def activation_words(energy: NetworkEnergy) -> float:
    """Return the 16-bit words of activations, as coded, that go to or come from DRAM for one image."""
    return sum(layer.dram_accesses.inputs + layer.dram_accesses.outputs for layer in energy.layers)


def cost_metrics(model: nn.Module, images: Tensor) -> dict[str, Metric]:
    """Model the energy of a net and count its size.

    Args:
        model: Net in evaluation mode.
        images: Training images; the first 256 are used.
    """
    energy = {batch_size: modelled(model, images, batch_size) for batch_size in BATCH_SIZES}
    metrics = {f"energy_batch_{n}": energy_metric(energy[n].total, n) for n in BATCH_SIZES}
    words = f"Words of activations between chip and DRAM for one image, zeros coded, batch 48; {MODEL}."
    metrics["activation_words"] = Metric(activation_words(energy[48]), "count", "lower", "modelled", words)
    return metrics | net_metrics(model, images)


def point_rows(nets: Sequence[nn.Module], images: Images) -> list[dict[str, Json]]:
    """Return one flat row a net: the outputs of its convolutions, costs and accuracy.

    Args:
        nets: Nets in evaluation mode, final: their test accuracy is read.
        images: The first 256 training images are used for the costs.
    """
    inputs = images.train_images
    rows: list[dict[str, Json]] = []
    for net in nets:
        widths = [str(layer.out_channels) for layer in net.modules() if isinstance(layer, nn.Conv2d)]
        rows.append(
            {
                "channels": " ".join(widths),
                **{f"energy_batch_{n}": modelled(net, inputs, n).total for n in BATCH_SIZES},
                "macs": macs_per_image(net, inputs),
                "validation_accuracy": accuracy(net, images.validation_images, images.validation_labels),
                "test_accuracy": accuracy(net, images.test_images, images.test_labels),
            }
        )
    return rows


def channel_costs(dense: nn.Module, images: Tensor) -> list[dict[str, Json]]:
    """Return one flat row a group of channels: what removing one of them saves, energy beside MACs.

    Args:
        dense: Net in evaluation mode; of each group the channel with the smallest norm is removed.
        images: Training images; the first 256 are used.
    """
    scores = group_norms(dense, images)
    before, macs = modelled(dense, images, 48).total, macs_per_image(dense, images)
    rows: list[dict[str, Json]] = []
    saved: list[tuple[float, float]] = []
    for group, importance in scores.items():
        cut = without_channels(dense, group, [int(importance.argmin())], images)
        saved.append((1 - modelled(cut, images, 48).total / before, 1 - macs_per_image(cut, images) / macs))
        rows.append({"group": group, "channels": len(importance)})
    energies, others = [energy for energy, _ in saved], [fraction for _, fraction in saved]
    correlation = float(spearmanr(energies, others).statistic)
    for row, (energy_fraction, macs_fraction) in zip(rows, saved, strict=True):
        row["energy_saved_by_a_channel_fraction"] = energy_fraction
        row["macs_saved_by_a_channel_fraction"] = macs_fraction
        row["rank_correlation_of_both"] = correlation
    return rows
