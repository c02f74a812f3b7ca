"""The state of a training on disk: written whole or not at all, checked when it is read.

Needs torch and nothing else of this project: copy the file together with `train_with_checkpoints`.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

_UNREADABLE = (pickle.PickleError, AttributeError, EOFError, KeyError, RuntimeError, ValueError)
"""What torch raises for what it cannot write, or does not read back without running code."""


class Part(Protocol):
    """What a training is made of: net, optimiser, schedule, order of the data."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, lists and dictionaries."""

    def load_state_dict(self, state_dict: Any) -> object:  # noqa: ANN401 - torch's own classes differ
        """Take a state back."""


def snapshot(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return the state of all parts and of torch's random generators."""
    state = {name: part.state_dict() for name, part in parts.items()}
    return {"parts": state, "random": torch.get_rng_state(), "random_cuda": torch.cuda.get_rng_state_all()}


def require_restorable(parts: Mapping[str, Part]) -> None:
    """Check that the state of each part can be written and read back, while nothing is lost yet.

    Raises:
        ValueError: There are no parts, or one has no state or such that could not be read back.
    """
    if not parts:
        raise ValueError(
            "parts: expected all that changes while training, such as net and optimiser, got none"
        )
    for name, part in parts.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise ValueError(
                f"part {name!r}: expected state_dict and load_state_dict, got {type(part).__name__} without; "
                "wrap it in a class that has both"
            )
        buffer = io.BytesIO()
        try:
            torch.save(part.state_dict(), buffer)
            buffer.seek(0)
            torch.load(buffer, weights_only=True)
        except (*_UNREADABLE, TypeError) as error:
            raise ValueError(
                f"part {name!r}: its state could not be read back after a failure ({_first_line(error)}); "
                "let state_dict return tensors, numbers, texts, lists and dictionaries only: an array as "
                "torch.as_tensor(array), a generator of numpy as generator.bit_generator.state"
            ) from None


def restore(parts: Mapping[str, Part], state: Mapping[str, Any]) -> None:
    """Put back what `snapshot` returned.

    Raises:
        ValueError: It holds other parts, does not fit one of them, in which case those before it have been
            put back, or is of a machine with more GPUs.
    """
    if not {"parts", "random", "random_cuda"} <= set(state) or set(parts) != set(state["parts"]):
        raise ValueError(f"expected a checkpoint of {sorted(parts)}, got {sorted(state.get('parts', state))}")
    if len(state["random_cuda"]) > torch.cuda.device_count():
        got = f"{len(state['random_cuda'])} GPUs in the checkpoint and {torch.cuda.device_count()} here"
        raise ValueError(f"expected as many GPUs as the training began with, got {got}; go on where they are")
    for name, part in parts.items():
        try:
            part.load_state_dict(state["parts"][name])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"part {name!r}: the checkpoint does not fit it ({_first_line(error)}); build it as in the "
                "training that wrote the checkpoint, or name another folder"
            ) from None
    torch.set_rng_state(state["random"])
    torch.cuda.set_rng_state_all(state["random_cuda"])


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], *, keep: int = 2) -> None:
    """Write a checkpoint so that a failure at any moment leaves the one before whole.

    It gets its name only when all of it is on the disk, behind its own checksum; older ones than the newest
    `keep` are removed last.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "checkpoint.partial"
    with partial.open("wb") as file:
        file.write(hashlib.sha256(buffer.getbuffer()).digest())
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / f"step-{step:010d}.pt")
    entry = os.open(folder, os.O_RDONLY)
    os.fsync(entry)  # the new name is in the folder, which is a file of its own
    os.close(entry)
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink()


def load_checkpoint(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Return step and state of the newest whole checkpoint; None where none was ever written.

    Raises:
        ValueError: There are checkpoints, and none of them can be read.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return step_of(path), read_checkpoint(path)
        except ValueError as error:
            warnings.warn(f"{error}; taking the one before", stacklevel=2)
    if paths:
        raise ValueError(
            f"{folder}: none of {len(paths)} checkpoints can be read, as the warnings say; move them away to "
            "start anew"
        )
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in one checkpoint.

    Raises:
        ValueError: It is damaged, cannot be opened, or holds what torch does not read without running code.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError(f"{path}: damaged, the checksum does not match")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content[32:]), weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(f"{path}: whole, but cannot be read ({_first_line(error)})") from None
    return state


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if path.stem.removeprefix("step-").isdecimal())


def newest_step(folder: Path) -> int:
    """Return how many steps had been done when the newest checkpoint was written; 0 where there is none."""
    return max(map(step_of, list_checkpoints(folder)), default=0)


def step_of(path: Path) -> int:
    """Return how many steps had been done when a checkpoint was written."""
    return int(path.stem.removeprefix("step-"))


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
