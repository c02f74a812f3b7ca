"""Files to models, and the checksum that ties results to a recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from greentactics.records import loading
from greentactics.records.loading import load_catalogue, load_results, load_results_folder, recipe_checksum
from greentactics.text.problems import CatalogueError, Rule
from tests.examples.example_files import copy_valid

RESULTS = Path("recipes/results/base-measured/example-processor.json")


def test_a_right_catalogue_is_loaded_whole(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    catalogue = load_catalogue(root)
    assert catalogue.root == root
    assert list(catalogue.records) == ["base-awesome", "base-dark", "base-measured"]
    assert list(catalogue.bibliography) == ["smith-2020"]
    assert [entry.device_slug for entry in catalogue.results["base-measured"]] == ["example-processor"]
    assert catalogue.recipes["base-measured"].text.startswith('"""Leave out work')
    assert catalogue.recipes["base-measured"].sha256 == recipe_checksum(root, "base-measured")(
        "default", metered=False
    )


def test_problems_of_all_files_are_raised_together_and_sorted(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    (root / "tactics" / "zz.yaml").write_text("id: no", encoding="utf-8")
    (root / "tactics" / "aa.yaml").write_text("[", encoding="utf-8")
    (root / RESULTS).write_text("{}", encoding="utf-8")
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(root)
    problems = caught.value.problems
    assert list(problems) == sorted(problems)
    assert {problem.file for problem in problems} == {str(RESULTS), "tactics/aa.yaml", "tactics/zz.yaml"}
    assert str(caught.value).splitlines() == [str(problem) for problem in problems]


def test_a_missing_bibliography_is_a_problem(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    (root / "tactics" / "references.yaml").unlink()
    with pytest.raises(CatalogueError, match=r"references.yaml:1:1: expected a file of this name, got none"):
        load_catalogue(root)


def test_results_by_themselves(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    assert load_results(root / RESULTS).tactic == "base-measured"
    assert list(load_results_folder(root / "recipes" / "results")) == ["base-measured"]
    assert load_results_folder(root / "build" / "results") == {}
    (root / RESULTS).write_text("{", encoding="utf-8")
    with pytest.raises(CatalogueError):
        load_results_folder(root / "recipes" / "results")
    with pytest.raises(CatalogueError, match=r"gone\.json:1:1: expected a file of this name"):
        load_results(root / "gone.json")


def test_a_problem_in_results_names_its_line(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    tree = json.loads((root / RESULTS).read_text(encoding="utf-8"))
    tree["repeats"][1]["seed"] = "0"
    (root / RESULTS).write_text(json.dumps(tree, indent=1), encoding="utf-8")
    with pytest.raises(CatalogueError) as caught:
        load_results(root / RESULTS)
    (problem,) = caught.value.problems
    line = (root / RESULTS).read_text(encoding="utf-8").splitlines()[problem.line - 1]
    assert line[problem.column - 1 :] == '"0",'
    assert (problem.field, problem.rule) == ("repeats.1.seed", Rule.WRONG_TYPE)


def test_loading_imports_no_recipe_and_no_torch() -> None:
    code = "import sys, greentactics.records.checks; sys.exit(bool({'torch', 'recipes'} & {*sys.modules}))"
    folder = str(Path(loading.__file__).parent.parent)
    completed = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False)
    assert completed.returncode == 0
