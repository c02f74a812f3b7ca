"""Checkpoints on disk: what is damaged or half written is never taken for whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recipes import use_checkpoints_during_training as recipe
from recipes.use_checkpoints_during_training import (
    list_checkpoints,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)


def state(value: float) -> dict[str, object]:
    return {"weights": torch.full((1000,), value), "step": 3}


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_the_newest_checkpoint_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    for step in (10, 200, 3000):
        save_checkpoint(tmp_path, step, state(step))
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-0000000200.pt", "step-0000003000.pt"]
    step, found = load_checkpoint(tmp_path)
    assert step == 3000
    assert torch.equal(found["weights"], torch.full((1000,), 3000.0))


def test_nothing_is_found_where_nothing_was_written(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "absent") is None


@pytest.mark.parametrize("harm", [damage, cut_short, empty])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_taken(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    save_checkpoint(tmp_path, 1, state(1))
    save_checkpoint(tmp_path, 2, state(2))
    harm(list_checkpoints(tmp_path)[1])
    with pytest.raises(ValueError, match=r"step-0000000002.pt: damaged, the checksum does not match"):
        read_checkpoint(list_checkpoints(tmp_path)[1])
    with pytest.warns(UserWarning, match="damaged.*taking the one before"):
        step, found = load_checkpoint(tmp_path)
    assert step == 1
    assert float(found["weights"][0]) == 1


def test_where_all_are_damaged_nothing_starts_anew_by_itself(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, state(1))
    damage(list_checkpoints(tmp_path)[0])
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(ValueError, match="none of 1 checkpoints can be read, as the warnings say; move them"),
    ):
        load_checkpoint(tmp_path)


def test_a_whole_file_that_torch_does_not_read_and_a_folder_give_way_to_the_one_before(
    tmp_path: Path,
) -> None:
    save_checkpoint(tmp_path, 1, state(1))
    save_checkpoint(tmp_path, 2, {"place": Path("data")})
    (tmp_path / "step-0000000003.pt").mkdir()
    (tmp_path / "step-0000000001 (copy).pt").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match=r"0003.pt: cannot be read \(Is a directory\); taking the one before"),
        pytest.warns(
            UserWarning, match=r"0002.pt: whole, but cannot be read \(UnpicklingError: Weights only"
        ),
    ):
        step, _ = load_checkpoint(tmp_path)
    assert step == 1


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_failure_while_writing_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    save_checkpoint(tmp_path, 1, state(1))

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((recipe.os, "fsync") if moment == "fsync" else (Path, "replace")), fail)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, 2, state(2))
    assert load_checkpoint(tmp_path)[0] == 1
    save_checkpoint(tmp_path, 3, state(3))
    assert load_checkpoint(tmp_path)[0] == 3
