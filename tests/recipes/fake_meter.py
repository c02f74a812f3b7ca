"""A meter for tests of recipes: every window lasts the same, and the names of the windows are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class FakeWindow:
    """A window that has been closed."""

    duration_s: float = 2.0
    cpu_s: float = 1.5
    energy_j: float | None = None


class FakeMeter:
    """Meters nothing."""

    def __init__(self, cpu_s: float = 1.5) -> None:
        self.names: list[str] = []
        self._cpu_s = cpu_s

    @contextmanager
    def window(self, name: str) -> Iterator[FakeWindow]:
        self.names.append(name)
        yield FakeWindow(cpu_s=self._cpu_s)
