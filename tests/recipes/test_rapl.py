from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.common.meters import rapl, source
from recipes.common.meters.source import Unavailable
from recipes.common.run.contract import UserError
from tests.recipes.fake_machine import RANGE_UJ, PowercapTree

POLLER = "rapl"


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    """Two sockets with memory, as on a server."""
    tree = PowercapTree(tmp_path)
    for socket in (0, 1):
        tree.add(f"intel-rapl:{socket}", f"package-{socket}", 1_000_000)
        tree.add(f"intel-rapl:{socket}:0", "core", 5)
        tree.add(f"intel-rapl:{socket}:1", "dram", 7_000_000, range_uj=65_712_999_613)
    return tree


def reason_and_cure(root: Path) -> tuple[str, str]:
    with pytest.raises(Unavailable) as caught:
        rapl.find_source(root)
    return caught.value.reason, caught.value.cure


def poller_is_running() -> bool:
    return any(thread.name == POLLER for thread in threading.enumerate())


def test_sockets_and_memory_are_kept_apart_and_cores_are_not_added(tree: PowercapTree) -> None:
    source = rapl.find_source(tree.root)
    assert source.domains == ("package-0", "dram-0", "package-1", "dram-1")
    assert source.left_out == ("core-0", "core-1")
    with source.measure() as energy_j:
        assert energy_j == {}
        tree.advance("intel-rapl:0", 3_500_000)
        tree.advance("intel-rapl:0:0", 2_000_000)
        tree.advance("intel-rapl:1:1", 250_000)
    assert energy_j == {"package-0": 3.5, "dram-0": 0.0, "package-1": 0.0, "dram-1": 0.25}


def test_platform_counts_only_where_it_is_alone(tmp_path: Path) -> None:
    laptop = PowercapTree(tmp_path / "laptop")
    laptop.add("intel-rapl:0", "package-0")
    laptop.add("intel-rapl:0:0", "core")
    laptop.add("intel-rapl:0:1", "uncore")
    laptop.add("intel-rapl:1", "psys")
    laptop.add("intel-rapl-mmio:0", "package-0")
    source = rapl.find_source(laptop.root)
    assert source.domains == ("package-0",)
    assert source.left_out == ("core-0", "uncore-0", "psys")
    alone = PowercapTree(tmp_path / "alone")
    alone.add("intel-rapl:0", "psys")
    assert rapl.find_source(alone.root).domains == ("psys",)


