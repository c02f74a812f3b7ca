from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

from recipes.common.trial.costs import METRICS
from recipes.common.trial.harness import arms_of

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in (ROOT / "recipes").glob("*.py") if path.stem != "__init__")
TRIALS = [path.stem for path in FILES if "\nSUBJECTS = " in path.read_text(encoding="utf-8")]
WORKLOADS = [path.stem for path in FILES if path.stem not in TRIALS]


def test_there_are_recipes_of_both_kinds() -> None:
    assert "prune_without_retraining" in TRIALS
    assert "use_checkpoints_during_training" in WORKLOADS


@pytest.mark.parametrize("name", TRIALS)
def test_a_recipe_that_is_tried_on_subjects_names_them_and_what_it_wants_lower(name: str) -> None:
    recipe = importlib.import_module(f"recipes.{name}")
    assert name.replace("_", "-") == recipe.TACTIC
    assert recipe.ARMS[0].__name__ == "tactic"
    assert all(arm.__doc__ for arm in arms_of(recipe))
    assert set(recipe.SUBJECTS) == {"smoke", "default", "full"}
    for subject in recipe.SUBJECTS.values():
        assert (ROOT / "recipes" / "subjects" / f"{subject}.py").exists()
    assert recipe.COST in METRICS or hasattr(recipe, "extra_costs")
    assert (ROOT / "tactics" / f"{recipe.TACTIC}.yaml").exists()


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_recipe_with_a_workload_satisfies_the_contract(name: str) -> None:
    recipe = importlib.import_module(f"recipes.{name}")
    assert name.replace("_", "-") == recipe.TACTIC
    assert recipe.ARMS[:2] == ("baseline", "tactic")
    assert len(set(recipe.ARMS)) == len(recipe.ARMS)
    assert dataclasses.is_dataclass(recipe.Config)
    assert recipe.Config.__dataclass_params__.frozen
    assert all(isinstance(preset, recipe.Config) for preset in (recipe.SMOKE, recipe.DEFAULT, recipe.FULL))
    assert callable(recipe.run)
    assert callable(recipe.main)
    assert (ROOT / "tactics" / f"{recipe.TACTIC}.yaml").exists()


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_setting_is_explained(name: str) -> None:
    lines = (ROOT / "recipes" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    fields = dataclasses.fields(importlib.import_module(f"recipes.{name}").Config)
    lines = lines[lines.index("class Config:") :]
    for field in fields:
        number = next(i for i, line in enumerate(lines) if line.startswith(f"    {field.name}: "))
        assert lines[number + 1].startswith('    """'), f"{field.name} lacks a docstring"
