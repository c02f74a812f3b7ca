"""A smaller model of the same kind: all layers narrower by one share, trained from random weights.

After the width multiplier of MobileNet (Howard et al., 2017, arXiv 1704.04861), whose other multiplier, fewer
pixels, is a rival. Other rivals start from the trained net that is there, and cut it by the norm of channels;
or give the narrow net a teacher. The baseline, the tactic and fewer pixels learn from labels alone; where the
baseline does better with a teacher, it has one.

    python -m recipes.decrease_model_complexity --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from recipes.common.pruning.channels import cut_channels
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, cut_by_norm, thin_distilled
from recipes.common.trial.study import Study

TACTIC = "decrease-model-complexity"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "macs"
TAUGHT = True
SHARES = (0.3, 0.6)  # of the multiply-accumulates: the nets of a curve

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def narrower(
    model: nn.Module, example_inputs: Tensor, cost: Callable[[nn.Module], float], *, share: float
) -> nn.Module:
    """Return an untrained net of the same kind that has fewer channels in every layer.

    Begin with the smallest share, train it, and take a larger one only if it is not good enough: what small
    nets cost to train is little beside the next size.

    Args:
        model: Net of full width, in evaluation mode; not changed.
        example_inputs: At least one input, (inputs, ...), to follow channels from layer to layer with.
        cost: Cost of a net, which falls with its channels.
        share: Of the cost of the net, above 0 and below 1.

    Raises:
        ValueError: The channels of the net cannot be followed, or the share cannot be met.
    """
    small = cut_channels(model, example_inputs, cost, share * cost(model), by_norm=False, in_each=True)
    for module in small.modules():
        if reset := getattr(module, "reset_parameters", None):
            reset()  # what is left of weights drawn for wider layers is too small
    return small


# --8<-- [end:tactic]
# --- Arms ------------------------------------------------------------------------------------------------


def trained_narrower(study: Study, shares: Sequence[float]) -> Nets:
    """Train narrower nets, each for as long as the baseline."""
    for share in shares:
        net = narrower(study.fresh(), study.inputs, study.cost, share=share)
        study.train(net, study.epochs_left(net))
        yield f"{share:.0%} of the operations", net


def tactic(study: Study) -> Nets:
    """Make all layers narrower."""
    yield from trained_narrower(study, SHARES)


def cut_from_trained(study: Study) -> Nets:
    """Cut the trained net by the norm of channels, and train on."""
    yield from cut_by_norm(study, SHARES, "operations")


def fewer_pixels(study: Study) -> Nets:
    """Train the net of full width on means of four neighbouring pixels."""
    net = nn.Sequential(nn.AvgPool2d(2), study.fresh()).eval()
    study.train(net, study.epochs_left(net))
    yield "a quarter of the pixels", net


ARMS = (tactic, thin_distilled, cut_from_trained, fewer_pixels)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