def test_dies_of_one_package_have_their_own_memory(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    for die in (0, 1):
        tree.add(f"intel-rapl:{die}", f"package-0-die-{die}")
        tree.add(f"intel-rapl:{die}:0", "dram")
    expected = ("package-0-die-0", "dram-0-die-0", "package-0-die-1", "dram-0-die-1")
    assert rapl.find_source(tree.root).domains == expected


@pytest.mark.parametrize(
    ("readings_uj", "domains"),
    [
        # Zen 1 and 2, and others under some kernels: each die shows the counter of the package.
        ((68_000_000, 68_000_000, 68_000_000), ("package-0-die-0",)),
        ((68_000_000, 68_200_000, 67_900_000), ("package-0-die-0",)),
        ((RANGE_UJ - 100_000, 1_500_000), ("package-0-die-0", "package-0-die-1")),
        ((68_000_000, 75_000_000), ("package-0-die-0", "package-0-die-1")),
        ((68_000_000, 75_000_000, 68_100_000), ("package-0-die-0", "package-0-die-1")),
        ((0, 0), ("package-0-die-0", "package-0-die-1")),
    ],
)
def test_dies_that_show_one_counter_are_counted_once(tmp_path: Path, readings_uj, domains) -> None:
    tree = PowercapTree(tmp_path)
    for die, reading_uj in enumerate(readings_uj):
        tree.add(f"intel-rapl:{die}", f"package-0-die-{die}", reading_uj)
    tree.add("intel-rapl:7", "package-1", readings_uj[0])
    source = rapl.find_source(tree.root)
    assert source.domains == (*domains, "package-1"), "packages are never taken for one"
    expected = tuple(
        f"package-0-die-{die} (is the counter of package-0-die-0)"
        for die in range(len(readings_uj))
        if f"package-0-die-{die}" not in domains
    )
    assert source.left_out == expected


def test_a_counter_seen_twice_by_one_name_is_counted_once_or_refused(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    tree.add("intel-rapl:0", "package-0", 70_000_000)
    (tree.folder / "intel-rapl:1").symlink_to(tree.folder / "intel-rapl:0")
    assert rapl.find_source(tree.root).domains == ("package-0",)
    (tree.folder / "intel-rapl:1").unlink()
    tree.add("intel-rapl:1", "package-0", 90_000_000)
    assert reason_and_cure(tree.root)[0] == "two counters are called package-0"


@pytest.mark.parametrize("file", ["energy_uj", "max_energy_range_uj"])
def test_memory_that_cannot_be_read_is_left_out(tree: PowercapTree, file: str) -> None:
    (tree.folder / "intel-rapl:1:1" / file).unlink()
    source = rapl.find_source(tree.root)
    assert source.domains == ("package-0", "dram-0", "package-1")
    assert source.left_out == ("core-0", "core-1", "dram-1 (cannot be read)")


def test_zones_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    for socket in (10, 9, 2):
        tree.add(f"intel-rapl:{socket}", f"package-{socket}")
    assert rapl.find_source(tree.root).domains == ("package-2", "package-9", "package-10")


def test_a_counter_that_started_again_is_counted_on(tree: PowercapTree) -> None:
    tree.set("intel-rapl:0", RANGE_UJ - 1_000_000)
    with rapl.find_source(tree.root).measure() as energy_j:
        tree.advance("intel-rapl:0", 3_000_000)
    assert energy_j["package-0"] == pytest.approx(3.0)


@given(
    start_uj=st.integers(0, RANGE_UJ - 1),
    steps_uj=st.lists(st.integers(0, RANGE_UJ - 1), max_size=30),
)
def test_wraps_lose_no_energy(start_uj: int, steps_uj: list[int]) -> None:
    readings_uj = [start_uj]
    for step_uj in steps_uj:
        readings_uj.append((readings_uj[-1] + step_uj) % RANGE_UJ)
    assert rapl.energy_counted_uj(readings_uj, RANGE_UJ) == sum(steps_uj)


def pretend_time(monkeypatch, now_s: Callable[[], float]) -> None:
    clock = SimpleNamespace(monotonic=now_s, clock_gettime=lambda _: now_s(), CLOCK_MONOTONIC=1)
    for module in (rapl, source):
        monkeypatch.setattr(module, "time", clock)


def test_counters_are_looked_at_while_a_window_is_open(tmp_path: Path, monkeypatch) -> None:
    """Three wraps inside one window, which its two ends alone could not tell."""
    tree = PowercapTree(tmp_path)
    tree.add("intel-rapl:0", "package-0")
    source = rapl.find_source(tree.root)
    step_uj, looks, enough = RANGE_UJ * 3 // 8, itertools.count(), threading.Event()
    look = 0

    def counter_uj(zone: rapl.Zone) -> int:
        nonlocal look
        look = min(next(looks), 8)
        if look == 8:
            enough.set()
        return step_uj * look % RANGE_UJ

    monkeypatch.setattr(rapl, "_counter_uj", counter_uj)
    monkeypatch.setattr(rapl, "LOOKS_PER_RANGE", 100_000)
    pretend_time(monkeypatch, lambda: 125.0 * look)
    with source.measure() as energy_j:
        assert enough.wait(10)
    assert energy_j["package-0"] == pytest.approx(8 * step_uj / 1e6)
    assert not poller_is_running()


@pytest.mark.parametrize(
    ("before_uj", "after_uj", "duration_s", "told"),
    [
        (200_000_000_000, 3_000_000, 0.3, "62,146.3 J in 0.3 s"),  # as after suspend, or a driver's reset
        (1_000_000, 5_001_000_000, 4.0, "5,000 J in 4.0 s"),
        (RANGE_UJ - 1_000_000, 900_000_000, 1.5, None),
    ],
)
def test_more_than_a_package_can_take_gives_no_number(
    tree: PowercapTree, monkeypatch, before_uj: int, after_uj: int, duration_s: float, told: str | None
) -> None:
    now_s = 0.0
    pretend_time(monkeypatch, lambda: now_s)
    tree.set("intel-rapl:0", before_uj)
    refused = pytest.raises(UserError, match=f"RAPL: package-0 counted {told}, which cannot be: its counter")
    with refused if told else nullcontext(), rapl.find_source(tree.root).measure() as energy_j:
        now_s += duration_s
        tree.set("intel-rapl:0", after_uj)
    assert bool(energy_j) == (told is None)


def test_windows_may_be_nested_and_leave_no_thread_behind(tree: PowercapTree) -> None:
    source = rapl.find_source(tree.root)
    with source.measure() as outer:
        tree.advance("intel-rapl:0", 1_000_000)
        with source.measure() as inner:
            assert poller_is_running()
            tree.advance("intel-rapl:0", 2_000_000)
    assert (outer["package-0"], inner["package-0"]) == (3.0, 2.0)
    with pytest.raises(RuntimeError), source.measure():
        raise RuntimeError
    assert not poller_is_running()


def test_a_counter_that_vanishes_gives_no_number(tree: PowercapTree) -> None:
    expected = (
        r"RAPL: a counter could no longer be read \(.*energy_uj.*\), so the energy .* is not known; run it"
    )
    with pytest.raises(UserError, match=expected), rapl.find_source(tree.root).measure() as energy_j:
        (tree.folder / "intel-rapl:1/energy_uj").unlink()
    assert energy_j == {}


def test_an_error_of_the_block_is_not_hidden_by_a_lost_counter(tree: PowercapTree) -> None:
    def work() -> None:
        with rapl.find_source(tree.root).measure():
            (tree.folder / "intel-rapl:1/energy_uj").unlink()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()


def test_a_look_that_comes_too_late_gives_no_number(tree: PowercapTree, monkeypatch) -> None:
    """A process that was stopped for minutes may have missed a whole range."""
    now_s = 0.0
    source = rapl.find_source(tree.root)
    pretend_time(monkeypatch, lambda: now_s)
    with source.measure() as energy_j:
        now_s = 65.0
    assert energy_j["package-0"] == 0.0
    late = pytest.raises(UserError, match="the counters were not looked at for 66 s")
    with late, source.measure():
        now_s += 66.0


def test_rights_are_missing(tree: PowercapTree, monkeypatch) -> None:
    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(rapl, "_read_number", refuse)
    reason, cure = reason_and_cure(tree.root)
    assert reason == "only root may read the counters (CVE-2020-8694)"
    assert "`sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj`" in cure
    assert "udev rule" in cure
    assert "zeusd" in cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rights_are_missing_on_a_real_file(tree: PowercapTree) -> None:
    (tree.folder / "intel-rapl:0/energy_uj").chmod(0)
    assert reason_and_cure(tree.root)[0].startswith("only root may read")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("energy_uj", "", "energy_uj: expected a number, got b''"),
        ("max_energy_range_uj", "0\n", "max_energy_range_uj: expected a number above 0, got 0"),
    ],
)
def test_a_counter_that_tells_nothing(tree: PowercapTree, file: str, text: str, told: str) -> None:
    (tree.folder / "intel-rapl:0" / file).write_text(text)
    reason, cure = reason_and_cure(tree.root)
    assert reason.startswith("a counter cannot be read (")
    assert reason.endswith(f"intel-rapl:0/{told})")
    assert cure == "measure on another machine"


