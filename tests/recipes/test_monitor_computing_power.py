"""Parts that are told apart, a training whose slow forms change nothing, and what is put back."""

from __future__ import annotations

import time

import pytest
import torch

from recipes import monitor_computing_power as recipe
from recipes.common.nets.data import load_images
from tests.recipes.fake_meter import FakeMeter


def test_processor_time_is_added_up_by_part_also_where_a_part_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 1.0, 3.0, 5.0, 9.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    meter = recipe.PartMeter()
    for name in ("read", "save"):
        with meter.part(name):
            pass
    with pytest.raises(ValueError, match="no"), meter.part("read"):
        raise ValueError("no")
    assert meter.cpu_s == {"read": 5.0, "save": 2.0}


def test_the_part_that_rose_most_is_not_the_dearest_and_may_be_new() -> None:
    before = {"read": 1.0, "backward": 9.0, "save": 1.0}
    assert recipe.risen_most(before, {"read": 1.5, "backward": 9.2, "save": 3.0}) == "save"
    assert recipe.risen_most(before, {"read": 1.5, "backward": 9.2, "log": 0.6}) == "log"


@pytest.mark.parametrize("slow", recipe.PARTS)
def test_a_slow_part_changes_nothing_but_time(slow: str) -> None:
    data = load_images(("digits",))
    nets = []
    for part in ("", slow):
        training = recipe.TrainingInParts(recipe.SMOKE, data, 0, part)
        for _ in range(5):
            training.step()
        nets.append(training.net)
    assert all(torch.equal(*pair) for pair in zip(*(net.parameters() for net in nets), strict=True))


@pytest.mark.parametrize("watch", [recipe.parts_by_clock, recipe.parts_by_profiler])
def test_a_part_that_is_far_slower_is_found(watch: recipe.Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_images(("digits",))
    before = watch(recipe.TrainingInParts(recipe.SMOKE, data, 0, ""), 4)
    assert set(recipe.PARTS) <= set(before)
    sound = recipe.judged

    def slow(*given: object) -> tuple[float, float]:
        until_s = time.process_time() + 0.2
        while time.process_time() < until_s:
            pass
        return sound(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(recipe, "judged", slow)
    assert recipe.risen_most(before, watch(recipe.TrainingInParts(recipe.SMOKE, data, 0, ""), 4)) == "judge"


def test_the_whole_alone_finds_what_is_put_back_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    training = recipe.TrainingInParts(recipe.SMOKE, load_images(("digits",)), 0, "forward")
    takes = {"forward": 8.0, "": 3.0}
    monkeypatch.setattr(recipe, "whole_by_clock", lambda training, _: {"whole": takes[training.slow]})
    assert recipe.found_by_total(training, 4, 2.0) == "forward"
    training.slow = "forward"
    takes[""] = 7.0
    assert recipe.found_by_total(training, 4, 2.0) == ""  # nothing that was put back helped enough


def test_all_arms_learn_the_same_and_looking_is_charged() -> None:
    told = {}
    for arm in ("baseline", "tactic", "total_alone", "by_operations"):
        meter = FakeMeter()
        told[arm] = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics  # type: ignore[arg-type]
        looks = arm not in ("baseline", "by_operations")
        assert meter.names == ["training"] + 3 * looks * ["steps", "watched steps"]
    assert len({metrics["test_accuracy"] for metrics in told.values()}) == 1
    assert told["baseline"]["found_fraction"] == 0
    assert told["by_operations"]["found_fraction"] == pytest.approx(1 / 6)
