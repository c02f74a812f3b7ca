from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from recipes.common.run.net_files import load_or_train


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path / "weights"))
    return tmp_path / "weights"


class Trainer:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: nn.Module) -> None:
        self.calls += 1
        with torch.no_grad():
            model.weight.fill_(7.0)


def test_trains_once_and_loads_afterwards(folder: Path) -> None:
    train = Trainer()
    for _ in range(3):
        net = load_or_train(nn.Linear(2, 2), ("settings", 0), train)
        assert (net.weight == 7).all()
    assert train.calls == 1
    assert len(list(folder.iterdir())) == 1


def test_another_key_trains_again() -> None:
    train = Trainer()
    for seed in (0, 1):
        load_or_train(nn.Linear(2, 2), ("settings", seed), train)
    assert train.calls == 2


@pytest.mark.parametrize("damage", [b"", b"not weights", None])
def test_damaged_weights_are_trained_again(folder: Path, damage: bytes | None, capsys) -> None:
    train = Trainer()
    load_or_train(nn.Linear(2, 2), "key", train)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    net = load_or_train(nn.Linear(2, 2), "key", train)
    assert train.calls == 2
    assert (net.weight == 7).all()
    assert "damaged" in capsys.readouterr().err
    load_or_train(nn.Linear(2, 2), "key", train)
    assert train.calls == 2


def test_weights_of_another_net_are_not_taken(folder: Path) -> None:
    train = Trainer()
    load_or_train(nn.Linear(2, 2), "key", train)
    assert load_or_train(nn.Linear(3, 2), "key", train).weight.shape == (2, 3)
    assert train.calls == 2


def test_a_folder_that_cannot_be_written_costs_time_only(folder: Path, capsys) -> None:
    folder.write_text("a file in the way")
    train = Trainer()
    assert (load_or_train(nn.Linear(2, 2), "key", train).weight == 7).all()
    assert "not stored" in capsys.readouterr().err


def test_a_failing_training_leaves_nothing(folder: Path) -> None:
    def fail(_: nn.Module) -> None:
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        load_or_train(nn.Linear(2, 2), "key", fail)
    assert not folder.exists()
