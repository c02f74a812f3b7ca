from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from greentactics.measure import measuring
from greentactics.measure.measuring import Destination
from greentactics.measure.runner import Request
from greentactics.models.results import Failure
from tests.built_site import real_site, site_with_local_results
from tests.examples.example_files import copy_valid

__all__ = ["real_site", "site_with_local_results"]

EXAMPLES = Path(__file__).parent / "examples"

# A deadline would assert timing, and fail on a machine that does something else at that moment.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# `nohup make test &` has everything below it ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Let no test read the machine's energy counters, which takes seconds, nor data its user has fetched."""
    monkeypatch.setenv("GREENTACTICS_METER", "none")
    monkeypatch.delenv("GREENTACTICS_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "no-data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small catalogue that is right, to be changed."""
    return copy_valid(tmp_path).resolve()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one recipe that needs no torch, on the machine that the recipe says it ran on."""
    monkeypatch.setattr(measuring, "is_this_machine", lambda device: device.name == "AMD EPYC")
    root = tmp_path / "checkout"
    (root / "tactics").mkdir(parents=True)
    (root / "recipes").mkdir()
    (root / "told").mkdir()
    (root / "recipes" / "__init__.py").touch()
    shutil.copyfile(EXAMPLES / "fake_recipe.py", root / "recipes" / "fake_tactic.py")
    return root


@pytest.fixture
def timed_checkout(checkout: Path) -> Path:
    """The same with a timing protocol that needs no torch."""
    (checkout / "recipes" / "common").mkdir()
    (checkout / "recipes" / "common" / "__init__.py").touch()
    timing = checkout / "recipes" / "common" / "timing"
    timing.mkdir()
    shutil.copyfile(EXAMPLES / "fake_timing.py", timing / "__main__.py")
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
