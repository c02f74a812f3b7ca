"""`measure --all`: what is missing is measured, a failure stops nothing, and a table tells of each."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from greentactics.cli.console import RepeatProgress
from greentactics.measure.processes import Pair
from tests.examples.command_line import call

EXAMPLES = Path(__file__).parents[1] / "examples"
FAKE = (EXAMPLES / "fake_recipe.py").read_text(encoding="utf-8")


@pytest.fixture
def two_recipes(root: Path, checkout: Path) -> Path:
    """A catalogue with two tactics that nothing was measured of; one recipe ends with 3 at once."""
    shutil.rmtree(root / "recipes" / "results")
    (root / "recipes" / "__init__.py").touch()
    (root / "told").mkdir()
    record = (root / "tactics" / "base-measured.yaml").read_text(encoding="utf-8")
    record = record.replace("work_count", "energy")
    for name in ("base-failing", "base-measured"):
        text = record.replace("base-measured", name).replace("Do less", f"Do less ({name})")
        (root / "tactics" / f"{name}.yaml").write_text(text, encoding="utf-8")
        recipe = FAKE.replace("fake-tactic", name)
        if name == "base-failing":
            recipe = recipe.replace("def main() -> None:", "def main() -> None:\n    sys.exit(3)")
        (root / "recipes" / f"{name.replace('-', '_')}.py").write_text(recipe, encoding="utf-8")
    return root


def test_a_failure_stops_nothing_and_is_told_in_the_table(two_recipes):
    again = ("measure", "--all", "--seeds", "2", "--latency-seeds", "0")
    result = call(two_recipes, *again)
    assert result.exit_code == 1, result.output
    table = {line.split()[1]: line for line in result.stdout.splitlines() if "base-" in line}
    assert "failed: no repeat" in table["base-failing"]
    assert "measured with 2 seeds" in table["base-measured"]
    assert list((two_recipes / "recipes" / "results").rglob("*.json"))
    result = call(two_recipes, *again)  # what holds is left alone
    assert re.search(r"base-measured .* kept, as the recipe is unchanged", result.stdout)
    smoke = call(two_recipes, *again, "--preset", "smoke")  # which nothing holds for
    assert "measured with 2 seeds" in smoke.stdout


def test_one_bar_goes_over_several_runs_by_their_expected_time():
    shown = io.StringIO()
    progress = RepeatProgress(
        Console(file=shown, force_terminal=True, width=160), {"short": 1.0, "long": 3.0}
    )
    progress.begin_run("short")
    progress.begin(total=2, done=0)
    for seed in (0, 1):
        progress.started(Pair("tactic", seed))
        progress.ended(Pair("tactic", seed), 0.5)
    progress.begin(total=1, done=0)  # timing passes of the same run
    progress.begin_run("long")
    progress.begin(total=3, done=1)
    progress.close()
    text = shown.getvalue()
    assert list(dict.fromkeys(re.findall(r"(\d+)%", text))) == ["0", "12", "25", "50"]
    assert "2 of 2, long: " in text
