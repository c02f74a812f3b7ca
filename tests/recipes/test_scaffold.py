"""The recipe that `greentactics new` writes: it runs, and compares what it says."""

from __future__ import annotations

import datetime
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from greentactics.contribute.new import Draft, scaffold
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
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
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    subject = load_subject("digits_cnn")
    subject.epochs = {"smoke": (3.0, 2.0)}
    trial = run_trial(recipe, subject, 0, "smoke", FakeMeter())
    whole = trial.arms["baseline"].chosen.costs[recipe.COST]
    assert [point.costs[recipe.COST] < whole for point in trial.arms["tactic"].points] == [True] * 3
    assert trial.left_out == {}
