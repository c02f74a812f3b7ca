"""What a reader's file must be like, tried on its untrained net before an hour is spent on it."""

from __future__ import annotations

import copy
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recipes.common.run.contract import UserError
from recipes.common.trial.subject import Subject

LARGEST_ROUNDING = 0.01
"""Share of the scores' deviation that may be lost where they are stored as 16-bit floats."""
_NO_ARRAY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)


def refuse_unfit(subject: Subject) -> None:
    """Refuse a file whose figures would be wrong, or whose run would end in the middle.

    Raises:
        UserError: Saying what of it, what was expected and the cure.
    """
    with torch.random.fork_rng(devices=[]):
        net = subject.build_model().eval()
        _refuse_net(subject, net)
        _refuse_inputs(subject, net)
        _refuse_evaluation(subject, net)


def keeps_apart(subject: Subject) -> bool:
    """Return whether the examples to search with are others than those to test."""
    parts = subject._parts
    return subject._takes_part or not torch.equal(parts["search"], parts["test"])


def _refuse_net(subject: Subject, net: nn.Module) -> None:
    if not list(net.parameters()):
        raise UserError(f"{subject.name}: expected build_model() to return a net with parameters, got none")
    for name, tensor in net.state_dict(keep_vars=True).items():
        if nn.parameter.is_lazy(tensor):
            raise UserError(
                f"{subject.name}: expected build_model() to return weights of known shapes, got {name}, "
                "which waits for a first batch; put one through the net in build_model"
            )
        if isinstance(tensor, Tensor) and tensor.dtype in _NO_ARRAY:
            raise UserError(
                f"{subject.name}: expected weights in float32, got {name} in {tensor.dtype}; build the net "
                "in float32, and let train compute under torch.autocast"
            )
    with torch.no_grad():
        try:
            copy.deepcopy(net)
        except Exception as error:
            raise UserError(
                f"{subject.name}: expected a net that copy.deepcopy can copy ({first_line(error)}); keep "
                "weights as parameters, and use torch.nn.utils.parametrizations to compute others of them"
            ) from error


def _refuse_inputs(subject: Subject, net: nn.Module) -> None:
    """Refuse example inputs that are no tensor, or whose examples do not stand in the first axis."""
    name, inputs = subject.name, subject.module.example_inputs()
    if not isinstance(inputs, Tensor) or inputs.ndim == 0 or len(inputs) < 2:
        got = f"shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise UserError(
            f"{name}: expected example_inputs() to return a tensor of two training inputs or more, "
            f"(examples, ...), got {got}; return some hundred"
        )
    rows = []
    for count in (1, 2):
        try:
            with torch.no_grad():
                outputs = net(inputs[:count].to(subject.device))
        except Exception as error:
            raise UserError(
                f"{name}: expected model(inputs) to take {count} of the example inputs, of shape "
                f"{tuple(inputs[:count].shape)}, in evaluation mode, got {first_line(error)}; wrap a net "
                "that takes more than one tensor in one that takes one, with the examples in the first axis"
            ) from error
        rows.append(len(outputs) if isinstance(outputs, Tensor) and outputs.ndim else 0)
    if rows[0] == rows[1] > 0:
        raise UserError(
            f"{name}: expected the examples in the first axis, got {rows[0]} rows of outputs for one example "
            "input and for two; wrap the net in a module that takes (examples, ...), as batch_first does"
        )


def _refuse_evaluation(subject: Subject, net: nn.Module) -> None:
    """Refuse an evaluation that does not use the net, changes it, or gives scores that cannot be stored."""
    name, before, calls = subject.name, copy.deepcopy(net.state_dict()), list[Any]()
    handle = net.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    try:
        scores = subject.scores(net, "search")
    finally:
        handle.remove()
    if not calls or not all(given and isinstance(given[0], Tensor) for given in calls):
        got = "no call of it" if not calls else "one without a tensor in first place"
        raise UserError(
            f"{name}: expected evaluate(model) to call model(inputs) with one tensor, got {got}; its work is "
            "counted there"
        )
    changed = [key for key, value in net.state_dict().items() if not torch.equal(value, before[key])]
    if net.training or changed:
        got = f"other {changed[0]}" if changed else "it in training mode"
        raise UserError(
            f"{name}: expected evaluate(model) to leave the net as it was, got {got} afterwards; call "
            "model.eval() first in evaluate and leave it so, and model.train() in train"
        )
    lost = (scores - scores.half().double()).abs().max()
    spread = scores.std() if len(scores) > 1 and scores.std() > 0 else scores.abs().max()
    if lost > LARGEST_ROUNDING * spread:
        raise UserError(
            f"{name}: expected scores that 16-bit floats tell apart, got some from {float(scores.min()):.4g} "
            f"to {float(scores.max()):.4g}; scale or shift them in evaluate"
        )


def first_line(error: BaseException) -> str:
    """Return kind and first line of an error."""
    told = str(error).splitlines()
    return f"{type(error).__name__}: {told[0]}" if told else type(error).__name__


def told_in(path: str, error: BaseException) -> str | None:
    """Return where in a reader's file an error was met, and what it was; None where it was not in there."""
    inside = [frame for frame in traceback.extract_tb(error.__traceback__)
              if Path(frame.filename).resolve() == Path(path).resolve()]  # fmt: skip
    if not inside:
        return None
    return f"{path}, line {inside[-1].lineno}, in {inside[-1].name}: {first_line(error)}"
