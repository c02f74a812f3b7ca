"""Work that is killed and started again: lifetimes, and what happens when it never ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes import use_checkpoints_during_training as recipe
from recipes.common.run.contract import UserError
from recipes.use_checkpoints_during_training import lifetimes, run_until_done


class FakeProcess:
    exitcode = -9

    def __init__(self, target: Callable[..., None], args: tuple[object, ...]) -> None:
        self.target, self.args = target, args

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


@pytest.mark.parametrize(
    ("exitcode", "error", "message"),
    [
        (-9, UserError, "most_attempts: all 3 attempts were killed, after 4 steps on average; allow more"),
        (1, RuntimeError, "an attempt ended with exit code 1"),
    ],
)
def test_hopeless_and_failing_attempts_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exitcode: int, error: type[Exception], message: str
) -> None:
    monkeypatch.setattr(FakeProcess, "exitcode", exitcode)
    monkeypatch.setattr(recipe.multiprocessing, "get_context", lambda _: recipe.multiprocessing)
    monkeypatch.setattr(recipe.multiprocessing, "Process", FakeProcess)
    config = recipe.Config(epochs=1, mean_between_failures=0.8, most_attempts=3)
    (tmp_path / "costs.json").write_text('{"start_cpu_s": 1, "cpu_s": 2}')
    with pytest.raises(error, match=message):
        run_until_done(recipe.Job(config, tmp_path, seed=0, epoch=5), interval=None)


def test_lifetimes_are_exponential_and_follow_from_the_seed() -> None:
    drawn = [next(lifetimes(100.0, seed)) for seed in range(4000)]
    assert drawn == [next(lifetimes(100.0, seed)) for seed in range(4000)]
    assert sum(drawn) / 4000 == pytest.approx(99.5, rel=0.06)
    assert sum(life >= 100 for life in drawn) / 4000 == pytest.approx(math.exp(-1), abs=0.03)
