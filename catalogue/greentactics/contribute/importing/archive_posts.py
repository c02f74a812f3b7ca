"""Entries of the Archive of Awesome and Dark Tactics: its Markdown files, pages, and their copied text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greentactics.citing.identifiers import find_identifiers
from greentactics.contribute.importing.front_matter import FENCE, Field, filled, read_front_matter
from greentactics.contribute.importing.page_text import PageLine, lines_of_html
from greentactics.text.files import display_name, read_text_file
from greentactics.text.problems import UserError

ENTRY_BYTES = 300_000
"""Size above which a file is no entry."""

_KEY = re.compile(r"title|layout|tags|categories|t-[A-Za-z-]+")
_EMPTY = ("", "NA", "< unknown >")
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[A-Za-z0-9_.-]+")
_INLINE = {
    "Tactic": "title",
    "Tactic sort": "t-sort",
    "Type": "t-type",
    "Category": "categories",
    "Tags": "tags",
}
"""Words before a colon at the head of a page, and the fields whose values follow them."""
_HEADINGS = {
    "Title": "title",
    "Description": "t-description",
    "Participant": "t-participant",
    "Related software artifact": "t-artifact",
    "Related artifact": "t-artifact",
    "Context": "t-context",
    "Software feature": "t-feature",
    "Feature": "t-feature",
    "Tactic intent": "t-intent",
    "Target quality attribute": "t-targetQA",
    "Other related quality attributes": "t-relatedQA",
    "Measured impact": "t-measuredimpact",
    "Intent measure": "t-intentmeasure",
    "Countermeasure": "t-countermeasure",
    "Source": "t-source",
}
"""Headings of a page, and the fields whose values stand below them."""
_END = "Graphical representation"
_PAGE_DOI = re.compile(r"\(DOI:\s*(\S*)\)\s*\Z")
_NO_DIAGRAM = "contribution.png"


@dataclass(frozen=True)
class Post:
    """One entry of the archive."""

    file: str
    """Name of its file."""
    name: str
    """The last part of its address: date and slug; the file's name without suffix where that is unknown."""
    fields: Mapping[str, Field]
    """Its filled fields, in the order of the file."""

    @property
    def title(self) -> str:
        """Its title; empty without one."""
        return self.fields["title"].value if "title" in self.fields else ""

    @property
    def address_is_known(self) -> bool:
        """Whether the name is that of the entry's address."""
        return _DATED.fullmatch(self.name) is not None


def read_posts(folder: Path, category: str) -> tuple[Post, ...]:
    """Read all entries of one category of the archive, in the order of their files.

    Args:
        folder: A copy of the archive, with `_posts/<category>/`, or a clone of its repository.
        category: Name of the category's folder.

    Raises:
        UserError: The folder is not the archive, or a file is no entry.
        CatalogueError: A file cannot be read as text.
    """
    in_clone = folder / "docs" / "_posts"
    posts = in_clone if in_clone.is_dir() else folder / "_posts"
    paths = sorted(path for path in (posts / category).glob("*") if path.suffix in {".md", ".markdown"})
    if not paths:
        there = ", ".join(sorted(path.name for path in posts.glob("*") if path.is_dir())) or "nothing"
        raise UserError(f"{folder}: expected entries in _posts/{category}/; _posts/ holds {there}")
    return tuple(read_post(path, root=None) for path in paths)


def read_post(path: Path, *, root: Path | None) -> Post:
    """Read one entry from a Markdown file, an HTML page or the text of such a page.

    Args:
        path: The file.
        root: Folder which the file must not leave through a link; None where any place is good.

    Raises:
        UserError: It is no entry of the archive.
        CatalogueError: It cannot be read as text.
    """
    source = read_text_file(path, root=root, max_bytes=ENTRY_BYTES)
    return parse_post(source.text, display_name(path, root), path)


def parse_post(text: str, file: str, path: Path) -> Post:
    """Read one entry from text that came from a file.

    Raises:
        UserError: It is no entry of the archive.
    """
    name = path.stem
    if text.lstrip().startswith("<"):
        page = lines_of_html(text)
        fields = _from_page(page.lines, file)
        name = page.address.removesuffix(".html").rpartition("/")[2] or name
        diagram = page.pictures[-1].rpartition("/")[2] if page.pictures else _NO_DIAGRAM
        if diagram != _NO_DIAGRAM:
            fields["t-diagram"] = Field(1, diagram)
    elif text.startswith(FENCE) or path.suffix in {".md", ".markdown"}:
        fields = filled(read_front_matter(text, file, _KEY)[0], _EMPTY)
        fields.pop("layout", None)
        if not any(key.startswith("t-") for key in fields):
            raise UserError(
                f"{file}:1: expected an entry of the archive, got front matter without its fields"
            )
    else:
        lines = [PageLine(number, line) for number, line in enumerate(text.split("\n"), start=1)]
        fields = _from_page(lines, file)
    return Post(path.name, name, fields)


def _from_page(lines: list[PageLine], file: str) -> dict[str, Field]:
    """Read the fields between the heading of a page and its picture."""
    found: dict[str, tuple[int, list[str]]] = {}
    parts: list[str] | None = None
    for number, raw in lines:
        line = " ".join(raw.split())
        if line == _END:
            break
        word, colon, value = line.partition(":")
        if "t-description" not in found and colon and word in _INLINE:
            found.setdefault(_INLINE[word], (number, [value]))
        elif line in _HEADINGS and "title" in found:
            parts = []
            found[_HEADINGS[line]] = (number, parts)
        elif parts is not None:
            parts.append(line)
    if not {"title", "t-sort", "t-source"} <= found.keys():
        named = find_identifiers("\n".join(line.text for line in lines)).identifiers
        cure = f"; `greentactics cite {named[0]}` cites the paper it names" if named else ""
        raise UserError(f"{file}:1: expected an entry of the archive, got a text without its headings{cure}")
    fields = {key: Field(number, " ".join(" ".join(parts).split())) for key, (number, parts) in found.items()}
    source = fields["t-source"]
    if match := _PAGE_DOI.search(source.value):
        fields["t-source-doi"] = Field(source.line, match[1])
        fields["t-source"] = Field(source.line, source.value[: match.start()].strip())
    return filled(fields, _EMPTY)
