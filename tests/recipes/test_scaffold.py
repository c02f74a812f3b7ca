"""The recipe that `greentactics new` writes: it runs, and compares what it says."""

from __future__ import annotations

import datetime
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from greentactics.contribute.new import Draft, scaffold
from tests.recipes.fake_meter import FakeMeter


def test_the_recipe_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    files = scaffold(Draft("Do less", datetime.date(2026, 1, 1), "do-less"))
    path = tmp_path / "do_less.py"
    path.write_text(files["recipes/do_less.py"], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("do_less", path)
    recipe = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "do_less", recipe)
    spec.loader.exec_module(recipe)
    outcomes = {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}
    for outcome in outcomes.values():
        assert outcome.metrics["test_accuracy"].value > 0.7
        assert outcome.deployable is not None
    macs = {arm: outcome.metrics["macs"].value for arm, outcome in outcomes.items()}
    assert macs["tactic"] < macs["baseline"] / 4
