"""Stratified sampling: train on a share of each class, as often as on all examples, and see what it loses.

After Verdecchia, Cruz, Sallou, Lin, Wickenden, Hotellier, "Data-Centric Green AI: An Exploratory Empirical
Study", ICT4S 2022 (arXiv 2204.02766), who drew shares of all examples; larger ones until the rest can hardly
add anything, as in Provost, Jensen, Oates, "Efficient Progressive Sampling", KDD 1999. Different from the
study: one net instead of six algorithms, images instead of text messages, forward passes instead of energy.
What is held out is never sampled. The rivals but one spend as many passes: on a sample that ignores the
classes; on what a short training finds hardest, that training and the scores charged (Paul, Ganguli,
Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, arXiv 2107.07075); or on all examples, each seen less
often, which Okanovic et al. (arXiv 2305.18424) hold against choosing examples. The last one searches for the
share, and pays for the search.

    python -m recipes.apply_sampling_techniques --seed 0 --preset smoke
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.run.contract import CannotRun
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets
from recipes.common.trial.study import Study

TACTIC = "apply-sampling-techniques"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "training_passes"
STARTS_FROM_NOTHING = True
SHARE = 0.75  # of the examples that are kept, and of the passes of a whole training that are spent
SIZES = (0.25, 0.5, 1.0)  # shares that the search goes through
SCOUT = 1 / 16  # of a whole training: what the hardest examples are found with

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def stratified_sample(labels: Tensor, *, fraction: float, generator: torch.Generator) -> Tensor:
    """Draw the same share of every class; generators of one seed give nested samples.

    Args:
        labels: Classes, whole numbers, (points,), on the CPU.
        fraction: Share of each class to keep, above 0 and below 1; at least one point of each is kept.
        generator: Source of randomness.

    Returns:
        Indices of the chosen points, ascending, (chosen,).

    Raises:
        ValueError: `labels` is of another form or holds NaN; `fraction` is out of range, so large that no
            point would be left out, or so small that one point of each class is more than twice the share.
    """
    if not isinstance(labels, Tensor):
        raise ValueError(
            f"labels: expected a tensor, got {type(labels).__name__}; pass torch.as_tensor(labels)"
        )
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(
            f"labels: expected one class a point, (points,), got {tuple(labels.shape)}; of one-hot rows pass "
            "labels.argmax(1)"
        )
    if labels.device.type != "cpu":
        raise ValueError(f"labels: expected them on the CPU, got {labels.device}; pass labels.cpu()")
    if not labels.isfinite().all():
        raise ValueError(
            "labels: expected a class for each point, got NaN or infinity; leave these points out"
        )
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected above 0 and below 1, got {fraction:g}")
    order = torch.randperm(len(labels), generator=generator)
    classes = [order[labels[order] == label] for label in torch.unique(labels)]
    chosen = torch.cat([members[: max(1, round(fraction * len(members)))] for members in classes])
    if len(chosen) == len(labels):
        raise ValueError(
            f"a share of {fraction:g} leaves out none of {len(labels)} points; take a smaller one"
        )
    if len(chosen) > 2 * math.ceil(fraction * len(labels)):
        raise ValueError(
            f"a share of {fraction:g} would keep {len(chosen)} of {len(labels)} points, as one of each of "
            f"{len(classes)} classes is kept; take a larger share, or join rare classes"
        )
    return chosen.sort().values


def smallest_sufficient_fraction(
    score: Callable[[float], float], *, fractions: Sequence[float], tolerance: float
) -> float:
    """Grow a sample until the points left out can hardly add anything.

    A learning curve flattens over the logarithm of the number of points, so the last gain per doubling, times
    the doublings still to come, bounds what is given away. The sizes before the answer are learned from too.

    Args:
        score: Learns from a sample of this size and returns its quality on held-out data; higher is better.
        fractions: Sizes to try, ascending, the last one 1.
        tolerance: Quality that may be given away, in the unit of `score`.

    Returns:
        The size to use; it is the last one that `score` was called with.

    Raises:
        ValueError: `fractions` has fewer than two sizes, does not ascend, or does not end with 1.
    """
    if (
        len(fractions) < 2
        or fractions[-1] != 1
        or any(small >= large for small, large in pairwise(fractions))
    ):
        raise ValueError(f"fractions: expected two or more, ascending, the last one 1, got {list(fractions)}")
    quality = score(fractions[0])
    for smaller, fraction in pairwise(fractions):
        before, quality = quality, score(fraction)
        gain_per_doubling = (quality - before) / math.log2(fraction / smaller)
        if gain_per_doubling * math.log2(1 / fraction) <= tolerance:
            break
    return fraction


# --8<-- [end:tactic]
# --- Arms: all but the search spend the passes that the tactic does ----------------------------------------


def labelled(study: Study) -> tuple[Tensor, Tensor]:
    """Return training inputs, (examples, ...), and their classes, (examples,), as `examples` numbers them."""
    give = getattr(study.subject.module, "labelled_training_examples", None)
    if give is None:
        raise CannotRun(
            f"{study.subject.name}: expected labelled_training_examples(), which returns inputs, (examples, "
            "...), and classes, (examples,), in the order in which train(model, epochs, *, examples=None) "
            "numbers them, got none; this recipe draws by class"
        )
    inputs, labels = give()
    return inputs.to(study.subject.device), labels.cpu()


def drawn(study: Study, share: float) -> Tensor:
    """Return a stratified sample, (chosen,); that of a smaller share is part of that of a larger one."""
    _, labels = labelled(study)
    return stratified_sample(labels, fraction=share, generator=torch.Generator().manual_seed(study.seed))


def learn(study: Study, chosen: Tensor) -> nn.Module:
    """Train a net on the examples of these numbers, (chosen,), for what is left of the passes."""
    _, labels = labelled(study)
    passes = 3 * SHARE * study.budget_epochs * len(labels) - study.ledger.passes
    net = study.fresh()
    study.train(net, passes / (3 * len(chosen)), examples=chosen)
    return net


def tactic(study: Study) -> Nets:
    """Learn from the same share of each class."""
    chosen = drawn(study, SHARE)
    yield f"{len(chosen):,} examples", learn(study, chosen)


def random_sample(study: Study) -> Nets:
    """Learn from as many examples of whatever class: the tactic's choice replaced by none."""
    _, labels = labelled(study)
    chosen = torch.randperm(len(labels))[: len(drawn(study, SHARE))]
    yield f"{len(chosen):,} examples", learn(study, chosen)


