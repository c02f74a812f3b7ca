"""A cascade: a small net answers the inputs that it is confident about, a large net answers the rest.

After Streeter, "Approximation Algorithms for Cascading Prediction Models", ICML 2018 (arXiv 1802.07697); Wang
et al., "Wisdom of Committees", ICLR 2022 (arXiv 2012.01988); Berestizshevsky and Even (arXiv 1805.10982), who
let users state the accuracy that may be lost and derive thresholds. Of all three the abstracts were read.
Simplified: two nets and one threshold. The large net is the one in use, as it is; the small one is the same
with thinner layers, taught by it for the epochs that the baseline trains on. Rivals ask the large net by
chance, or have one net: with the mean work of the cascade, or as small as its small one.

    python -m recipes.answer_easy_inputs_with_a_small_model --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.pruning.channels import cut_channels
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, distillation, with_random_weights
from recipes.common.trial.study import Study

TACTIC = "answer-easy-inputs-with-a-small-model"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "macs"
INPUT_DEPENDENT = True
TAUGHT = True
SMALL = 0.1  # MACs of the small net, as a share of those of the large one
LOSSES = (0.75, 0.5, 0.25, 0.1, 0.05)  # in tolerances, against the large net: the nets of a curve
STANDARD_ERRORS = 1.96  # added to a loss on the examples to search with: a threshold fits what chose it
Confidence = Callable[[Tensor], Tensor]  # (inputs, classes) logits to (inputs,)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def top_probability(logits: Tensor) -> Tensor:
    """Return the highest probability of each row: (inputs, classes) to (inputs,)."""
    return logits.softmax(1).amax(1)


class Cascade(nn.Module):
    """Answers with a small net, and asks a large one where the small one is not confident.

    Where the confidence is not a number, the large net answers. What a net returns is not written into.

    Attributes:
        threshold: Confidence from which on the small net's answer stands.
    """

    def __init__(
        self, small: nn.Module, large: nn.Module, threshold: float, confidence: Confidence = top_probability
    ) -> None:
        """Join two nets in evaluation mode; both take (inputs, ...) and return (inputs, classes) logits."""
        super().__init__()
        self.small, self.large = small, large
        self.threshold, self.confidence = threshold, confidence

    def forward(self, inputs: Tensor) -> Tensor:
        """Return for each input the logits of the net that answers it, in float32 or what is wider.

        Raises:
            ValueError: The inputs or what a net returns is not one tensor of a row an input, the nets have
                different classes, or one of them is in training mode.
        """
        if not isinstance(inputs, Tensor):
            kind = type(inputs).__name__
            raise ValueError(
                f"inputs: expected one tensor, (inputs, ...), got {kind}; wrap nets that take more"
            )
        answers = self._ask("small", inputs)
        sure = self.confidence(answers) >= self.threshold  # NaN is not, whatever the threshold
        if not sure.all():
            second = self._ask("large", inputs[~sure])
            if second.shape[1] != answers.shape[1]:
                what = f"{second.shape[1]} classes, and the small one {answers.shape[1]}"
                raise ValueError(f"the large net gives {what}: expected the same classes in the same order")
            answers = answers.clone()  # the small net may keep the tensor that it returned
            answers[~sure] = second.to(answers.dtype)
        return answers

    def _ask(self, name: str, inputs: Tensor) -> Tensor:
        """Return the logits of one net, (inputs, classes), in float32 or what is wider."""
        net = self.get_submodule(name)
        which = f"the {name} net, {type(net).__name__},"
        if net.training:
            raise ValueError(f"{which} is in training mode, expected evaluation mode: call eval() on it")
        logits = net(inputs)
        if not isinstance(logits, Tensor):
            raise ValueError(
                f"{which} returns {type(logits).__name__}, expected one tensor of logits, (inputs, classes); "
                "wrap it in a module whose forward returns that tensor alone"
            )
        if logits.ndim != 2 or len(logits) != len(inputs) or not logits.is_floating_point():
            raise ValueError(
                f"{which} returns {logits.dtype} of shape {tuple(logits.shape)} for {len(inputs)} inputs, "
                "expected logits, (inputs, classes), as the confidence is in one answer to one input; where "
                "a net answers each token or pixel, let a wrapper return one row an input"
            )
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


def choose_threshold(
    confidence: Tensor,
    small_scores: Tensor,
    large_scores: Tensor,
    *,
    largest_loss: float,
    standard_errors: float = 0.0,
) -> float:
    """Return the lowest threshold at which the cascade is good enough; use data held out of training.

    Args:
        confidence: Of the small net in its answers, (inputs,); one that is not a number counts as none.
        small_scores: Of its answers, (inputs,), more is better, such as 1 where it is right.
        large_scores: Of the large net's, (inputs,).
        largest_loss: Mean score that may be lost against the large net alone, such as 0.01.
        standard_errors: Of the mean, added to what is lost before it is compared; 1.96 holds the upper end of
            its 95 % interval to the limit, so that new inputs seldom lose more.

    Raises:
        ValueError: An argument is of another form; or the small net would answer nothing: the cascade would
            be the large net.
    """
    given = {"confidence": confidence, "small_scores": small_scores, "large_scores": large_scores}
    for name, values in given.items():
        if not isinstance(values, Tensor) or values.shape != (len(confidence),) or len(values) == 0:
            got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"{name}: expected a tensor of one value an input, (inputs,), at least one, got {got}; "
                "torch.as_tensor makes one of a list"
            )
    if not 0 <= largest_loss < math.inf:
        raise ValueError(f"largest_loss: expected 0 or more, got {largest_loss:g}; say what may be lost")
    unknown = confidence.isnan()
    ordered, order = confidence.double().masked_fill(unknown, -torch.inf).sort(descending=True)
    lost = (large_scores.double() - small_scores.double())[order]  # by an answer of the small net
    count, mean = len(lost), lost.cumsum(0) / len(lost)  # where the k surest answers stand, k = 1, 2, ...
    variance = (lost.square().cumsum(0) / count - mean.square()).clamp(min=0)
    good_enough = mean + standard_errors * (variance / count).sqrt() <= largest_loss + 1e-12
    last = torch.ones_like(unknown)
    last[:-1] = ordered[1:] < ordered[:-1]  # equal ones stay together
    possible = (good_enough & last & ~unknown[order]).nonzero()
    if len(possible) == 0:
        raise ValueError(
            f"nothing was changed: no input can be left to the small net at a loss of {largest_loss:.3g}; "
            "allow more, or train the small net better"
        )
    return float(ordered[possible[-1]])


# --8<-- [end:tactic]
# --- Arms: small nets learn for as long as the baseline trains on, single ones for its whole life ----------


def thin(study: Study, limit: float, epochs: float) -> nn.Module:
    """Return the subject's net with each layer thinner by one share, taught by the large net."""
    cut = cut_channels(study.fresh(), study.inputs, study.cost, limit, by_norm=False, in_each=True)
    net = with_random_weights(cut, study)
    study.train(net, epochs, **distillation(study.dense))
    return net


