from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.py") if path.stem != "__init__")


def test_there_are_recipes() -> None:
    assert "consider_energy_aware_pruning" in RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_satisfies_the_contract(name: str) -> None:
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


@pytest.mark.parametrize("name", RECIPES)
def test_each_setting_is_explained(name: str) -> None:
    lines = (ROOT / "recipes" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    fields = dataclasses.fields(importlib.import_module(f"recipes.{name}").Config)
    lines = lines[lines.index("class Config:") :]
    for field in fields:
        number = next(i for i, line in enumerate(lines) if line.startswith(f"    {field.name}: "))
        assert lines[number + 1].startswith('    """'), f"{field.name} lacks a docstring"
