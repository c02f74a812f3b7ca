from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recipes.common.meters import zeus
from recipes.common.meters.source import Unavailable
from recipes.common.run.contract import UserError
from tests.recipes.fake_machine import PowercapTree


def measurement(**parts: Any) -> SimpleNamespace:
    """What zeus returns where it measures nothing but `parts`."""
    nothing = {"gpu_energy": {}, "cpu_energy": None, "dram_energy": None, "soc_energy": None}
    return SimpleNamespace(time=1.0, **(nothing | parts))


class FakeMonitor:
    """What stands for a `ZeusMonitor`; keeps which windows are open."""

    def __init__(self, measured: SimpleNamespace | None = None, cpus: int = 0) -> None:
        self.measured = measured or measurement()
        self.cpu_indices = list(range(cpus))
        self.open: list[str] = []
        self.broken = False

    def begin_window(self, key: str, sync_execution: bool) -> None:
        assert not sync_execution
        assert key not in self.open
        self.open.append(key)

    def end_window(self, key: str, sync_execution: bool) -> SimpleNamespace:
        assert not sync_execution
        self.open.remove(key)
        if self.broken:
            raise ValueError("GPU is lost")
        warnings.warn("The energy consumption of one or more GPUs was measured as zero.", stacklevel=1)
        return self.measured


def test_nothing_measured_is_no_source() -> None:
    with pytest.raises(Unavailable) as caught:
        zeus.find_source(monitor=FakeMonitor())
    assert caught.value.reason == "zeus finds no GPU, processor counter or chip that it may read"
    assert "zeusd" in caught.value.cure


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, {}),
        ({"cpu_energy": {}, "dram_energy": {}}, {}),
        ({"gpu_energy": {0: 5.5, 1: 0.0}}, {"gpu-0": 5.5, "gpu-1": 0.0}),
        ({"cpu_energy": {0: 3}, "dram_energy": {0: 0.5}}, {"package-0": 3.0, "dram-0": 0.5}),
        (
            {"soc_energy": SimpleNamespace(cpu_total_mj=2000, performance_cluster_mj=[1500], gpu_mj=500,
                                           gpu_sram_mj=9, ane_mj=None, dram_mj=250)},
            {"soc": 2.75},
        ),
        ({"soc_energy": SimpleNamespace(cpu_total_mj=None, gpu_mj=None)}, {}),
        (
            {"soc_energy": SimpleNamespace(cpu_energy_mj=1.0, gpu_energy_mj=2.0, total_energy_mj=4000.0)},
            {"soc": 4.0},
        ),
        (
            {"soc_energy": SimpleNamespace(cpu_energy_mj=1000.0, gpu_energy_mj=2000.0, total_energy_mj=None)},
            {"soc": 3.0},
        ),
    ],
)  # fmt: skip
def test_only_what_was_measured_has_a_domain(parts: dict[str, Any], expected: dict[str, float]) -> None:
    assert zeus.energy_by_domain_j(measurement(**parts)) == expected


def test_domains_are_named_and_windows_may_be_nested() -> None:
    monitor = FakeMonitor(measurement(gpu_energy={0: 7.0}, cpu_energy={0: 2.0}))
    source = zeus.find_source(monitor=monitor)
    assert source.domains == ("gpu-0", "package-0")
    with source.measure() as outer:
        with source.measure() as inner:
            assert len(monitor.open) == 2
        assert outer == {}
    assert outer == inner == {"gpu-0": 7.0, "package-0": 2.0}
    assert monitor.open == []


def test_a_counter_that_is_lost_gives_no_number() -> None:
    monitor = FakeMonitor(measurement(gpu_energy={0: 7.0}))
    source = zeus.find_source(monitor=monitor)
    lost = pytest.raises(
        UserError, match="zeus: GPU is lost, so the energy of this window is not known; run it"
    )
    with lost, source.measure() as energy_j:
        monitor.broken = True
    assert energy_j == {}
    with pytest.raises(RuntimeError), source.measure():
        raise RuntimeError
    assert monitor.open == []
    with pytest.raises(Unavailable, match="zeus: GPU is lost"):
        zeus.find_source(monitor=monitor)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"gpu_energy": {0: -5.0}}, "gpu-0 counted -5 J"),
        ({"gpu_energy": {0: 62_146.0}}, "gpu-0 counted 62,146 J"),
        ({"cpu_energy": {0: 1_000.0}}, "package-0 counted 1,000 J"),
        ({"dram_energy": {0: float("nan")}}, "dram-0 counted nan J"),
    ],
)
def test_energy_that_cannot_be_gives_no_number(parts: dict[str, Any], told: str) -> None:
    source = zeus.find_source(monitor=FakeMonitor(measurement(**parts)))
    with pytest.raises(UserError, match=f"zeus: {told}.*, which cannot be"), source.measure() as energy_j:
        pass
    assert energy_j == {}


def start_zeus(monkeypatch, root: Path, monitor: Any) -> Any:
    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(ZeusMonitor=monitor))
    return zeus.find_source(root)


def test_the_platform_is_not_added_to_the_packages_it_holds(tmp_path: Path, monkeypatch) -> None:
    laptop = PowercapTree(tmp_path)
    laptop.add("intel-rapl:0", "package-0")
    laptop.add("intel-rapl:0:0", "core")
    laptop.add("intel-rapl:1", "psys")
    monitor = FakeMonitor(measurement(cpu_energy={0: 1.0}), cpus=2)
    start_zeus(monkeypatch, tmp_path, lambda: monitor)
    assert monitor.cpu_indices == [0]


def test_a_package_shown_for_each_of_its_dies_is_counted_once(tmp_path: Path, monkeypatch) -> None:
    tree = PowercapTree(tmp_path)
    for die in (0, 1):
        tree.add(f"intel-rapl:{die}", f"package-0-die-{die}", 70_000_000)
    monitor = FakeMonitor(measurement(cpu_energy={0: 1.0}), cpus=2)
    start_zeus(monkeypatch, tmp_path, lambda: monitor)
    assert monitor.cpu_indices == [0]


def test_zeus_is_not_installed(monkeypatch) -> None:
    def refuse(name: str):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(
        Unavailable, match="the package zeus is not installed; install it with `pip install 'ze"
    ):
        zeus.find_source()


def test_zeus_does_not_start(tmp_path: Path, monkeypatch) -> None:
    def refuse() -> None:
        raise ValueError("CUDA_VISIBLE_DEVICES contains MIG devices")

    with pytest.raises(
        Unavailable, match=r"zeus does not start \(CUDA_VISIBLE_DEVICES contains MIG devices\)"
    ):
        start_zeus(monkeypatch, tmp_path, refuse)
