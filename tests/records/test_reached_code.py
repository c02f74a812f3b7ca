"""What makes a result stale: the definitions that a recipe's run reaches, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from greentactics.records.known_checksums import checksums_file
from greentactics.records.loading import recipe_checksum
from greentactics.records.reached_code import Place, ReachedCode
from greentactics.text.problems import CatalogueError, UserError

TACTIC = "early-exit"
RECIPE = '''"""What it shows."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from recipes.common import cli, nets
from recipes.common.energy import MAC_ENERGY, estimate as energy_of


@dataclass(frozen=True)
class Config:
    """Settings."""

    rate: float = 0.1
    """Learning rate."""
    steps: int = 10


SMOKE = Config(steps=1)
DEFAULT = Config()
FULL = Config(rate=0.2)


def run(config, *, arm, seed, meter):
    """Run an arm."""
    if arm not in ("baseline", "tactic"):
        raise ValueError(f"no arm {arm}")
    net = nets.train(seed, config.rate)
    note = f"arm {arm}"
    nets.say(note)
    return energy_of(net), MAC_ENERGY, describe(2.0, "a net")


def describe(value, what):
    return value, f"The energy of {what}."


def main():
    cli.main(sys.modules[__name__])
'''
NETS = '''"""Nets."""

import torch
from torch.nn import functional as F


def train(seed: int, rate: float) -> list[float]:
    """Train."""
    for name in ("a", "b"):
        if name == "c":
            raise RuntimeError("refused")
    total = 0.0
    for step in range(3):
        total = F.relu(torch.tensor(total + rate * step))
    return [total, seed]


def say(text):
    print("note", text)
'''
ENERGY = '''"""Energy."""

MAC_ENERGY, MOVE_ENERGY = 1.0, 200.0


def estimate(net):
    try:
        if not net:
            raise ValueError("no net")
        return sum(net) * MOVE_ENERGY
    except ValueError:
        return 0.0


def unused():
    return 1
