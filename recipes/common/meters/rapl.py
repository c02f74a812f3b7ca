"""Energy of processor and memory from RAPL, through the Linux powercap tree (Intel, and AMD since Zen).

A zone has a counter in microjoules, `energy_uj`, that starts again at `max_energy_range_uj`: at 200 W a range
of 262 kJ lasts 22 minutes. A thread therefore looks at the counters while a window is open, every second and
so often that even at 1 kW per zone no more than half a range passes between two looks; each adds what was
counted since the one before. If a look comes so late that a whole range may have passed, or tells more than
1 kW per zone, as when a counter was set back, there is no number but an error.

Zones overlap. `core` and `uncore` are part of their package, `psys` holds the packages and more, and the
zones of `intel-rapl-mmio` are those of `intel-rapl` seen another way. Packages and `dram` are counted; `psys`
only where there is no package. Some AMD processors (Zen 1 and 2, and later ones under some kernels) show a
package once for each of its dies, all with the counter of the whole package: it is counted once.

Counters cover whole packages: what other programs do on the machine is in them.

Source: Linux, Documentation/power/powercap/powercap.rst; for the rights, CVE-2020-8694.
"""

from __future__ import annotations

import itertools
import platform
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recipes.common.meters.source import (
    PEAK_POWER_W,
    EnergySource,
    Unavailable,
    impossible,
    lost,
    most_j,
)

UPDATE_S = 0.001
"""RAPL steps about every millisecond."""
QUIET_S = 2.0
LOOKS_PER_RANGE = 2
"""Looks at the counters in the shortest time a range can last, which is that at `PEAK_POWER_W`."""
LOOK_S = 1.0
"""Longest time between two looks: the shorter, the less a counter that was set back can pass for energy."""
MIRROR_J = 1.0
"""Two counters that differ by no more, both above it, are one counter shown twice."""

_POWERCAP = "sys/class/powercap"
_PERMISSION_CURE = (
    "an administrator allows it until the next start with "
    f"`sudo chmod a+r /{_POWERCAP}/intel-rapl:*/energy_uj`, "
    'or for good with the udev rule `SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r '
    '/sys%p/energy_uj"`; the daemon zeusd gives access without either (GREENTACTICS_METER=zeus)'
)
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_VM_MAKERS = re.compile(
    r"QEMU|KVM|VMware|VirtualBox|innotek|Xen|Bochs|Parallels|Virtual Machine|Google Compute"
)
_CONTAINERS = re.compile(r"docker|kubepods|containerd|libpod|lxc")


@dataclass(frozen=True)
class Zone:
    """One counter of the powercap tree."""

    folder: Path
    """Folder of the zone, such as `/sys/class/powercap/intel-rapl:0:2`."""
    name: str
    """Name with that of its package, such as `package-0` or `dram-0`."""
    kind: str
    """`package`, `dram`, `psys`, `core`, `uncore` or another word the kernel uses."""


def find_source(root: Path = Path("/")) -> EnergySource:
    """Return the counters of this machine.

    Args:
        root: Root of the file system.

    Raises:
        Unavailable: There are none, or one of a package may not be read or tells nothing that can be used.
    """
    zones = find_zones(root)
    counted = not_overlapping(zones)
    if not counted:
        raise _absent(root)
    unused, ranges_uj = dict[Zone, str](), dict[Zone, int]()
    for zone in counted:
        try:
            range_uj, _ = _range_uj(zone), _counter_uj(zone)
        except (OSError, ValueError) as error:
            if zone.kind != "dram":
                raise _unreadable(error) from None
            unused[zone] = "cannot be read"
        else:
            ranges_uj[zone] = range_uj
    mirrors = mirrored(tuple(ranges_uj))
    unused |= {zone: f"is the counter of {original.name}" for zone, original in mirrors.items()}
    used = [zone for zone in ranges_uj if zone not in mirrors]
    names = [zone.name for zone in used]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Unavailable(f"two counters are called {twice}", "measure on another machine")

    @contextmanager
    def count() -> Iterator[Mapping[str, float]]:
        energy_j: dict[str, float] = {}
        tally = _Tally({zone: ranges_uj[zone] for zone in used})
        with tally.kept_up():
            yield energy_j
        energy_j.update(tally.result_j())

    left_out = tuple(
        f"{zone.name} ({unused[zone]})" if zone in unused else zone.name for zone in zones if zone not in used
    )
    return EnergySource("RAPL", tuple(names), left_out, UPDATE_S, QUIET_S, count)


