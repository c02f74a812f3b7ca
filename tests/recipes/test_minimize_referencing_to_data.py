"""The order of blocks, the mapped file, and what each way of reading brings and reads."""

from __future__ import annotations

import pickle
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from recipes import minimize_referencing_to_data as recipe
from tests.recipes.fake_meter import FakeMeter

IMAGES = np.arange(24, dtype=np.uint8).reshape(6, 4)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{place}.z" for place in range(len(IMAGES))]
    for file, image in zip(files, IMAGES, strict=True):
        file.write_bytes(zlib.compress(image.tobytes()))
    return files


def test_blocks_of_neighbours_come_in_random_order_and_are_cut_elsewhere_each_time() -> None:
    draw = np.random.default_rng(0)
    orders = [recipe.order_by_blocks(200, 10, draw) for _ in range(100)]
    ends = set[int]()
    for order in orders:
        assert sorted(order) == list(range(200))
        jumps = np.flatnonzero(np.diff(order) != 1)
        assert (
            10 <= len(jumps) <= 20
        )  # between 20 or 21 blocks, some of which follow their neighbour by chance
        ends |= {int(order[place]) % 10 for place in jumps if order[place] < 199}
    assert ends == set(range(10))
    assert len({tuple(order) for order in orders}) == len(orders)


def test_blocks_of_one_row_are_a_plain_shuffle() -> None:
    order = recipe.order_by_blocks(1_000, 1, np.random.default_rng(0))
    assert sorted(order) == list(range(1_000))
    assert np.mean(np.diff(order) == 1) < 0.01


@pytest.mark.parametrize("read_ahead", [False, True])
def test_rows_stand_in_the_order_of_the_files(files: list[Path], tmp_path: Path, read_ahead: bool) -> None:
    recipe.decode_once((files[place] for place in (4, 0, 5)), recipe.inflate, tmp_path / "rows")
    rows = recipe.mapped_rows(tmp_path / "rows", 4, read_ahead=read_ahead)
    assert rows.tolist() == [[16, 17, 18, 19], [0, 1, 2, 3], [20, 21, 22, 23]]
    assert not rows.flags.writeable


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_way_brings_the_same_examples(arm: str, files: list[Path]) -> None:
    way = recipe.way_of(arm, recipe.SMOKE, files, np.random.default_rng(0))
    places = np.array([5, 0, 3])
    assert np.array_equal(way.start()(places), IMAGES[way.order[places]])
    assert sorted(way.order) == list(range(6))
    assert (way.order.tolist() != list(range(6))) == (arm.startswith("tactic") and "by_class" not in arm)
    if arm == "pickled_examples":
        assert pickle.loads(way.files[2].read_bytes()).tolist() == [8, 9, 10, 11]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process reads")
@pytest.mark.filterwarnings("ignore:This ")  # of fewer processors than workers; of threads beside them
@pytest.mark.parametrize("arm", recipe.ARMS)
def test_files_are_read_as_often_as_an_arm_needs_them(arm: str) -> None:
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter())
    metrics = outcome.metrics
    assert set(recipe.METRICS) - set(metrics) <= {"cold_bytes"}  # where temporary files stand in memory
    assert (outcome.data.train_count, outcome.data.test_count) == (200, 450)
    if arm in ("baseline", "kept_in_memory", "shared_reading"):
        times = 4 if arm == "baseline" else 2  # two trainings of two epochs
        assert 0 <= metrics["read_call_bytes"] - times * metrics["stored_bytes"] < 1_000
    if arm.startswith("tactic"):
        assert metrics["stored_bytes"] == 200 * 256
        assert metrics["read_call_bytes"] < metrics["stored_bytes"] / 2  # the compressed files, once
