from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from greentactics import measuring
from greentactics.measuring import Destination
from greentactics.results import Failure
from greentactics.runner import Request


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one recipe that needs no torch, on the machine that the recipe says it ran on."""
    monkeypatch.setattr(measuring, "is_this_machine", lambda device: device.name == "AMD EPYC")
    root = tmp_path / "checkout"
    (root / "tactics").mkdir(parents=True)
    (root / "recipes").mkdir()
    (root / "told").mkdir()
    (root / "recipes" / "__init__.py").touch()
    shutil.copyfile(Path(__file__).with_name("fake_recipe.py"), root / "recipes" / "fake_tactic.py")
    return root


@pytest.fixture
def timed_checkout(checkout: Path) -> Path:
    """The same with a timing protocol that needs no torch."""
    (checkout / "recipes" / "common").mkdir()
    (checkout / "recipes" / "common" / "__init__.py").touch()
    shutil.copyfile(Path(__file__).with_name("fake_timing.py"), checkout / "recipes" / "common" / "timing.py")
    return checkout


@pytest.fixture
def tell(checkout: Path):
    """Change how the fake recipe behaves: for one repeat such as `tactic-1`, or for `all`."""

    def write(repeat: str, **settings: object) -> None:
        (checkout / "told" / repeat).write_text(json.dumps(settings))

    return write


class Recorder:
    """Keeps what a run tells of its progress."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.totals: tuple[int, int] = (0, 0)

    def begin(self, total, done):
        self.totals = (total, done)

    def started(self, pair):
        self.lines.append(f"started {pair}")

    def ended(self, pair, duration_s):
        self.lines.append(f"ended {pair}")

    def failed(self, failure: Failure):
        self.lines.append(f"failed {failure.arm}-{failure.seed} {failure.exit_code}\n{failure.output}")

    def note(self, text):
        self.lines.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def request_two(checkout: Path) -> Request:
    """Two arms with two seeds."""
    arms = ("baseline", "tactic")
    return Request(root=checkout, tactic="fake-tactic", preset="default", arms=arms, seed_count=2)


@pytest.fixture
def destination(checkout: Path) -> Destination:
    return Destination(checkout / "recipes" / "results")
