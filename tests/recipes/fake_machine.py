"""A machine for tests of meters: its powercap tree, its GPUs, and time that passes when a test says so."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from recipes.common.meters import choice, nvml, rapl, source, zeus
from recipes.common.meters.source import Unavailable
from recipes.common.run.contract import Meter

RANGE_UJ = 262_143_328_850


class PowercapTree:
    """A powercap tree as the kernel lays it out; a zone is named by its folder, such as `intel-rapl:0:2`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "sys/class/powercap"
        (self.folder / "intel-rapl").mkdir(parents=True)

    def add(self, zone: str, name: str, energy_uj: int = 0, range_uj: int = RANGE_UJ) -> None:
        folder = self.folder / zone
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.set(zone, energy_uj)

    def set(self, zone: str, energy_uj: int) -> None:
        (self.folder / zone / "energy_uj").write_text(f"{energy_uj}\n")

    def advance(self, zone: str, energy_uj: int) -> None:
        """Let a zone take energy; its counter starts again at the range."""
        folder = self.folder / zone
        counter_uj = int((folder / "energy_uj").read_text()) + energy_uj
        self.set(zone, counter_uj % int((folder / "max_energy_range_uj").read_text()))


class NVMLError(Exception):
    pass


class FakeNvml:
    """What stands for `pynvml`: `energy_mj` holds the counters of GPUs, and `broken` ones tell no energy.

    `lost` GPUs do not answer at all, `nameless` ones tell no text as name, `divided` ones are in MIG mode.
    """

    NVMLError = NVMLError

    def __init__(self, *models: str, start_error: str = "") -> None:
        self.models = models
        self.energy_mj = [1_000_000 * (index + 1) for index in range(len(models))]
        self.broken: set[int] = set()
        self.lost: set[int] = set()
        self.nameless: set[int] = set()
        self.divided: set[int] = set()
        self.start_error = start_error

    def nvmlInit(self) -> None:  # noqa: N802
        if self.start_error:
            raise NVMLError(self.start_error)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.models)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index in self.lost:
            raise NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return b"\xf8".decode() if handle in self.nameless else self.models[handle]

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:  # noqa: N802
        if handle not in self.divided:
            raise NVMLError("Not Supported")
        return [1, 1]

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}a{handle}b-0000"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        if handle in self.broken:
            raise NVMLError("Not Supported")
        return self.energy_mj[handle]


class FakeMachine:
    """Time that passes only in sleep and work, and counters that move with it."""

    def __init__(self, root: Path) -> None:
        self.now_s = 100.0
        self.suspended_s = 0.0
        self.slept_s: list[float] = []
        self.tree = PowercapTree(root)
        self.gpu = FakeNvml()
        self.rest_w: dict[str, float] = {}
        self.gpu_rest_w = 0.0

    @property
    def root(self) -> Path:
        return self.tree.root

    def pass_time(self, duration_s: float, extra_j: float = 0.0) -> None:
        """Let every zone take its power at rest, and the first GPU and zone `extra_j` besides."""
        self.now_s += duration_s
        for zone, power_w in self.rest_w.items():
            extra_here_j = extra_j if zone == "intel-rapl:0" else 0.0
            self.tree.advance(zone, round(1e6 * (power_w * duration_s + extra_here_j)))
        self.gpu.energy_mj = [mj + round(1000 * self.gpu_rest_w * duration_s) for mj in self.gpu.energy_mj]

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.pass_time(duration_s)

    def add_processor(self, *, package_w: float = 20.0, dram_w: float = 5.0) -> None:
        self.tree.add("intel-rapl:0", "package-0", 1_000_000)
        self.tree.add("intel-rapl:0:0", "dram", 1_000_000)
        self.rest_w = {"intel-rapl:0": package_w, "intel-rapl:0:0": dram_w}

    def add_gpu(self, rest_w: float = 70.0) -> None:
        self.gpu, self.gpu_rest_w = FakeNvml("H200"), rest_w

    def choose(self, device_kind: str = "cpu", **environment: str) -> Meter:
        return choice.choose_meter(self.root, environment, device_kind=device_kind)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this machine in place of the real one; it has neither torch nor zeus."""
        clock = SimpleNamespace(
            perf_counter=lambda: self.now_s, process_time=lambda: self.now_s / 2, sleep=self.sleep
        )
        with_suspend = SimpleNamespace(
            monotonic=lambda: self.now_s,
            clock_gettime=lambda _: self.now_s + self.suspended_s,
            CLOCK_MONOTONIC=1,
        )
        monkeypatch.setattr(choice, "time", clock)
        for module in (source, rapl):
            monkeypatch.setattr(module, "time", with_suspend)
        monkeypatch.setattr(nvml, "_library", lambda: self.gpu)
        monkeypatch.setattr(zeus, "find_source", no_zeus)
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        monkeypatch.delenv(choice.CHOICE, raising=False)


def no_zeus(root: Path) -> NoReturn:
    raise Unavailable("the package zeus is not installed", "install it")
