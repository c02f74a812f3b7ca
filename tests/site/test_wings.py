"""The picture of the package says what the imports say, and the plan that `make check` holds."""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import greentactics
from greentactics.site.drawings.wings import FLOORS, read_wings, wings_svg
from tests.examples.example_files import REPOSITORY

PACKAGE = Path(greentactics.__file__).parent


def test_the_floors_are_those_that_the_imports_are_held_to() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    (layers, _) = settings["tool"]["importlinter"]["contracts"]
    floors = [tuple(layer.replace("greentactics.", "").split(" | ")) for layer in layers["layers"]]
    assert floors == list(FLOORS)


def test_every_wing_is_drawn_and_every_import_leads_down() -> None:
    wings, imports = read_wings(PACKAGE)
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    assert set(wings) == set(level)
    assert imports["models", "text"] > 0
    assert all(level[one] < level[other] for one, other in imports)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "mkdocs_hook.py"}
    drawn = ET.fromstring(wings_svg(PACKAGE))
    words = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert [word for word in words if word in level] == [name for floor in FLOORS for name in floor]
    assert f"{wings['text'].file_count} files, {wings['text'].line_count:,} lines" in words
