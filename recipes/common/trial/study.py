"""What an arm sees of a trial: copies of the trained net, counted training, examples to search with.

A subject's `train(model, epochs)` is an ordinary loop that knows nothing of this. What it draws is counted
where it enters the net, steps where its torch optimiser ends them; a further loss enters behind the outputs
of the net, in the backward pass. So a recipe runs on loops of others, and its budget is read, not believed.
"""

from __future__ import annotations

import copy
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from recipes.common.run.contract import CannotRun
from recipes.common.trial.subject import Subject

LOOKED_AT = 512
"""Weights of a net that are looked up in others, to see whether it was copied from them."""

AddedLoss = Callable[[Tensor, Tensor], Tensor]
"""From a batch's outputs and inputs, (batch, ...) both, to one number, a mean over the batch."""


class StopTraining(Exception):  # noqa: N818
    """Raised by `after_step` to end a training; `Study.train` catches it."""


@dataclass
class Ledger:
    """What has been drawn and what that took, of an arm or in the life of a net."""

    examples: int = 0
    """Training examples, counted each time one goes through a net in training mode."""
    steps: int = 0
    """Steps of an optimiser that holds weights of the net."""
    judged: int = 0
    """Examples that went through a net to judge it."""
    cpu_s: float = 0.0
    """Processor time."""
    order: int = 0
    """Checksum of the batches in their order: two nets that drew the same share it."""

    @property
    def passes(self) -> int:
        """Forward passes of one example; learning from one counts as 3, as its backward pass costs 2."""
        return 3 * self.examples + self.judged


def life_of(net: nn.Module) -> Ledger:
    """Return what a net has been trained with; copies of the net take it along."""
    life: Ledger = vars(net).setdefault("_life", Ledger())
    return life


def lifetime_examples(net: nn.Module) -> int:
    """Count the training examples that weights of a net have seen; in a net of nets all of them add up."""
    lives = {id(life): life for module in net.modules() if (life := vars(module).get("_life"))}
    return sum(life.examples for life in lives.values())


@dataclass(frozen=True)
class Trained:
    """Weights of a trained net as they were, by which others are known that were copied from it."""

    values: Tensor
    """Values of its matrices and filters but zero, (values,), sorted."""
    examples: int
    """Training examples that they have seen."""

    @classmethod
    def of(cls, net: nn.Module) -> Trained:
        """Keep what a net holds now."""
        return cls(_weights_of(net).sort().values, lifetime_examples(net))

    def is_source_of(self, net: nn.Module) -> bool:
        """Return whether half of a net's weights or more stand in this one, wherever; looks at some."""
        weights = _weights_of(net)
        if not len(weights) or not len(self.values):
            return False
        some = weights[torch.linspace(0, len(weights) - 1, min(LOOKED_AT, len(weights))).long()]
        places = torch.searchsorted(self.values, some).clamp(max=len(self.values) - 1)
        return bool((self.values[places] == some).float().mean() >= 0.5)


def _weights_of(net: nn.Module) -> Tensor:
    """Return the values of matrices and filters but zero, (values,); biases and scales start alike in all."""
    found = [parameter.detach().flatten() for parameter in net.parameters() if parameter.ndim > 1]
    values = torch.cat([each.float().cpu() for each in found]) if found else torch.empty(0)
    return values[values != 0]


def seed_all(*parts: int) -> None:
    """Seed the global generators of Python, NumPy and torch from these numbers."""
    seed = zlib.crc32(repr(parts).encode())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - loops of readers draw from it
    torch.manual_seed(seed)


