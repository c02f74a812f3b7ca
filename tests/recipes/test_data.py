from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from greentactics.models import datasets
from recipes.common.nets import data
from recipes.common.run.contract import UserError


@pytest.fixture(autouse=True)
def no_files_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENTACTICS_DATA", raising=False)
    monkeypatch.setattr(datasets.platformdirs, "user_data_path", lambda name: tmp_path / "user" / name)


@pytest.fixture(scope="module")
def packed() -> dict[str, bytes]:
    """Four files in the right format with the right number of images, all grey."""
    contents = {}
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0] = np.arange(count) % 256
        labels = (np.arange(count) % 10).astype(np.uint8)
        contents[f"{part}-images-idx3-ubyte.gz"] = struct.pack(">4i", 2051, count, 28, 28) + images.tobytes()
        contents[f"{part}-labels-idx1-ubyte.gz"] = struct.pack(">2i", 2049, count) + labels.tobytes()
    return {name: gzip.compress(content, 1) for name, content in contents.items()}


@pytest.fixture
def folder(tmp_path: Path, packed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with files whose checksums the table has been told."""
    (tmp_path / "data" / "fashion-mnist").mkdir(parents=True)
    files = []
    for name, content in packed.items():
        (tmp_path / "data" / "fashion-mnist" / name).write_bytes(content)
        files.append(datasets.DataFile(name, len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(data, "FASHION_MNIST_FILES", tuple(files))
    return tmp_path / "data"


def test_digits_are_split_once_and_evenly() -> None:
    digits = data.load_digits()
    assert digits.train_images.shape == (897, 1, 16, 16)
    assert (digits.used.train_count, digits.used.validation_count, digits.used.test_count) == (897, 450, 450)
    assert abs(float(digits.train_images.mean())) < 1e-5
    for labels in (digits.train_labels, digits.validation_labels, digits.test_labels):
        counts = labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= 0.1 * len(labels)
    assert torch.equal(digits.train_images, data.load_digits().train_images)


def test_fashion_mnist_is_split_without_overlap(folder: Path) -> None:
    images = data.load_fashion_mnist(folder)
    assert images is not None
    assert images.train_images.shape == (55_000, 1, 28, 28)
    assert images.validation_images.shape == (5_000, 1, 28, 28)
    assert images.test_images.shape == (10_000, 1, 28, 28)
    assert images.train_labels.bincount().sum() == 55_000
    assert (images.train_labels.bincount() + images.validation_labels.bincount()).tolist() == [6_000] * 10
    assert images.test_labels[:3].tolist() == [0, 1, 2]
    assert images.test_images[5, 0, 0, 0] == pytest.approx((5 / 255 - 0.28604) / 0.35302)


def test_the_real_checksums_are_well_formed() -> None:
    assert len(datasets.FASHION_MNIST_FILES) == 4
    for file in datasets.FASHION_MNIST_FILES:
        assert len(bytes.fromhex(file.sha256)) == 32


def test_search_order_is_argument_then_environment_then_user_folder(
    folder: Path, tmp_path: Path, monkeypatch
) -> None:
    assert datasets.find_fashion_mnist(None) is None
    user = tmp_path / "user" / "greentactics"
    user.parent.mkdir()
    user.symlink_to(folder, target_is_directory=True)
    assert datasets.find_fashion_mnist(None) == user / "fashion-mnist"
    monkeypatch.setenv("GREENTACTICS_DATA", str(folder / "fashion-mnist"))
    assert datasets.find_fashion_mnist(None) == folder / "fashion-mnist"
    assert datasets.find_fashion_mnist(tmp_path) is None


def test_without_files_digits_stand_in_with_one_line_that_says_so(capsys) -> None:
    assert data.load_images(("fashion-mnist", "digits")).used.name == "digits"
    (line,) = capsys.readouterr().err.splitlines()
    assert "digits" in line
    assert "greentactics data fetch fashion-mnist" in line


def test_preferred_data_are_named_without_advice(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("GREENTACTICS_DATA", str(folder))
    assert data.load_images(("fashion-mnist", "digits")).used.name == "Fashion-MNIST"
    assert "fetch" not in capsys.readouterr().err


def test_no_data_at_all_is_an_error_with_the_cure() -> None:
    with pytest.raises(UserError, match="greentactics data fetch fashion-mnist"):
        data.load_images(("fashion-mnist",))


def test_a_named_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected the Fashion-MNIST files .* found none"):
        data.load_images(("fashion-mnist", "digits"), tmp_path)


def test_a_missing_file_is_named(folder: Path) -> None:
    path = folder / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz"
    path.unlink()
    with pytest.raises(
        UserError, match=r"t10k-labels-idx1-ubyte.gz: file missing .* run `greentactics data fetch"
    ):
        data.load_fashion_mnist(folder)


def test_a_damaged_file_is_named(folder: Path) -> None:
    path = folder / "fashion-mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(
        UserError, match=r"train-labels-idx1-ubyte.gz: damaged, expected sha256 .* run `greentactics"
    ):
        data.load_fashion_mnist(folder)
