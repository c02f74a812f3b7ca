"""The wings of this package, drawn from its imports, for the page on its architecture."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

FLOORS = (
    ("cli",),
    ("site",),
    ("api", "contribute"),
    ("citing", "evidence", "measure"),
    ("records",),
    ("models",),
    ("text",),
)
"""The wings from top to bottom: each imports from floors below its own."""
_IMPORT = re.compile(r"^\s*from greentactics\.(\w+)", re.MULTILINE)
_WIDTH, _BOX, _HEIGHT, _STEP = 720, 190, 44, 92
_STYLE = """
text { font: 15px system-ui, sans-serif; text-anchor: middle; fill: #1b1b1b }
text.small { font-size: 12px; fill: #555 }
rect { fill: #fff; stroke: #2e7d32; stroke-width: 1.5 }
line { stroke: #9e9e9e }
@media (prefers-color-scheme: dark) {
text { fill: #f0f0f0 } text.small { fill: #bbb } line { stroke: #757575 }
rect { fill: #1f2a20; stroke: #81c784 }
}
"""


@dataclass(frozen=True)
class Wing:
    """One wing as it is drawn."""

    file_count: int
    """Modules in it."""
    line_count: int
    """Their lines."""


def read_wings(package: Path) -> tuple[dict[str, Wing], Counter[tuple[str, str]]]:
    """Count files, lines and imports of the wings.

    Args:
        package: Folder of the package.

    Returns:
        The wings by name, and how many modules of one wing (first) import from another (second).
    """
    wings: dict[str, Wing] = {}
    imports: Counter[tuple[str, str]] = Counter()
    for folder in sorted(path for path in package.iterdir() if (path / "__init__.py").is_file()):
        texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))]
        wings[folder.name] = Wing(len(texts), sum(text.count("\n") for text in texts))
        for text in texts:
            imports.update((folder.name, other) for other in set(_IMPORT.findall(text)) - {folder.name})
    return wings, imports


def wings_svg(package: Path) -> str:
    """Draw the wings as a picture that stands by itself, in light and dark."""
    wings, imports = read_wings(package)
    places = {
        name: (_WIDTH * (2 * index + 1) / (2 * len(floor)), 8 + level * _STEP)
        for level, floor in enumerate(FLOORS)
        for index, name in enumerate(floor)
    }
    lines = [
        f'<line x1="{places[one][0]:.0f}" y1="{places[one][1] + _HEIGHT}" x2="{places[other][0]:.0f}" '
        f'y2="{places[other][1]}" stroke-width="{0.6 + count / 8:.1f}"/>'
        for (one, other), count in sorted(imports.items())
    ]
    boxes = [_box(name, *places[name], wings[name]) for name in places]
    height = 16 + (len(FLOORS) - 1) * _STEP + _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>Wings of the package and their imports</title><style>{_STYLE}</style>"
        + "".join([*lines, *boxes])
        + "</svg>\n"
    )


def _box(name: str, x: float, y: float, wing: Wing) -> str:
    """Draw a wing over the lines that pass it, so that none crosses its words."""
    return (
        f'<rect x="{x - _BOX / 2:.0f}" y="{y}" width="{_BOX}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x:.0f}" y="{y + 19}">{name}</text><text class="small" x="{x:.0f}" y="{y + 36}">'
        f"{wing.file_count} files, {wing.line_count:,} lines</text>"
    )