@dataclass
class Study:
    """One arm's view of one subject with one seed. Test examples cannot be reached from here."""

    seed: int
    """Of the trial; fixes initial weights and the order of batches."""
    inputs: Tensor
    """Training inputs, (examples, ...), for calibration and tracing."""
    tolerance: float
    """Quality that may be lost, in the subject's unit."""
    dense_epochs: float
    """Epochs that the trained net has had; a net that starts from random weights may have these too."""
    budget_epochs: float
    """Epochs that a copy of the trained net may have on top, as many as the baseline has."""
    subject: Subject
    """Net, training and judgement; while an arm runs, `evaluate` shows the examples to search with alone."""
    cost: Callable[[nn.Module], float]
    """Cost of a net on training inputs, in the unit that the recipe chooses by."""
    dense: nn.Module | None = None
    """The trained net, an own copy of this arm; None in a recipe about training itself."""
    found: nn.Module | None = None
    """The net that was chosen for the tactic, for its rivals; None while baseline and tactic run."""
    ledger: Ledger = field(default_factory=Ledger)
    """What this arm has spent so far, search included."""
    known: list[Trained] = field(default_factory=list)
    """Trained nets that the arm was given, and those that it has trained."""
    is_training: bool = False
    """Whether `train` runs: a step of an optimiser at another time would not be counted, and is refused."""

    def copy(self) -> nn.Module:
        """Return a copy of the trained net, in evaluation mode."""
        if self.dense is None:
            raise CannotRun("expected a recipe that starts from a trained net; start from study.fresh()")
        return copy.deepcopy(self.dense)

    def fresh(self) -> nn.Module:
        """Return the subject's net with the random weights of the seed, in evaluation mode."""
        seed_all(self.seed, 1)
        return self.subject.build_model().eval()

    def epochs_left(self, net: nn.Module) -> float:
        """Return the epochs that a net may still be trained for, by what its weights have seen."""
        if self.dense is None:
            return self.budget_epochs
        seen = self.seen_by(net) / self.epoch_examples
        return self.dense_epochs + self.budget_epochs - seen

    @property
    def epoch_examples(self) -> float:
        """Examples that the subject's loop draws in an epoch, by what the trained net has seen."""
        if self.dense is None:
            raise CannotRun("expected a trained net, by which an epoch is known, got none; take whole epochs")
        return lifetime_examples(self.dense) / self.dense_epochs

    def seen_by(self, net: nn.Module) -> int:
        """Return the training examples that weights of a net have seen in all their life.

        A net that was filled with weights of a trained one, by `load_state_dict` or otherwise, has its life.
        """
        return max(
            [lifetime_examples(net), *(each.examples for each in self.known if each.is_source_of(net))]
        )

    def quality(self, net: nn.Module) -> float:
        """Return the mean score on the examples to search with; where less is better, its negative."""
        self.ledger.judged += self.subject.count("search")
        return float(self.subject.scores(net, "search").mean())

    def answers(self, net: nn.Module) -> tuple[Tensor, Tensor]:
        """Return what a net gives, (examples, ...), and its scores, (examples,), on those to search with.

        For choices that need more than a mean, such as of a threshold on what a net says.
        """
        self.ledger.judged += self.subject.count("search")
        return self.subject.answers(net)

    def train(
        self,
        net: nn.Module,
        epochs: float,
        *,
        add: AddedLoss | None = None,
        own_weight: float = 1.0,
        after_step: Callable[[], None] | None = None,
        rate: float = 1.0,
        examples: Tensor | None = None,
    ) -> None:
        """Train in place with the subject's loop; nets of one age draw the same batches.

        Args:
            net: A net that takes what the subject's net takes; in evaluation mode afterwards.
            epochs: Passes over the training examples. Where the subject's loop takes whole ones, they are
                rounded down, and less than one is one that is cut short, its schedule of rates with it.
            add: A loss that is added to `own_weight` times the subject's own.
            own_weight: Weight of the subject's own loss.
            after_step: Called after each step of the optimiser; may raise `StopTraining`.
            rate: Factor on the learning rate of the subject's optimiser.
            examples: Numbers of the training examples to use, (chosen,).

        Raises:
            CannotRun: The loop does not train this net with a torch optimiser, or cannot do what is asked
            for.
        """
        if epochs <= 0:
            return
        life = life_of(net)
        life.examples += self.seen_by(net) - lifetime_examples(net)
        before = life.examples, life.steps
        most = float("inf")
        if self.subject.takes_whole_epochs and round(epochs, 2) < 1:
            most = life.examples + epochs * self.epoch_examples
        seed_all(self.seed, 2, life.steps)  # by age: a copy that is trained on draws what the baseline draws
        with _Taking(self, net, add, own_weight, after_step, rate, most), suppress(StopTraining):
            self.subject.train(net, epochs, examples)
        net.eval()
        self.known.append(Trained.of(net))
        for name, now, was in (("batch", life.examples, before[0]), ("step", life.steps, before[1])):
            if now == was:
                raise CannotRun(
                    f"{self.subject.name}: expected train(model, epochs) to put batches through the model in "
                    f"training mode and to step a torch.optim optimiser of its weights, got no {name}; train "
                    "the model that is handed in"
                )