'''
CLI = "def main(recipe):\n    return recipe\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    common = tmp_path / "recipes" / "common"
    common.mkdir(parents=True)
    for path, text in {
        "recipes/early_exit.py": RECIPE,
        "recipes/common/nets.py": NETS,
        "recipes/common/energy.py": ENERGY,
        "recipes/common/cli.py": CLI,
    }.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def checksums(root: Path) -> dict[str, str]:
    checksum = recipe_checksum(root, TACTIC)
    return {preset: checksum(preset, metered=False) for preset in ("smoke", "default", "full")}


def stale_presets(root: Path, change: Callable[[], object]) -> set[str]:
    before = checksums(root)
    change()
    after = checksums(root)
    return {preset for preset in before if before[preset] != after[preset]}


def edit(root: Path, name: str, old: str, new: str) -> Callable[[], object]:
    path = root / "recipes" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    return lambda: path.write_text(text.replace(old, new), encoding="utf-8")


EVERY = {"smoke", "default", "full"}


@pytest.mark.parametrize(
    ("name", "old", "new", "stale"),
    [
        ("common/energy.py", "200.0", "100.0", EVERY),
        ("common/energy.py", "* MOVE_ENERGY", "* MAC_ENERGY", EVERY),
        ("common/nets.py", "range(3)", "range(4)", EVERY),
        ("common/nets.py", "rate * step", "rate + step", EVERY),
        ("common/nets.py", "from torch.nn import functional as F", "import mine as F", EVERY),
        ("early_exit.py", "nets.train(seed, config.rate)", "nets.train(seed, config.steps)", EVERY),
        ("early_exit.py", "describe(2.0,", "describe(3.0,", EVERY),
        ("early_exit.py", "rate: float = 0.1", "rate: float = 0.3", {"smoke", "default"}),
        ("early_exit.py", "Config(rate=0.2)", "Config(rate=0.4)", {"full"}),
        ("early_exit.py", "steps: int = 10", "steps: int = 20", {"default", "full"}),
        # The recipe goes on after this refusal, with another number.
        ("common/energy.py", "if not net:", "if len(net) > 1:", EVERY),
    ],
)
def test_what_computes_makes_the_results_stale_that_use_it(
    root: Path, name: str, old: str, new: str, stale: set[str]
) -> None:
    assert stale_presets(root, edit(root, name, old, new)) == stale


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("common/nets.py", '"""Train."""', '"""Train a net, at length."""\n    # slowly\n'),
        ("common/nets.py", "seed: int, rate: float) -> list[float]:", "seed, rate):"),
        ("common/nets.py", '"refused"', '"refused: rename it"'),
        ("common/nets.py", 'if name == "c":', 'if name == "d" or len(name) > 3:'),
        ("common/nets.py", 'print("note", text)', 'print("Note:", text, flush=True)'),
        (
            "common/nets.py",
            "    total = 0.0\n",
            "    if rate < 0:\n        raise ValueError(rate)\n    total = 0.0\n",
        ),
        ("common/energy.py", '"no net"', '"expected a net"'),
        ("common/energy.py", "return 1", "return 2"),
        (
            "common/energy.py",
            "MAC_ENERGY, MOVE_ENERGY = 1.0, 200.0",
            "MAC_ENERGY, MOVE_ENERGY = (\n 1.0, 200.0)",
        ),
        ("common/cli.py", "return recipe", "return recipe.run"),
        ("early_exit.py", "no arm {arm}", "expected an arm, got {arm}"),
        ("early_exit.py", 'f"arm {arm}"', 'f"arm {arm} begins"'),
        ("early_exit.py", '"a net"', '"the net"'),
        ("early_exit.py", "The energy of {what}.", "Modelled energy of {what}."),
        ("early_exit.py", "estimate as energy_of", "estimate as energy_of, unused"),
    ],
)
def test_what_talks_stops_or_is_not_reached_leaves_results_fresh(
    root: Path, name: str, old: str, new: str
) -> None:
    assert stale_presets(root, edit(root, name, old, new)) == set()


def test_a_definition_may_move_and_have_another_name(root: Path) -> None:
    def move() -> None:
        recipes = root / "recipes"
        (recipes / "common" / "model").mkdir()
        (recipes / "common" / "energy.py").rename(recipes / "common" / "model" / "costs.py")
        edit(root, "common/model/costs.py", "MOVE_ENERGY", "DATA_ENERGY")()
        edit(root, "early_exit.py", "recipes.common.energy import", "recipes.common.model.costs import")()
        # A training loop comes home into its recipe, with the imports that it needs.
        loop = NETS.split("\n\n\n")[1].replace("def train", "def trained")
        (recipes / "common" / "nets.py").write_text(NETS.split("\n\n\n")[2], encoding="utf-8")
        edit(
            root,
            "early_exit.py",
            "import sys\n",
            "import sys\nimport torch\nimport torch.nn.functional as F\n",
        )()
        edit(root, "early_exit.py", "nets.train(", "trained(")()
        edit(root, "early_exit.py", "def describe", f"{loop}\n\n\ndef describe")()

    assert stale_presets(root, move) == set()


def test_the_parts_of_one_assignment_are_told_apart(root: Path) -> None:
    code = ReachedCode(root)
    first, second = (Place("recipes.common.energy", name) for name in ("MAC_ENERGY", "MOVE_ENERGY"))
    assert code.checksum((first,)) != code.checksum((second,))


def test_clocks_count_always_and_meters_where_they_are_read(root: Path) -> None:
    meters = root / "recipes" / "common" / "meters" / "choice.py"
    meters.parent.mkdir()
    text = "class ProcessMeter:\n    clock = 1\n\n\nclass EnergyMeter:\n    unit = 1\n"
    meters.write_text(text, encoding="utf-8")

    def both() -> tuple[str, str]:
        checksum = recipe_checksum(root, TACTIC)
        return checksum("default", metered=False), checksum("default", metered=True)

    clock, metered = both()
    meters.write_text(text.replace("unit = 1", "unit = 1000"), encoding="utf-8")
    assert both()[0] == clock
    assert both()[1] != metered
    meters.write_text(text.replace("clock = 1", "clock = 2"), encoding="utf-8")
    assert both()[0] != clock


def test_a_recipe_that_is_missing_or_no_python_says_so(root: Path) -> None:
    with pytest.raises(UserError, match=r"no recipe for late-exit: expected recipes/late_exit\.py"):
        recipe_checksum(root, "late-exit")
    (root / "recipes" / "common" / "nets.py").write_text("def (", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"recipes/common/nets\.py:1:5: expected Python"):
        checksums(root)


def test_what_is_known_answers_only_for_the_same_code(root: Path) -> None:
    kept = checksums_file(root.resolve())

    def cold() -> dict[str, str]:
        kept.unlink()
        return checksums(root)

    first = checksums(root)
    kept.write_text(kept.read_text().replace(first["default"], "0" * 64))
    assert checksums(root)["default"] == "0" * 64
    edit(root, "common/nets.py", "range(3)", "range(4)")()
    changed = checksums(root)
    assert changed == cold() != first
    for text in ("", "[]", '{"program": 1, "modules": []}'):
        kept.write_text(text)
        assert checksums(root) == changed