def find_zones(root: Path = Path("/")) -> tuple[Zone, ...]:
    """Return the zones of the powercap tree in the order of their numbers; none where there is no tree."""
    folders = [path for path in (root / _POWERCAP).glob("intel-rapl:*") if _ZONE.fullmatch(path.name)]
    return tuple(_zone(path) for path in sorted(folders, key=_numbers) if (path / "name").is_file())


def not_overlapping(zones: Sequence[Zone]) -> tuple[Zone, ...]:
    """Return the zones whose energies can be added: packages and memory, else the platform."""
    packages = tuple(zone for zone in zones if zone.kind in ("package", "dram"))
    return packages or tuple(zone for zone in zones if zone.kind == "psys")


def mirrored(zones: Sequence[Zone]) -> dict[Zone, Zone]:
    """Return the zones that show the counter of an earlier zone of the same package, with that zone."""
    found: dict[Zone, Zone] = {}
    for zone, earlier in ((zone, other) for index, zone in enumerate(zones) for other in zones[:index]):
        of_one_package = zone.name.partition("-die-")[0] == earlier.name.partition("-die-")[0]
        if of_one_package and not {zone, earlier} & found.keys() and _is_one_counter(earlier, zone):
            found[zone] = earlier
    return found


def energy_counted_uj(readings_uj: Sequence[int], range_uj: int) -> int:
    """Return the energy that passed during a series of readings of a counter that starts again at its range.

    Args:
        readings_uj: The readings in order, each less than one range after the one before.
        range_uj: Where the counter starts again.
    """
    steps = itertools.pairwise(readings_uj)
    return sum(after - before + (range_uj if after < before else 0) for before, after in steps)


