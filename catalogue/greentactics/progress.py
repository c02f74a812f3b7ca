"""What a run tells of itself while it lasts."""

from __future__ import annotations

from typing import Protocol

from greentactics.processes import Pair
from greentactics.results import Failure


class Progress(Protocol):
    """Where the runner says what happens."""

    def begin(self, total: int, done: int) -> None:
        """Say how many repeats or timing passes there are, and how many of them were finished before."""

    def started(self, pair: Pair) -> None:
        """Say that a repeat has been started."""

    def ended(self, pair: Pair, duration_s: float) -> None:
        """Say that a repeat has ended well."""

    def failed(self, failure: Failure) -> None:
        """Say that a repeat has failed, with its last lines."""

    def note(self, text: str) -> None:
        """Say something else worth knowing."""