def small_net(study: Study, epochs: float) -> nn.Module:
    """Train the small net of the cascades."""
    return thin(study, SMALL * study.cost(study.copy()), epochs)


def tactic(study: Study) -> Nets:
    """Train a small net, and choose a threshold for each loss."""
    small, large = small_net(study, study.budget_epochs), study.copy()
    logits, small_scores = study.answers(small)  # (examples, classes), (examples,)
    _, large_scores = study.answers(large)
    choose = partial(choose_threshold, top_probability(logits), small_scores, large_scores)
    for loss in LOSSES:
        threshold = choose(largest_loss=loss * study.tolerance, standard_errors=STANDARD_ERRORS)
        yield f"loss of {loss:g} tolerances", Cascade(small, large, threshold)


def asked(study: Study) -> tuple[Cascade, float]:
    """Return the cascade that the tactic found, and the share of held-out inputs that it asks twice."""
    found = study.found
    assert isinstance(found, Cascade)
    logits, _ = study.answers(found.small)  # not of training inputs, of which it is surer than of others
    return found, float((~(found.confidence(logits) >= found.threshold)).double().mean())


def random_routing(study: Study) -> Nets:
    """Ask the large net about as many inputs, but by chance: the tactic's choice replaced by none."""

    def chance(logits: Tensor) -> Tensor:
        return (1e3 * logits.double().sum(1)).frac().abs()  # alike from 0 to 1, the same for the same input

    _, share = asked(study)
    small = small_net(study, study.budget_epochs)
    yield f"{share:.0%} asked", Cascade(small, study.copy(), share, chance)


def one_thin_net(study: Study) -> Nets:
    """Train one net with the MACs that the cascade needs on average, for the whole life."""
    found, share = asked(study)
    mean = study.cost(found.small) + share * study.cost(found.large)
    yield "thin", thin(study, mean, study.dense_epochs + study.budget_epochs)


def small_alone(study: Study) -> Nets:
    """Ask nobody: train a net as small as the cascade's for the whole life."""
    yield "small", small_net(study, study.dense_epochs + study.budget_epochs)


ARMS = (tactic, random_routing, one_thin_net, small_alone)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
