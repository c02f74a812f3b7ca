"""Modelled energy of a net as the recipes report it."""

from __future__ import annotations

from torch import Tensor, nn

from recipes.common.contract import Metric
from recipes.common.energy_model import NetworkEnergy, estimate

BATCH_SIZES = (1, 48)
"""Images that share one reading of the weights: the two ends of the literature's conventions."""

MODEL = "row-stationary model of Eyeriss with RF 1, array 2, buffer 6, DRAM 200"


def modelled(model: nn.Module, images: Tensor, batch_size: int) -> NetworkEnergy:
    """Return the modelled energy with the zeros of the activations taken from the first 256 images."""
    return estimate(model, images[:256], batch_size=batch_size)


def energy_metric(value: float, batch_size: int) -> Metric:
    """Return a modelled energy per image as a metric."""
    description = f"Modelled energy of one inference, weights read once for {batch_size} image(s); {MODEL}."
    return Metric(value, "MAC energy", "lower", "modelled", description)
