"""The images of the subjects in this package, in parts that do not meet, and the precision of training."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from greentactics.models.datasets import ENVIRONMENT_VARIABLE, FETCH_COMMAND
from recipes.common.nets.data import load_digits, load_fashion_mnist
from recipes.common.run.contract import DataUsed, UserError

CHOICE_COUNT = 5_000
"""Images of Fashion-MNIST that nets are chosen by, off the training images; others are searched with."""

EXAMPLE_COUNT = 512
"""Training images for calibration and tracing."""
BATCH_JUDGED = 500

SEALED = False
"""Set while an arm runs: only training images and those to search with can be had then, whoever asks."""


@functools.cache
def _parts(name: str) -> tuple[dict[str, tuple[Tensor, Tensor]], DataUsed]:
    """Return images and labels by part, and what they are."""
    images = load_digits() if name == "digits" else load_fashion_mnist()
    if images is None:
        raise UserError(
            f"no files of Fashion-MNIST found in the data folders; run `{FETCH_COMMAND}`, or name a folder "
            f"with --data-dir or {ENVIRONMENT_VARIABLE}"
        )
    held = images.validation_images, images.validation_labels
    train = images.train_images, images.train_labels
    if name == "digits":
        half = len(held[0]) // 2
        search, choice = (held[0][:half], held[1][:half]), (held[0][half:], held[1][half:])
        used = images.used
    else:
        search, choice = held, (train[0][-CHOICE_COUNT:], train[1][-CHOICE_COUNT:])
        train = train[0][:-CHOICE_COUNT], train[1][:-CHOICE_COUNT]
        held_count = len(search[0]) + len(choice[0])
        used = replace(images.used, train_count=len(train[0]), validation_count=held_count)
    test = images.test_images, images.test_labels
    return {"train": train, "search": search, "choice": choice, "test": test}, used


def split(
    name: str, part: str, count: int | None = None, *, like: nn.Module | None = None
) -> tuple[Tensor, Tensor]:
    """Return the first images, (count, 1, height, width), and labels, (count,), of a part.

    Args:
        name: `digits` or `fashion-mnist`.
        part: `train`, `search`, `choice` or `test`.
        count: All of them when None.
        like: A net on whose device they are wanted; the processor when None.

    Raises:
        PermissionError: The part is sealed while an arm runs.
        UserError: The files are not there.
    """
    if SEALED and part in ("choice", "test"):
        raise PermissionError(f"the {part} images are sealed while an arm runs; judge with study.quality")
    parts, _ = _parts(name)
    if part not in parts:
        raise UserError(f"{name}: expected one of {', '.join(parts)}, got {part!r}")
    device = "cpu" if like is None else next(like.parameters()).device
    images, labels = parts[part]
    return images[:count].to(device), labels[:count].to(device)


@dataclass(frozen=True)
class LabelledImages:
    """What a subject says of its images: how nets are judged on them, and which there are."""

    name: str
    """`digits` or `fashion-mnist`."""

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, part: str = "search") -> Tensor:
        """Return 1 where the net is right and 0 where it is not, (examples,)."""
        inputs, labels = split(self.name, part, like=model)
        logits = torch.cat([model(batch) for batch in torch.split(inputs, BATCH_JUDGED)])
        return (logits.argmax(1) == labels).float()

    def example_inputs(self) -> Tensor:
        """Return training images, (512, 1, height, width)."""
        return split(self.name, "train", EXAMPLE_COUNT)[0]

    def labelled_training_examples(self) -> tuple[Tensor, Tensor]:
        """Return training images, (examples, 1, height, width), and classes, as `train` numbers them."""
        return split(self.name, "train")

    def labelled_test_examples(self) -> tuple[Tensor, Tensor]:
        """Return test images, (examples, 1, height, width), and their classes, (examples,)."""
        return split(self.name, "test")

    def data_used(self) -> DataUsed:
        """Return name, checksum and sizes of the data set."""
        return _parts(self.name)[1]


def epochs_of(pool: Tensor, count: int) -> Tensor:
    """Return the numbers of the examples to draw, (count or more,), in a new order each epoch.

    The order depends on torch's seed, and on nothing that a net draws.

    Args:
        pool: Numbers to draw from, (examples,).
        count: Examples to draw.
    """
    generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
    return torch.cat(
        [pool[torch.randperm(len(pool), generator=generator)] for _ in range(1 + count // len(pool))]
    )


def training_autocast() -> torch.autocast:
    """Return a context for the forward pass: bfloat16 where the processor computes in it, else float32.

    Weights, their updates and the losses stay in float32. A recipe that trains under this context names it in
    its docstring; the processor's name in the results tells which of the two it was.
    """
    supported = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=supported)
