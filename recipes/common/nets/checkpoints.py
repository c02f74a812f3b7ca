"""Trained starting weights, kept on disk so that the arms of one seed train their common net once."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

ENVIRONMENT_VARIABLE = "GREENTACTICS_CACHE"
DEFAULT_FOLDER = Path("build/checkpoints")


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
