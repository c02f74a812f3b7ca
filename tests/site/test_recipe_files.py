"""What leaves the repository works without it: archives of recipes, and lines copied with what they need."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from greentactics.cli.main import main
from greentactics.site.pages import render_site
from greentactics.site.recipe_files import needed_files, packed, recipe_archives
from greentactics.site.tactic_page import key_lines, usage
from tests.examples.records import PRUNING, REAL, ROOT, catalogue

RECIPES = sorted(REAL.recipes)
PAGES = render_site(REAL, {})
ARCHIVES = dict(recipe_archives(REAL))
IMPORT_ALL = """
import dis, importlib, inspect, json, sys
from pathlib import Path

def globals_of(code):
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for part in code.co_consts:
        if inspect.iscode(part):
            yield from globals_of(part)

jobs = json.load(sys.stdin)
sys.path = [entry for entry in sys.path if not Path(entry, "recipes").is_dir()]
for folder, name, wanted in jobs:
    sys.path.insert(0, folder)
    module = importlib.import_module(name)
    for one in wanted:
        function = getattr(module, one)
        known = {*vars(module), *dir(__builtins__)}
        missing = set(globals_of(inspect.unwrap(function).__code__)) - known
        assert not missing, (name, one, missing)
    own = [key for key in sys.modules if key.partition(".")[0] in ("greentactics", "recipes", name)]
    for key in own:
        loaded = sys.modules[key]
        places = [loaded.__file__] if loaded.__file__ else list(loaded.__path__)
        assert all(Path(place).is_relative_to(folder) for place in places), (key, places)
    for key in own:
        del sys.modules[key]
    sys.path.remove(folder)
"""


def copied(identifier: str, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Copy the marked lines and what they are said to need to a folder; return module and functions."""
    text = REAL.recipes[identifier].text
    used = usage(text, REAL.records[identifier].module, REAL.modules)
    assert used is not None
    for path in used.modules:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(REAL.modules[path])
    needed: list[str] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            names = {part.id for part in ast.walk(node.targets[0]) if isinstance(part, ast.Name)}
        else:
            names = {getattr(node, "name", "")}
        if names & {*used.definitions}:
            needed.append(ast.unparse(node))
    lines = "\n".join([*needed, key_lines(text) or ""])
    mentioned = {node.id for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Name)}
    imports = ["from __future__ import annotations"]
    for node in ast.parse(text).body:
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if (alias.asname or alias.name).partition(".")[0] in mentioned:
                start = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
                imports.append(f"{start}import {ast.unparse(alias)}")
    (folder / "own_code.py").write_text("\n".join([*imports, lines]))
    functions = re.findall(r"^from [\w.]+ import (.+)$", used.text, re.MULTILINE)[0]
    return "own_code", tuple(functions.split(", "))


def test_recipes_and_copied_lines_can_be_imported_in_an_empty_folder(tmp_path: Path) -> None:
    """All in one fresh process, as importing torch takes most of the time."""
    jobs = []
    for identifier in RECIPES:
        unpacked, own = tmp_path / identifier / "unpacked", tmp_path / identifier / "own"
        own.mkdir(parents=True)
        module, functions = copied(identifier, own)
        with zipfile.ZipFile(io.BytesIO(ARCHIVES[f"recipes/{identifier}/{identifier}.zip"])) as archive:
            archive.extractall(unpacked)
        jobs += [
            (str(unpacked), f"recipes.{REAL.records[identifier].module}", functions),
            (str(own), module, functions),
        ]
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL],
        cwd=tmp_path,
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_is_imported_is_followed_wherever_it_stands() -> None:
    modules = {
        "recipes/__init__.py": "",
        "recipes/a.py": "from recipes.common import b, missing\nimport torch\n",
        "recipes/common/__init__.py": "",
        "recipes/common/b.py": "def f():\n    from .c import x\n",
        "recipes/common/c.py": "import greentactics.models.timings\nimport recipes.a\n",
        "recipes/common/d.py": "",
        "greentactics/__init__.py": "from . import rules",
        "greentactics/rules.py": "",
        "greentactics/models/__init__.py": "",
        "greentactics/models/timings.py": "",
    }
    assert needed_files(["recipes.a"], modules) == tuple(sorted(modules.keys() - {"recipes/common/d.py"}))
    assert needed_files(["recipes.common.d", "torch"], modules) == (
        "recipes/__init__.py", "recipes/common/__init__.py", "recipes/common/d.py",
    )  # fmt: skip


def test_a_recipe_that_is_tried_on_subjects_brings_them_along() -> None:
    for identifier, archive in (
        (path.split("/")[1], zipfile.ZipFile(io.BytesIO(data))) for path, data in ARCHIVES.items()
    ):
        has_subjects = "recipes/subjects/digits_cnn.py" in archive.namelist()
        text = REAL.recipes[identifier].text
        assert has_subjects == ("SUBJECTS = " in text or "from recipes.subjects import" in text)


def test_the_same_files_give_the_same_bytes() -> None:
    files = {"b.py": "x = 1\n", "a/é.py": "é\n"}
    made = packed(files)
    assert made == packed(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["a/é.py", "b.py"]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("identifier", RECIPES)
def test_pages_lead_to_archive_and_files_that_are_there(identifier: str) -> None:
    files = PAGES | ARCHIVES
    text = files[f"tactics/{identifier}/index.md"].partition("{#recipe}")[2]
    linked = re.findall(r'href="\.\./\.\./(recipes/[^"]+\.(?:zip|py))"', text)
    used = usage(REAL.recipes[identifier].text, REAL.records[identifier].module, REAL.modules)
    assert used is not None
    assert linked == [*used.modules, f"recipes/{identifier}/{identifier}.zip"]
    assert all(path in files for path in linked)
    assert all(files[path] == (ROOT / path).read_text() for path in used.modules)
    with zipfile.ZipFile(io.BytesIO(ARCHIVES[linked[-1]])) as archive:
        assert archive.read("LICENSE") == (ROOT / "LICENSE").read_bytes()
        said = f"(ZIP, {len(archive.namelist())} files, {len(ARCHIVES[linked[-1]]) / 1000:.0f} kB)"
    assert said in text


def test_a_recipe_whose_files_are_not_at_hand_has_no_archive() -> None:
    made = catalogue(PRUNING)
    assert not list(recipe_archives(made))
    assert ".zip" not in render_site(made, {})[f"tactics/{PRUNING.id}/index.md"]


def test_the_command_that_renders_writes_the_archives_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(ROOT), "render", "--out", str(tmp_path / "docs")])
    assert done.exit_code == 0, done.output
    for path, data in ARCHIVES.items():
        assert (tmp_path / "docs" / path).read_bytes() == data