def is_virtual_machine(root: Path = Path("/")) -> bool:
    """Return whether the processor or the firmware says that this is a virtual machine."""
    firmware = "".join(_text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    flags = re.search(r"^flags\s*:.*\bhypervisor\b", _text(root / "proc/cpuinfo"), re.MULTILINE)
    return bool(flags or _VM_MAKERS.search(firmware))


def is_container(root: Path = Path("/")) -> bool:
    """Return whether files that container programs leave are there."""
    marks = (root / ".dockerenv", root / "run/.containerenv")
    return any(mark.exists() for mark in marks) or bool(_CONTAINERS.search(_text(root / "proc/1/cgroup")))


class _Tally:
    """What some counters have counted since this was made."""

    def __init__(self, ranges_uj: Mapping[Zone, int]) -> None:
        self._ranges_uj = ranges_uj
        self._safe_s = min(ranges_uj.values()) / 1e6 / PEAK_POWER_W
        self._counted_uj = dict.fromkeys(ranges_uj, 0)
        self._fault = ""
        self._closed = threading.Event()
        self._looked_s = time.monotonic()
        self._last_uj = self._read()

    @contextmanager
    def kept_up(self) -> Iterator[None]:
        """Look at the counters from time to time during the block, and once at its end."""
        thread = threading.Thread(target=self._keep_up, name="rapl", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closed.set()
            thread.join()
            self._look()

    def result_j(self) -> dict[str, float]:
        if self._fault:
            raise lost("RAPL", self._fault)
        return {zone.name: counted_uj / 1e6 for zone, counted_uj in self._counted_uj.items()}

    def _keep_up(self) -> None:
        while not self._closed.wait(min(LOOK_S, self._safe_s / LOOKS_PER_RANGE)):
            self._look()

    def _look(self) -> None:
        # From before one reading to after the next: this thread may be held up between reading and clock.
        before_s = time.monotonic()
        readings_uj = self._read()
        passed_s = time.monotonic() - self._looked_s
        if passed_s > self._safe_s:
            self._fault = f"the counters were not looked at for {passed_s:.0f} s"
        if self._fault:
            return
        for zone, range_uj in self._ranges_uj.items():
            step_uj = energy_counted_uj((self._last_uj[zone], readings_uj[zone]), range_uj)
            if step_uj / 1e6 > most_j(zone.name, passed_s):
                self._fault = impossible(zone.name, step_uj / 1e6, passed_s)
            self._counted_uj[zone] += step_uj
        self._last_uj, self._looked_s = readings_uj, before_s

    def _read(self) -> dict[Zone, int]:
        try:
            return {zone: _counter_uj(zone) for zone in self._ranges_uj}
        except (OSError, ValueError) as error:
            self._fault = f"a counter could no longer be read ({error})"
            return {}


def _is_one_counter(first: Zone, second: Zone) -> bool:
    """Return whether the reading of one lies between two readings of the other."""
    try:
        range_uj = _range_uj(first)
        before_uj, between_uj, after_uj = map(_counter_uj, (first, second, first))
    except (OSError, ValueError):
        return False
    near_uj = round(1e6 * MIRROR_J)
    rose_uj = energy_counted_uj((before_uj, after_uj), range_uj)
    apart_uj = (between_uj - before_uj + near_uj) % range_uj
    return min(before_uj, between_uj) >= near_uj and apart_uj <= rose_uj + 2 * near_uj


def _counter_uj(zone: Zone) -> int:
    return _read_number(zone.folder / "energy_uj")


def _range_uj(zone: Zone) -> int:
    path = zone.folder / "max_energy_range_uj"
    if (range_uj := _read_number(path)) <= 0:
        raise ValueError(f"{path}: expected a number above 0, got {range_uj}")
    return range_uj


def _read_number(path: Path) -> int:
    text = path.read_bytes()
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{path}: expected a number, got {text[:20]!r}") from None


def _unreadable(error: OSError | ValueError) -> Unavailable:
    """Say why a counter that cannot be done without cannot be used."""
    if isinstance(error, PermissionError):
        return Unavailable("only root may read the counters (CVE-2020-8694)", _PERMISSION_CURE)
    return Unavailable(f"a counter cannot be read ({error})", "measure on another machine")


def _zone(folder: Path) -> Zone:
    own = _text(folder / "name").strip()
    kind = own.partition("-")[0]
    if kind in ("package", "psys"):
        return Zone(folder, own, kind)
    package = _text(folder.with_name(folder.name.rpartition(":")[0]) / "name").strip()
    return Zone(folder, f"{own}-{package.removeprefix('package-')}", kind)


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in folder.name.split(":")[1:]]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _absent(root: Path) -> Unavailable:
    """Say why there are no counters, the deepest cause first."""
    if platform.system() != "Linux":
        return Unavailable(
            f"RAPL is read through Linux, and this is {platform.system()}",
            "zeus meters Apple processors (GREENTACTICS_METER=zeus)",
        )
    if is_virtual_machine(root):
        return Unavailable(
            f"no counter in /{_POWERCAP}: this is a virtual machine, and those do not expose RAPL",
            "measure on the host, or on a machine of one's own (bare metal)",
        )
    if is_container(root):
        return Unavailable(
            f"no counter in /{_POWERCAP}: this is a container, and those hide the powercap tree",
            "start the container as root with `--security-opt systempaths=unconfined` or `--privileged`",
        )
    return Unavailable(
        f"no counter in /{_POWERCAP}: the processor has none, or its driver is not loaded",
        "`sudo modprobe intel_rapl_msr` loads the driver, AMD's too; other processors need another meter",
    )
