from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.common import rapl
from recipes.common.energy_source import Unavailable
from recipes.common.errors import UserError
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


def test_counters_are_looked_at_while_a_window_is_open(tree: PowercapTree, monkeypatch) -> None:
    """Three wraps inside one window, which its two ends alone could not tell."""
    source = rapl.find_source(tree.root)
    step_uj, looks, enough = RANGE_UJ * 3 // 4, iter(range(5)), threading.Event()

    def counters_uj(zones):
        look = next(looks, None)
        if look is None:
            enough.set()
        taken_uj = step_uj * (4 if look is None else look)
        return {zone.name: taken_uj % RANGE_UJ if zone.name == "package-0" else 1 for zone in zones}

    monkeypatch.setattr(rapl, "_counters_uj", counters_uj)
    monkeypatch.setattr(rapl, "LOOKS_PER_RANGE", 100_000)
    with source.measure() as energy_j:
        assert enough.wait(10)
    assert energy_j["package-0"] == pytest.approx(4 * step_uj / 1e6)
    assert not poller_is_running()


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
    now_s = [0.0]
    source = rapl.find_source(tree.root)
    monkeypatch.setattr(rapl.time, "monotonic", lambda: now_s[0])
    with source.measure() as energy_j:
        now_s[0] = 65.0
    assert energy_j["package-0"] == 0.0
    late = pytest.raises(UserError, match="the counters were not looked at for 66 s")
    with late, source.measure():
        now_s[0] += 66.0


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


def test_a_counter_that_is_no_number(tree: PowercapTree) -> None:
    (tree.folder / "intel-rapl:0/energy_uj").write_text("")
    reason, cure = reason_and_cure(tree.root)
    assert reason.startswith("a counter cannot be read (invalid literal")
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
