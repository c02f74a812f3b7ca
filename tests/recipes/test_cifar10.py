"""CIFAR-10 is read from a user's folder, in its binary version."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.common.nets import data
from recipes.common.run.contract import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six small files of the format: label, then 1,024 bytes of red, green and blue."""
    monkeypatch.setattr(data, "CIFAR10_VALIDATION_COUNT", 4)
    files = tmp_path / data.CIFAR10_FOLDER
    files.mkdir()
    generator = np.random.default_rng(0)
    for name in (*data.CIFAR10_TRAIN_FILES, data.CIFAR10_TEST_FILE):
        rows = generator.integers(0, 256, (4, 3073), dtype=np.uint8)
        rows[:, 0] = (0, 3, 9, 1)
        rows[:, 1:1025] = 255  # red is constant but for one pixel
        rows[0, 1] = 0
        (files / name).write_bytes(rows.tobytes())
    return tmp_path


@pytest.mark.parametrize("below", [True, False])
def test_the_splits_are_disjoint_and_standardised(folder: Path, below: bool) -> None:
    images = data.load_images_or_cifar10(("cifar-10",), folder if below else folder / data.CIFAR10_FOLDER)
    assert (images.used.train_count, images.used.validation_count, images.used.test_count) == (16, 4, 4)
    assert images.train_images.shape == (16, 3, 32, 32)
    assert images.test_labels.tolist() == [0, 3, 9, 1]
    torch.testing.assert_close(images.train_images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    rows = torch.cat([images.train_images, images.validation_images]).flatten(1)
    assert len({tuple(row[1500:1510].tolist()) for row in rows}) == 20


def test_the_environment_names_the_folder_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENTACTICS_DATA", str(folder))
    assert data.load_images_or_cifar10(("cifar-10", "digits")).used.name == "CIFAR-10"
    assert capsys.readouterr().err == "data: CIFAR-10 (16 training images)\n"


def test_without_the_files_the_next_data_set_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENTACTICS_DATA", raising=False)
    assert data.load_images_or_cifar10(("cifar-10", "digits")).used.name == "digits"
    assert data.load_images_or_cifar10(("digits",)).used.name == data.load_images(("digits",)).used.name


def test_without_the_files_and_a_next_name_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no files of CIFAR-10 found; unpack the binary version.*--data-dir"):
        data.load_images_or_cifar10(("cifar-10",), tmp_path)


def test_a_missing_or_damaged_file_is_named(folder: Path) -> None:
    damaged = folder / data.CIFAR10_FOLDER / "data_batch_3.bin"
    damaged.write_bytes(b"123")
    with pytest.raises(UserError, match=r"data_batch_3\.bin: expected a multiple of 3,073 bytes, found 3; "):
        data.load_images_or_cifar10(("cifar-10",), folder)
    damaged.unlink()
    with pytest.raises(UserError, match=r"data_batch_3\.bin: cannot be read \(No such file or directory\)"):
        data.load_images_or_cifar10(("cifar-10",), folder)
