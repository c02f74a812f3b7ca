"""CIFAR-10 from a user's folder, beside the data sets of `recipes.common.data`.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. Read in its binary version,
six files of one label byte and 3,072 pixel bytes an image: the Python version is made of pickles, which run
code.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from greentactics.models.datasets import ENVIRONMENT_VARIABLE
from recipes.common import data
from recipes.common.contract import DataUsed
from recipes.common.data import Images
from recipes.common.errors import UserError

NAME = "cifar-10"
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
VALIDATION_COUNT = 5_000
_ROW_BYTES = 1 + 3 * 32 * 32
_CURE = (
    "unpack the binary version of CIFAR-10, linked from cs.toronto.edu/~kriz/cifar.html, and name the folder "
    f"that holds {FOLDER}/ with --data-dir or {ENVIRONMENT_VARIABLE}"
)


def load_images(names: Sequence[str], data_dir: Path | None = None) -> Images:
    """Load the first of the named data sets that is there: as `data.load_images`, and `cifar-10` too.

    Args:
        names: `cifar-10`, `fashion-mnist`, `digits`, in order of preference.
        data_dir: Folder given by the user. A folder without CIFAR-10 is searched for the next name.

    Raises:
        UserError: A file is missing or damaged, or none of the data sets is there.
    """
    if names[0] != NAME:
        return data.load_images(names, data_dir)
    named = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    folder = _folder_below(Path(named)) if named else None
    if folder is not None:
        images = load_cifar10(folder)
        print(f"data: CIFAR-10 ({images.used.train_count:,} training images)", file=sys.stderr)  # noqa: T201
        return images
    if len(names) == 1:
        raise UserError(f"no files of CIFAR-10 found; {_CURE}")
    return data.load_images(names[1:], data_dir)


def load_cifar10(folder: Path) -> Images:
    """Load 45,000 training, 5,000 validation and 10,000 test images, (count, 3, 32, 32).

    Standardised by channel over the training images; the split is fixed.

    Raises:
        UserError: A file is missing, unreadable or not a whole number of images.
    """
    contents = [_read(folder / name) for name in (*TRAIN_FILES, TEST_FILE)]
    rows = [np.frombuffer(content, np.uint8).reshape(-1, _ROW_BYTES) for content in contents]
    known, test = np.concatenate(rows[:-1]), rows[-1].copy()  # torch wants memory it may write to
    shuffled = np.random.RandomState(0).permutation(len(known))  # its stream is frozen
    validation, train = known[shuffled[:VALIDATION_COUNT]], known[shuffled[VALIDATION_COUNT:]]
    tensors = [
        (torch.from_numpy(part[:, 1:].reshape(-1, 3, 32, 32)).float().div_(255), torch.from_numpy(part[:, 0]))
        for part in (train, validation, test)
    ]
    mean = tensors[0][0].mean((0, 2, 3), keepdim=True)
    std = tensors[0][0].std((0, 2, 3), keepdim=True)
    (x_train, y_train), (x_validation, y_validation), (x_test, y_test) = (
        (images.sub_(mean).div_(std), labels.long()) for images, labels in tensors
    )
    checksum = hashlib.sha256("".join(hashlib.sha256(part).hexdigest() for part in contents).encode())
    used = DataUsed("CIFAR-10", checksum.hexdigest(), len(train), len(validation), len(test))
    return Images(x_train, y_train, x_validation, y_validation, x_test, y_test, used)


def _folder_below(named: Path) -> Path | None:
    """Return the folder of the files: the one named, or the usual one below it; None where there is none."""
    return next((path for path in (named / FOLDER, named) if (path / TEST_FILE).is_file()), None)


def _read(path: Path) -> bytes:
    """Read one file of whole images."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_CURE}") from None
    if not content or len(content) % _ROW_BYTES:
        raise UserError(
            f"{path}: expected a multiple of {_ROW_BYTES:,} bytes, found {len(content):,}; {_CURE}"
        )
    return content
