"""Nets in files: a trained net with its inputs, for timing, and trained starting weights.

The nets of all arms are saved so that they can be timed in one process. Starting weights are kept on disk so
that the arms of one seed train their common net once.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from recipes.common.nets.checks import fault, label
from recipes.common.run.command_line import write_whole
from recipes.common.run.contract import Deployable, UserError

OPTION = "--save-net"
ENVIRONMENT_VARIABLE = "GREENTACTICS_CACHE"
DEFAULT_FOLDER = Path("build/checkpoints")
"""Where starting weights are kept, unless the variable names another folder."""


def save_net(path: Path, deployable: Deployable) -> None:
    """Write a net and its inputs into one file, whole or not at all.

    Raises:
        UserError: The file cannot be written, a module is of a kind that torch cannot save whole, or the
            net's class cannot be found again by its name.
    """
    if _not_saved(deployable.model):
        raise UserError(f"{OPTION} {path}: the net cannot be saved; {_not_saved(deployable.model)}")
    labels = deployable.test_labels
    apart = replace(
        deployable,
        calibration_inputs=_apart(deployable.calibration_inputs),
        test_inputs=_apart(deployable.test_inputs),
        test_labels=None if labels is None else _apart(labels),
    )
    content = io.BytesIO()  # a full disk is then an OSError, which torch makes something else of
    try:
        torch.save(apart, content)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{OPTION} {path}: the net cannot be saved ({reason}); define its classes and functions at the "
            "top level of a module"
        ) from None
    write_whole(OPTION, path, content.getvalue())


def load_net(path: Path, option: str) -> Deployable:
    """Read a net that `save_net` wrote, ready for inference.

    Reading such a file runs code that the file names: torch can restrict that for tensors but not for whole
    nets. It is safe for files that this machine has just written, and for no others.

    Args:
        path: The file.
        option: Option that named it, for messages.

    Raises:
        UserError: The file is missing, damaged, or holds something else.
    """
    cure = "write one with: python -m recipes.NAME --arm ARM --save-net FILE"
    try:
        found = torch.load(path, weights_only=False, map_location="cpu")
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be read ({error.strerror}); {cure}") from None
    except (EOFError, RuntimeError, ValueError, AttributeError, ImportError, pickle.UnpicklingError) as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise UserError(
            f"{option} {path}: expected a saved net, cannot be loaded ({reason}); {cure}"
        ) from None
    if not isinstance(found, Deployable):
        raise UserError(f"{option} {path}: expected a saved net, found {type(found).__name__}; {cure}")
    found.model.eval()
    return found


def load_or_train(model: nn.Module, key: object, train: Callable[[nn.Module], None]) -> nn.Module:
    """Fill `model` with stored weights, or train it and store them.

    Args:
        model: Freshly built net on the CPU; its tensors are overwritten in place.
        key: All that decides the weights: settings, seed, checksum of the data, source text of the training.
            Its `repr` is hashed together with the version of torch.
        train: Trains the net in place, and gives the same weights each time.

    Returns:
        `model` itself.

    Raises:
        ValueError: The state of the model holds more than tensors, and could not be read back.
    """
    if not all(isinstance(value, torch.Tensor) for value in model.state_dict().values()):
        raise ValueError(
            f"{type(model).__name__}: expected a state of tensors, got other values in it, such as those of "
            "get_extra_state, which could not be read back; keep them as tensors, with register_buffer"
        )
    folder = Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER)
    digest = hashlib.sha256(repr((key, torch.__version__)).encode()).hexdigest()
    path = folder / f"{digest[:32]}.pt"
    if path.exists() and _load_into(model, path):
        return model
    train(model)
    _store(model, path)
    return model


def _not_saved(model: nn.Module) -> str:
    """Return which module torch cannot save whole, why, and what to do, or an empty text."""
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            cure = "pass the net from before torch.jit"
            return fault(label(name, module), "a module of Python code", "TorchScript", cure)
        if parametrize.is_parametrized(module):
            part = next(iter(module.parametrizations))
            cure = f'use torch.nn.utils.parametrize.remove_parametrizations(module, "{part}") on a copy'
            return fault(
                label(name, module), f"a {part} that is a parameter", "one under a parametrisation", cure
            )
    return ""


def _apart(tensor: Tensor) -> Tensor:
    """Return a copy: a slice would be saved together with all that it was cut from."""
    return tensor.detach().cpu().clone()


def _load_into(model: nn.Module, path: Path) -> bool:
    """Load the weights; False, with the model untouched, where the file is damaged or does not fit."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
        if {name: tensor.shape for name, tensor in state.items()} != expected:
            raise ValueError("holds other tensors")
        model.load_state_dict(state)
    except (OSError, EOFError, RuntimeError, ValueError, AttributeError, pickle.UnpicklingError) as error:
        print(f"stored weights {path} are damaged ({type(error).__name__}): training again", file=sys.stderr)  # noqa: T201
        return False
    return True


def _store(model: nn.Module, path: Path) -> None:
    """Write the weights under a temporary name first, so that nobody reads half a file.

    Weights that cannot be stored cost time, not correctness: the run goes on, with a line on stderr.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        os.close(handle)
        try:
            torch.save(model.state_dict(), temporary)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        print(f"weights not stored in {path.parent}: {error.strerror}", file=sys.stderr)  # noqa: T201