class _Taking:
    """Takes part in a training that knows nothing of it: counts, adds a loss, scales the rate."""

    def __init__(
        self,
        study: Study,
        net: nn.Module,
        add: AddedLoss | None,
        own_weight: float,
        after_step: Callable[[], None] | None,
        rate: float,
        most_examples: float,
    ) -> None:
        self._study, self._subject = study, study.subject.name
        self._net, self._add, self._own_weight = net, add, own_weight
        self._after_step, self._rate, self._life = after_step, rate, life_of(net)
        self._most_examples = most_examples
        self._weights = {id(parameter) for parameter in net.parameters()}
        self._batch: Tensor | None = None
        self._batches_since_step, self._clock_s = 0, 0.0
        self._handles: list[Any] = []

    def __enter__(self) -> None:
        self._study.is_training, self._clock_s = True, time.process_time()
        self._handles = [
            self._net.register_forward_pre_hook(self._drawn),
            self._net.register_forward_hook(self._answered),
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._stepped),
        ]

    def __deepcopy__(self, _: object) -> _Taking:
        """Stay one: a loop may copy the net, to keep a mean of its weights; the copy is not counted."""
        return self

    def __exit__(self, *_: object) -> None:
        self._study.is_training = False
        for handle in self._handles:
            handle.remove()
        self._book_time()

    def _book_time(self) -> None:
        now_s = time.process_time()
        self._life.cpu_s, self._clock_s = self._life.cpu_s + now_s - self._clock_s, now_s

    def _drawn(self, net: nn.Module, arguments: tuple[Any, ...]) -> None:
        if net is not self._net:
            return
        if not arguments or not isinstance(arguments[0], Tensor):
            got = type(arguments[0]).__name__ if arguments else "keywords alone"
            raise CannotRun(
                f"{self._subject}: expected model(inputs) with one tensor in first place, got {got}; "
                "wrap the net in a module that takes it so"
            )
        if net.training and torch.is_grad_enabled():
            self._batch = arguments[0].detach()
            self._batches_since_step += 1
            for ledger in (self._study.ledger, self._life):
                ledger.examples += len(self._batch)
            seen = self._batch.double().sum().cpu().numpy().tobytes()
            self._life.order = zlib.crc32(seen, self._life.order)

    def _answered(self, net: nn.Module, _: tuple[Any, ...], outputs: object) -> object:
        learns = net is self._net and net.training and torch.is_grad_enabled()
        if self._add is None or self._batch is None or not learns:
            return outputs
        if not isinstance(outputs, Tensor):
            raise CannotRun(
                f"{self._subject}: expected one tensor as output, got {type(outputs).__name__}, to "
                "which no loss can be added; wrap the net in a module that returns the tensor alone"
            )
        if self._batches_since_step > 1:
            raise CannotRun(
                f"{self._subject}: expected a step after each batch, got several batches a step, of "
                "which each would weigh an added loss whole; step after each batch"
            )
        return _AddLoss.apply(outputs, self._add(outputs, self._batch), self._own_weight)  # type: ignore[no-untyped-call]

    def _holds_weights(self, optimizer: torch.optim.Optimizer) -> bool:
        return any(id(p) in self._weights for group in optimizer.param_groups for p in group["params"])

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        if self._holds_weights(optimizer):
            for group in optimizer.param_groups:
                group["lr"] *= self._rate

    def _stepped(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        if not self._holds_weights(optimizer):
            return
        for group in optimizer.param_groups:
            group["lr"] /= self._rate
        self._batches_since_step = 0
        for ledger in (self._study.ledger, self._life):
            ledger.steps += 1
        self._book_time()
        if self._after_step is not None:
            self._after_step()
        if self._life.examples >= self._most_examples:
            raise StopTraining


class _AddLoss(torch.autograd.Function):
    """Passes outputs on; backwards it weighs their gradient, and gives the added loss a gradient of 1."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, _: Tensor, own_weight: float) -> Tensor:  # noqa: ANN401
        ctx.own_weight = own_weight
        return outputs.view_as(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        return ctx.own_weight * gradients[0], gradients[0].new_ones(()), None


@contextmanager
def uncounted_steps_refused(study: Study) -> Iterator[None]:
    """Refuse any step of a torch optimiser outside of `Study.train` while the block runs.

    Raises:
        CannotRun: There was one.
    """

    def refuse(*_: object) -> None:
        if not study.is_training:
            raise CannotRun(
                "expected training by study.train, got a step of an optimiser outside of it, which no ledger "
                "sees; train there"
            )

    handle = register_optimizer_step_post_hook(refuse)
    try:
        yield
    finally:
        handle.remove()
