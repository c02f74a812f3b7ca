"""Image data for the recipes, split once and for all into training, validation and test.

Every choice a recipe makes reads the validation split; the test split is read once, for the reported quality.
No augmentation: the arms of a recipe see the same images. The table of files is shared with the catalogue's
command line, which downloads them.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from greentactics.models.datasets import (
    ENVIRONMENT_VARIABLE,
    FASHION_MNIST_FILES,
    FETCH_COMMAND,
    KNOWN_SHA256,
    find_fashion_mnist,
)
from recipes.common.run.contract import DataUsed, UserError

FASHION_MNIST_MEAN, FASHION_MNIST_STD = 0.28604, 0.35302
"""Pixel statistics of the training images on a scale of 0 to 1."""

FASHION_MNIST_VALIDATION_COUNT = 5_000
DIGITS_VALIDATION_COUNT = DIGITS_TEST_COUNT = 450


@dataclass(frozen=True)
class Images:
    """Standardised grey images with class labels, in three splits."""

    train_images: Tensor
    """float32, (count, 1, height, width)."""
    train_labels: Tensor
    """int64, (count,)."""
    validation_images: Tensor
    """As `train_images`; held out of training, for every choice."""
    validation_labels: Tensor
    """As `train_labels`."""
    test_images: Tensor
    """As `train_images`; for the reported quality only."""
    test_labels: Tensor
    """As `train_labels`."""
    used: DataUsed
    """Name, checksum and sizes, for the record."""


def load_images(names: Sequence[str], data_dir: Path | None = None) -> Images:
    """Load the first of the named data sets that is there, and say on stderr which one it is.

    Args:
        names: `fashion-mnist`, `digits`, in order of preference. `digits` come with scikit-learn.
        data_dir: Folder given by the user; naming one rules out a silent fall-back to another data set.

    Raises:
        UserError: A file is missing or damaged, or none of the data sets is there.
    """
    loaders: dict[str, Callable[[Path | None], Images | None]] = {
        "fashion-mnist": load_fashion_mnist,
        "digits": load_digits,
    }
    for name in names:
        images = loaders[name](data_dir)
        if images is not None:
            _say_which(images, preferred=name == names[0])
            return images
    raise UserError(
        f"no files of {names[0]} found in the data folders; run `{FETCH_COMMAND}`, or name a folder with "
        f"--data-dir or {ENVIRONMENT_VARIABLE}"
    )


def load_digits(data_dir: Path | None = None) -> Images:
    """Load scikit-learn's 8x8 digits, enlarged to 16x16: 897 training, 450 validation and 450 test images.

    The split is stratified and fixed.
    """
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    del data_dir  # the images come with scikit-learn
    digits = sklearn_digits()
    pixels = torch.from_numpy(digits.images.astype(np.float32))[:, None] / 16.0
    labels = torch.from_numpy(digits.target.astype(np.int64))
    pixels = pixels.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)  # (1797, 1, 16, 16)
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=DIGITS_TEST_COUNT, random_state=0, stratify=labels
    )
    train, validation = train_test_split(
        rest, test_size=DIGITS_VALIDATION_COUNT, random_state=0, stratify=labels[rest]
    )
    standardised = (pixels - pixels[train].mean()) / pixels[train].std()
    checksum = hashlib.sha256(digits.images.tobytes() + digits.target.tobytes()).hexdigest()
    return _split(standardised, labels, train, validation, test, name="digits", sha256=checksum)


def load_fashion_mnist(data_dir: Path | None = None) -> Images | None:
    """Load Fashion-MNIST: 55,000 training, 5,000 validation, 10,000 test images; None where no file is found.

    Raises:
        UserError: A named folder holds none of the files, or a file is missing, unreadable or damaged.
    """
    folder = find_fashion_mnist(data_dir)
    if folder is None and data_dir is None:
        return None
    if folder is None:
        raise UserError(
            f"{data_dir}: expected the Fashion-MNIST files here or in fashion-mnist/ below, found none; "
            f"run `{FETCH_COMMAND}`"
        )
    contents = {file.name: _read_checked(folder / file.name, file.sha256) for file in FASHION_MNIST_FILES}
    pixels = [_from_idx(contents[f"{part}-images-idx3-ubyte.gz"], 16) for part in ("train", "t10k")]
    classes = [_from_idx(contents[f"{part}-labels-idx1-ubyte.gz"], 8) for part in ("train", "t10k")]
    images = torch.from_numpy(np.concatenate(pixels).reshape(-1, 1, 28, 28)).float()
    images.div_(255).sub_(FASHION_MNIST_MEAN).div_(FASHION_MNIST_STD)
    labels = torch.from_numpy(np.concatenate(classes).astype(np.int64))
    shuffled = np.random.RandomState(0).permutation(60_000)  # its stream is frozen
    return _split(
        images,
        labels,
        train=shuffled[FASHION_MNIST_VALIDATION_COUNT:],
        validation=shuffled[:FASHION_MNIST_VALIDATION_COUNT],
        test=np.arange(60_000, 70_000),
        name="Fashion-MNIST",
        sha256=KNOWN_SHA256["Fashion-MNIST"],
    )


def _split(
    images: Tensor,
    labels: Tensor,
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    *,
    name: str,
    sha256: str,
) -> Images:
    """Cut the arrays into the three splits given by indices."""
    parts = [torch.from_numpy(part) for part in (train, validation, test)]
    train_images, validation_images, test_images = (images[part] for part in parts)
    train_labels, validation_labels, test_labels = (labels[part] for part in parts)
    return Images(
        train_images=train_images,
        train_labels=train_labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
        test_images=test_images,
        test_labels=test_labels,
        used=DataUsed(
            name=name,
            sha256=sha256,
            train_count=len(train),
            validation_count=len(validation),
            test_count=len(test),
        ),
    )


def _read_checked(path: Path, sha256: str) -> bytes:
    """Read and unpack one file after comparing its checksum."""
    cure = f"run `{FETCH_COMMAND}`"
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: file missing beside the other Fashion-MNIST files; {cure}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise UserError(f"{path}: damaged, expected sha256 {sha256}, found {found}; {cure}")
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged, cannot be unpacked ({error}); {cure}") from None


def _from_idx(content: bytes, header_bytes: int) -> npt.NDArray[np.uint8]:
    """Return the values of an IDX file of unsigned bytes."""
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes)


def _say_which(images: Images, *, preferred: bool) -> None:
    """Name the data set on stderr, and how to get the preferred one where it is another."""
    used = images.used
    line = f"data: {used.name} ({used.train_count:,} training, {used.validation_count:,} validation, "
    line += f"{used.test_count:,} test images)"
    if not preferred:
        line += (
            f"; Fashion-MNIST was not found, get it with `{FETCH_COMMAND}` or name its folder with --data-dir"
        )
    print(line, file=sys.stderr)  # noqa: T201 - a recipe talks on stderr
