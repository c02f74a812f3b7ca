"""Files that hold a trained net with its inputs, so that the nets of all arms can be timed in one process."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from recipes.common.nets.checks import fault, label
from recipes.common.run.command_line import write_whole
from recipes.common.run.contract import Deployable, UserError

OPTION = "--save-net"


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


def _apart(tensor: Tensor) -> Tensor:
    """Return a copy: a slice would be saved together with all that it was cut from."""
    return tensor.detach().cpu().clone()
