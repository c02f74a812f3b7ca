"""Patterns of the Green Software Foundation to drafts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greentactics.citing.entries import citation_key, find_identifier, find_title
from greentactics.citing.identifiers import find_identifiers
from greentactics.citing.raw_entries import LeftOut, split_date
from greentactics.contribute.importing.drafts import ImportedDraft, draft_id
from greentactics.contribute.importing.front_matter import Field, filled, read_front_matter
from greentactics.models.bibliography import Reference
from greentactics.models.vocabulary import Category, Kind, Participant, Stage, Tag, Term
from greentactics.text.files import display_name, read_text_file, readable
from greentactics.text.problems import UserError, quoted

CATALOGUE = "gsf"
"""Name of the catalogue in `aliases`."""
PATTERN_BYTES = 300_000
"""Size above which a file is no pattern."""
_FOUNDATION = "Green Software Foundation"
_KEY = re.compile(
    r"version|submitted_by|submitted_by_linkedin|published_date|category|description|tags|personas|title"
)
_UNUSED = frozenset({"version", "submitted_by", "submitted_by_linkedin", "personas"})
"""Fields that have no place in a record: names of people, and what the tags say too."""
_CATEGORIES: Mapping[str, Term] = {
    "ai": Category.GREEN_ML_ENABLED_SYSTEMS,
    "cloud": Category.CLOUD_COMPUTING,
    "web": Category.GREEN_SOFTWARE_PRACTICE,
    "requirements": Stage.REQUIREMENTS,
    "architecture": Stage.ARCHITECTURE,
}
_TAGS: Mapping[str, Term | None] = {
    "ai": Category.GREEN_ML_ENABLED_SYSTEMS,
    "cloud": Tag.CLOUD,
    "compute": None,
    "edge-computing": Tag.EDGE,
    "energy-efficiency": None,
    "inference": Tag.INFERENCE,
    "machine-learning": Category.GREEN_ML_ENABLED_SYSTEMS,
    "monitoring": Tag.MONITORING,
    "network": Tag.COMMUNICATION,
    "networking": Tag.COMMUNICATION,
    "persona:ai-ml-engineer": Participant.ML_ENGINEER,
    "persona:devops-engineer": Participant.OPERATOR,
    "persona:front-end-engineer": Participant.SOFTWARE_DEVELOPER,
    "persona:infrastructure-engineer": Participant.OPERATOR,
    "persona:software-engineer": Participant.SOFTWARE_DEVELOPER,
    "persona:solution-architect": Participant.SOFTWARE_ARCHITECT,
    "role:cloud-engineer": Participant.OPERATOR,
    "role:software-engineer": Participant.SOFTWARE_DEVELOPER,
    "web": Category.GREEN_SOFTWARE_PRACTICE,
}
"""Words of theirs and the term of ours for each; None where the word says nothing new."""
_SIZE = re.compile(r"size:(?:small|medium|large)")
"""How much work a pattern is, without a unit; our `effort` asks for a reason, which the text has to give."""
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Description": ("summary", "intent", "problem"),
    "Solution": ("solution",),
    "SCI Impact": ("effects", "impact"),
    "Cost Impact": ("trade_offs",),
    "Assumptions": ("applies_when",),
    "Considerations": ("avoid_when", "trade_offs"),
    "References": ("sources",),
}
"""Sections, and the fields of a record that draw on them."""
_LINK = re.compile(r"\[([^\[\]]{1,300})\]\((https?://[^\s()]{1,600})\)")


def read_draft(path: Path, root: Path | None, known: Mapping[str, Reference]) -> ImportedDraft:
    """Read one pattern from its Markdown file.

    Arguments and errors are those of `ReadDraft`.
    """
    file = display_name(path, root)
    text = read_text_file(path, root=root, max_bytes=PATTERN_BYTES).text
    fields, end = read_front_matter(text, file, _KEY)
    title, sections = _sections(text.split("\n")[end + 1 :])
    title = title or (fields["title"].value if "title" in fields else "")
    if not title or not {"Description", "Solution"} <= sections.keys():
        raise UserError(
            f"{file}:1: expected a pattern: a title and the sections Description and Solution, got other text"
        )
    fields = filled(fields, ("",))
    record, notes, left_out = _terms(fields)
    references = _own_reference(title, fields, known, notes)
    cited = _cited(sections.get("References", ""), known, notes)
    record |= {
        "id": draft_id(title, file),
        "kind": Kind.AWESOME.value,
        "status": "draft",
        "aliases": [{"catalogue": CATALOGUE, "title": title}],
    }
    notes.append("aliases: the address of the pattern is not in the file")
    if keys := [*references, *cited]:
        record["sources"] = [{"key": key} for key in keys]
    quarantine = {name or "head": text for name, text in sections.items()}
    if "description" in fields:
        quarantine["description"] = fields["description"].value
    drawn_on = {own: name for name, owns in _SECTIONS.items() if name in sections for own in owns}
    return ImportedDraft(record, quarantine, drawn_on, references, tuple(notes), tuple(left_out))


def _sections(lines: list[str]) -> tuple[str, dict[str, str]]:
    """Return the title and the text of each section, the one before the first under an empty name."""
    title, name = "", ""
    parts: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("# ") and not title:
            title = readable(line[2:])
        elif line.startswith("## "):
            name = readable(line[3:])
        else:
            parts.setdefault(name, []).append(line)
    return title, {name: text for name, body in parts.items() if (text := "\n".join(body).strip())}


def _terms(fields: Mapping[str, Field]) -> tuple[dict[str, Any], list[str], list[LeftOut]]:
    """Look up the words of the front matter; what is in no table is named.

    Returns:
        Fields of a record, points to clarify, and the words that no field holds.
    """
    notes: list[str] = []
    left_out = [LeftOut(name, field.value) for name, field in fields.items() if name in _UNUSED]
    words = [("category", fields["category"].value, _CATEGORIES)] if "category" in fields else []
    tags = (
        re.findall(r"[^\s,\[\]]+", re.sub(r"(?:^|\s)-\s", " ", fields["tags"].value))
        if "tags" in fields
        else []
    )
    terms: list[Term] = []
    for name, word, table in [*words, *(("tags", tag, _TAGS) for tag in tags)]:
        term = table.get(word.lower())
        if term:
            terms.append(term)
            continue
        left_out.append(LeftOut(name, word))
        if word.lower() not in table and not _SIZE.fullmatch(word.lower()):
            notes.append(f"{name}: not understood: {quoted(word)}")
    for name, field in fields.items():
        if name not in _UNUSED and not _KEY.fullmatch(name):
            notes.append(f"{name}: not a field of a pattern: {quoted(field.value)}")
    record: dict[str, Any] = {}
    for own, kind in (("tags", Tag), ("participant", Participant), ("stages", Stage)):
        if found := list(dict.fromkeys(term.value for term in terms if isinstance(term, kind))):
            record[own] = found
    categories = list(dict.fromkeys(term.value for term in terms if isinstance(term, Category)))
    if categories:
        record["category"] = categories[0]
    notes += [f"category: may also be {category}" for category in categories[1:]]
    return record, notes, left_out


def _own_reference(
    title: str, fields: Mapping[str, Field], known: Mapping[str, Reference], notes: list[str]
) -> dict[str, Reference]:
    """Return the pattern itself as a source, where its date is one."""
    date = fields["published_date"].value if "published_date" in fields else ""
    parts, rest = split_date(date)
    if rest and parts:
        notes.append(f"published_date: {quoted(rest)} of {quoted(date)} is no part of a date")
    if not parts or not 1990 <= parts[0] <= 2100:
        notes.append(f"published_date: expected a date, got {quoted(date) if date else 'none'}")
        return {}
    tree = {"type": "webpage", "title": title, "author": [{"literal": _FOUNDATION}],
            "issued": {"date-parts": [parts]}}  # fmt: skip
    reference = Reference.model_validate(tree, strict=False, by_alias=True, by_name=False)
    return {citation_key(reference, known): reference}


def _cited(text: str, known: Mapping[str, Reference], notes: list[str]) -> list[str]:
    """Return the keys of what the pattern cites and the bibliography has; name what else can be cited."""
    keys: list[str] = []
    for link in _LINK.finditer(text):
        key = find_title(readable(link[1]), known)
        for identifier in find_identifiers(link[2]).identifiers:
            key = key or find_identifier(identifier, known)
            if not key:
                notes.append(f"source: {quoted(readable(link[1]))}: `greentactics cite {identifier}` adds it")
        if key and key not in keys:
            keys.append(key)
    notes += [f"broken identifier: {broken}" for broken in find_identifiers(text).broken]
    return keys
