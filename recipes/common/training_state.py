"""The state of a training on disk: written whole or not at all, checked when it is read.

Needs torch and nothing else of this project: copy the file together with `train_with_checkpoints`.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch


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


def restore(parts: Mapping[str, Part], state: Mapping[str, Any]) -> None:
    """Put back what `snapshot` returned.

    Raises:
        ValueError: It holds other parts.
    """
    if set(parts) != set(state["parts"]):
        raise ValueError(f"expected a checkpoint of {sorted(parts)}, got {sorted(state['parts'])}")
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
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
        ValueError: There are checkpoints, and all of them are damaged.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return step_of(path), read_checkpoint(path)
        except ValueError as error:
            warnings.warn(f"{error}; taking the one before", stacklevel=2)
    if paths:
        raise ValueError(
            f"{folder}: all {len(paths)} checkpoints are damaged; empty the folder to start anew"
        )
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in one checkpoint.

    Raises:
        ValueError: It is damaged.
    """
    content = memoryview(path.read_bytes())
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError(f"{path}: damaged, the checksum does not match")
    state: dict[str, Any] = torch.load(io.BytesIO(content[32:]), weights_only=True)
    return state


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    return sorted(folder.glob("step-*.pt"))


def newest_step(folder: Path) -> int:
    """Return how many steps had been done when the newest checkpoint was written; 0 where there is none."""
    return max(map(step_of, list_checkpoints(folder)), default=0)


def step_of(path: Path) -> int:
    """Return how many steps had been done when a checkpoint was written."""
    return int(path.stem.removeprefix("step-"))
