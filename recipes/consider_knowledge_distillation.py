"""A large net teaches a small one of its kind, which answers in its place.

After Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531). The student is
the net as given with all layers narrower by one share; the loss stands in `recipes/common/trial/rivals.py`.
The teacher answers each example once, and all students are trained for as long as it was, the baseline for
longer. Rivals of the student's size: the same student on labels alone, for as many examples, and for as many
multiplications as teacher and student took together; with smoothed labels (Szegedy et al., "Rethinking the
Inception Architecture", 2015, arXiv 1512.00567); at a temperature of 1; and the teacher itself, cut by the
norm of channels and trained on.

`break_even_answers` charges the training of the teacher to whoever needs it, `..._teacher_there` does not.

    python -m recipes.consider_knowledge_distillation --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipes.common.run.contract import Metric
from recipes.common.trial import command
from recipes.common.trial.costs import cost_of
from recipes.common.trial.rivals import Nets, cut_by_norm, distillation, with_random_weights
from recipes.common.trial.study import Study, lifetime_examples
from recipes.decrease_model_complexity import narrower

TACTIC = "consider-knowledge-distillation"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "mobilenet_fashion"}
COST = "macs"
TAUGHT = True
DRAWS_MORE = {
    "labels_for_the_whole_cost": "It takes as many multiplications as teacher and student together, and its "
    "net is a small part of the teacher."
}
SHARES = (0.3, 0.6)  # of the multiply-accumulates: the students of a curve
TEMPERATURE = 4.0  # that of the other recipes here with a teacher; not searched for
SMOOTHED = 0.1  # part of a label that is spread over all classes

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
class RememberedTeacher(nn.Module):
    """Answers of a trained net, each example asked about once, however many epochs a student takes.

    A student's loss is a share of its own, and the divergence of its softened answers from these. Data that
    are augmented anew are new examples each time: take the trained net itself then.
    """

    def __init__(self, net: nn.Module) -> None:
        """Hold a net in evaluation mode, and no answer."""
        super().__init__()
        self.net, self.answers = net, dict[int, Tensor]()

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the net says, (batch, ...), to inputs, (batch, ...)."""
        keys = [hash(each.numpy().tobytes()) for each in inputs.cpu()]
        new = [place for place, key in enumerate(keys) if key not in self.answers]
        if new:
            told = self.net(inputs[new])
            self.answers |= {keys[place]: answer for place, answer in zip(new, told, strict=True)}
        return torch.stack([self.answers[key] for key in keys])


def answers_to_repay(spent: float, large: float, small: float) -> float:
    """Return how many answers of a small net, in place of a large one, save what was spent on training."""
    return spent / (large - small) if small < large else float("inf")


# --8<-- [end:tactic]
# --- What a net took -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """Multiply-accumulates that led to a net; learning from an example takes three times an answer's."""

    large: float
    """Of an answer of the teacher."""
    own: float
    """Of training the net, and of asking the teacher."""
    teacher: float
    """Of training the teacher, where the net needs one."""


def booked(study: Study, net: nn.Module, examples: int, asked: int = 0, *, needs_teacher: bool) -> nn.Module:
    """Write down what a net took that has now learned from so many examples."""
    large, teacher = study.cost(study.copy()), 0.0
    if needs_teacher:
        teacher = 3 * large * lifetime_examples(study.copy())
    vars(net)["_spent"] = Spent(large, 3 * study.cost(net) * examples + large * asked, teacher)
    return net


def extra_costs(net: nn.Module, inputs: Tensor) -> dict[str, Metric]:
    """Return after how many answers a net is paid back; of one that saves nothing, nothing."""
    spent: Spent | None = vars(net).get("_spent")
    if spent is None or (small := cost_of(net, inputs, "macs")) >= spent.large:
        return {}
    text = "Answers that save the multiply-accumulates of training, {}; against the net as given."
    whole = answers_to_repay(spent.own + spent.teacher, spent.large, small)
    alone = answers_to_repay(spent.own, spent.large, small)
    there = text.format("the teacher's left out")
    return {
        "break_even_answers": Metric(
            whole, "count", "lower", "counted", text.format("that of a teacher included")
        ),
        "break_even_teacher_there": Metric(alone, "count", "lower", "counted", there),
    }


# --- Arms ------------------------------------------------------------------------------------------------


def taught(study: Study, net: nn.Module, teacher: RememberedTeacher, temperature: float) -> nn.Module:
    """Let a teacher teach a net; what others have asked it already is charged as if this net had asked."""
    before = study.ledger.examples
    study.train(net, study.dense_epochs, **distillation(teacher, temperature=temperature))
    examples = study.ledger.examples - before
    return booked(study, net, examples, len(teacher.answers), needs_teacher=True)


def student(study: Study) -> nn.Module:
    """Return the net that the tactic found, with its random weights of the beginning."""
    assert study.found is not None
    return with_random_weights(study.found, study)


def tactic(study: Study) -> Nets:
    """Teach students of several widths."""
    teacher = RememberedTeacher(study.copy())
    for share in SHARES:
        narrow = narrower(study.fresh(), study.inputs, study.cost, share=share)
        net = with_random_weights(narrow, study)
        yield f"{share:.0%} of the operations", taught(study, net, teacher, TEMPERATURE)


def tactic_with_temperature_1(study: Study) -> Nets:
    """Teach the student what the teacher says, not softened."""
    yield "temperature 1", taught(study, student(study), RememberedTeacher(study.copy()), 1.0)


def labels_alone(study: Study) -> Nets:
    """Train the student without a teacher, for as many examples."""
    net = student(study)
    study.train(net, study.dense_epochs)
    yield "labels alone", booked(study, net, study.ledger.examples, needs_teacher=False)


def labels_for_the_whole_cost(study: Study) -> Nets:
    """Train it without a teacher for what teacher and student took together."""
    net = student(study)
    spent: Spent = vars(study.found)["_spent"]
    epochs = (spent.own + spent.teacher) / (3 * study.cost(net) * study.epoch_examples)
    study.train(net, epochs)
    yield f"{epochs:.0f} epochs", booked(study, net, study.ledger.examples, needs_teacher=False)


def smoothed_labels(study: Study) -> Nets:
    """Take the same part of each label away from it and give it to all classes alike."""

    def spread(outputs: Tensor, _: Tensor) -> Tensor:
        return -SMOOTHED * outputs.float().log_softmax(-1).mean()

    net = student(study)
    study.train(net, study.dense_epochs, add=spread, own_weight=1 - SMOOTHED)
    yield "smoothed labels", booked(study, net, study.ledger.examples, needs_teacher=False)


def cut_teacher(study: Study) -> Nets:
    """Cut the teacher to the student's cost by the norm of channels, and train on."""
    share = study.cost(student(study)) / study.cost(study.copy())
    for label, net in cut_by_norm(study, (share,), "operations"):
        yield label, booked(study, net, study.ledger.examples, needs_teacher=True)


ARMS = (
    tactic,
    tactic_with_temperature_1,
    labels_alone,
    labels_for_the_whole_cost,
    smoothed_labels,
    cut_teacher,
)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