def test_no_counter_on_a_machine_of_its_own(tmp_path: Path) -> None:
    reason, cure = reason_and_cure(tmp_path)
    assert reason == "no counter in /sys/class/powercap: the processor has none, or its driver is not loaded"
    assert "modprobe intel_rapl_msr" in cure


def test_zones_that_hold_only_parts_of_a_package_are_no_meter(tmp_path: Path) -> None:
    tree = PowercapTree(tmp_path)
    tree.add("intel-rapl:0", "other")
    assert reason_and_cure(tmp_path)[0].startswith("no counter")


def test_links_that_lead_nowhere_are_no_zones(tmp_path: Path) -> None:
    """What a container shows whose runtime hides the tree."""
    folder = tmp_path / "sys/class/powercap"
    folder.mkdir(parents=True)
    (folder / "intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
    (tmp_path / ".dockerenv").touch()
    reason, cure = reason_and_cure(tmp_path)
    assert (
        reason == "no counter in /sys/class/powercap: this is a container, and those hide the powercap tree"
    )
    assert "--security-opt systempaths=unconfined" in cure


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("proc/cpuinfo", "model name : X\nflags : fpu hypervisor lahf_lm\n"),
        ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
        ("sys/class/dmi/id/product_name", "VMware Virtual Platform\n"),
    ],
)
def test_a_virtual_machine_is_told(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    (tmp_path / ".dockerenv").touch()
    reason, cure = reason_and_cure(tmp_path)
    assert reason == (
        "no counter in /sys/class/powercap: this is a virtual machine, and those do not expose RAPL"
    )
    assert cure == "measure on the host, or on a machine of one's own (bare metal)"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (".dockerenv", "", True),
        ("run/.containerenv", "", True),
        ("proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", True),
        ("proc/1/cgroup", "0::/init.scope\n", False),
        ("proc/cpuinfo", "flags : fpu\n", False),
    ],
)
def test_a_container_is_told(tmp_path: Path, file: str, text: str, expected: bool) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert rapl.is_container(tmp_path) is expected
    assert not rapl.is_virtual_machine(tmp_path)


def test_other_systems_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(rapl.platform, "system", lambda: "Darwin")
    assert reason_and_cure(tmp_path)[0] == "RAPL is read through Linux, and this is Darwin"