def shorter_on_all(study: Study) -> Nets:
    """Plan a shorter training on all examples, its schedule with it: leave out passes, not examples."""
    _, labels = labelled(study)
    yield f"all {len(labels):,} examples", learn(study, torch.arange(len(labels)))


def hardest(study: Study) -> Nets:
    """Learn from the examples that a net is furthest from after a short training on all."""
    inputs, labels = labelled(study)
    scout = study.fresh()
    study.train(scout, SCOUT * study.budget_epochs)
    order = error_norms(scout, inputs, labels).argsort(descending=True)
    study.ledger.judged += len(labels)
    chosen = order[: len(drawn(study, SHARE))]
    yield f"{len(chosen):,} examples", learn(study, chosen)


@torch.no_grad()
def error_norms(net: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return how far the probabilities are from the class, by the Euclidean norm, (examples,): EL2N."""
    logits = torch.cat([net(batch).float().cpu() for batch in torch.split(inputs, 500)])
    errors = logits.softmax(1) - F.one_hot(labels, logits.shape[1])  # (examples, classes)
    norms: Tensor = torch.linalg.vector_norm(errors, dim=1)
    return norms


def grown_sample(study: Study) -> Nets:
    """Search for the share with trainings of growing samples; all of them are paid for."""
    nets = dict[float, nn.Module]()

    def score(share: float) -> float:
        nets[share] = study.fresh()
        study.train(nets[share], study.budget_epochs, examples=drawn(study, share) if share < 1 else None)
        return study.quality(nets[share])

    share = smallest_sufficient_fraction(score, fractions=SIZES, tolerance=study.tolerance)
    yield f"{share:.0%} of the examples", nets[share]


ARMS = (tactic, random_sample, shorter_on_all, hardest, grown_sample)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
