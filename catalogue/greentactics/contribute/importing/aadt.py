"""Entries of the Archive of Awesome and Dark Tactics to drafts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from greentactics.citing.raw_entries import LeftOut
from greentactics.contribute.importing.archive_posts import Post, read_post
from greentactics.contribute.importing.archive_words import ARCHIVE, FIELDS, meanings_of, words_of
from greentactics.contribute.importing.citations import Sources, read_sources
from greentactics.contribute.importing.drafts import ImportedDraft, draft_id
from greentactics.models.bibliography import Reference
from greentactics.models.vocabulary import Direction, Group, Tag, Term
from greentactics.text.files import readable
from greentactics.text.problems import quoted

_ADDRESS = "https://s2group.cs.vu.nl/AwesomeAndDarkTactics/tactics/"
_SINGLE = frozenset({"kind", "type", "category", "target_quality"})
_WORDING: Mapping[str, tuple[str, ...]] = {
    "t-description": ("summary", "problem", "solution"),
    "t-context": ("context",),
    "t-feature": ("feature",),
    "t-intent": ("intent",),
    "t-measuredimpact": ("impact",),
    "t-intentmeasure": ("intent_measure",),
    "t-countermeasure": ("countermeasure",),
    "t-source": ("sources",),
}
"""Fields of text, and the fields of a record that draw on them."""
_WORDS_OF_A_TERM = 3
"""Words beyond which a text is no term but wording, which stands in the quarantine only."""
_PLACED_OTHERWISE = frozenset({"title", "t-source", "t-source-doi", "t-diagram"})


def read_draft(path: Path, root: Path | None, known: Mapping[str, Reference]) -> ImportedDraft:
    """Read one entry of the archive: Markdown with front matter, HTML, or the text of a page.

    Arguments and errors are those of `ReadDraft`.
    """
    return draft_of(read_post(path, root=root), known)


def draft_of(post: Post, known: Mapping[str, Reference]) -> ImportedDraft:
    """Turn one entry into a draft; each filled field is placed, quarantined or named.

    Raises:
        UserError: It has no title to make an identifier of.
    """
    fields, notes, left_out = _terms(post)
    sources = _sources(post, known)
    left_out += [LeftOut("t-source", words) for words in sources.left_out]
    fields["id"] = draft_id(post.title, post.file)
    fields["status"] = "draft"
    alias = {"catalogue": ARCHIVE, "title": readable(post.title)}
    if post.address_is_known:
        alias["url"] = f"{_ADDRESS}{post.name}"
    else:
        notes.append("aliases: the address of the entry is not in the file")
    if "t-diagram" in post.fields:
        alias["diagram"] = readable(post.fields["t-diagram"].value)
    fields["aliases"] = [alias]
    if sources.keys:
        fields["sources"] = [{"key": key} for key in sources.keys]
    for name in post.fields:
        if name not in FIELDS and name not in _WORDING and name not in _PLACED_OTHERWISE:
            notes.append(f"{name}: not a field of the archive; see the quarantine")
    doubtful = {note.partition(":")[0] for note in notes}
    wording = {
        name: field.value
        for name, field in post.fields.items()
        if name in {"t-source", "t-artifact", *doubtful} or name not in {*_PLACED_OTHERWISE, *FIELDS}
    }
    drawn_on = {own: name for name, owns in _WORDING.items() if name in post.fields for own in owns}
    return ImportedDraft(
        fields,
        wording,
        drawn_on,
        sources.references,
        (*notes, *sources.to_clarify),
        tuple(left_out),
    )


def _sources(post: Post, known: Mapping[str, Reference]) -> Sources:
    text, identifiers = (
        post.fields[name].value if name in post.fields else "" for name in ("t-source", "t-source-doi")
    )
    return read_sources(text, identifiers, known)


def _terms(post: Post) -> tuple[dict[str, Any], list[str], list[LeftOut]]:
    """Look the words of an entry up in the tables; what is not there or has several meanings is named.

    Returns:
        Fields of a record, points to clarify, and the words that no field holds.
    """
    fields: dict[str, Any] = {}
    notes: list[str] = []
    left_out: list[LeftOut] = []
    for name, (own, table) in FIELDS.items():
        if name not in post.fields:
            continue
        terms: list[Term] = []
        for word in words_of(name, post.fields[name].value):
            meanings = meanings_of(table, word)
            if meanings is None or len(meanings) != 1:
                left_out.append(LeftOut(name, word))
            if meanings is None:
                shown_word = quoted(word) if len(word.split()) <= _WORDS_OF_A_TERM else "see the quarantine"
                notes.append(f"{name}: not understood: {shown_word}")
            elif len(meanings) > 1:
                notes.append(f"{name}: {quoted(word)} may be {' or '.join(meanings)}")
            else:
                terms += [term for term in meanings if term not in terms]
        if own in _SINGLE:
            fields[own] = terms[0].value if terms else None
            notes += [f"{name}: a second value, {term.value}" for term in terms[1:]]
            left_out += [LeftOut(name, term.value) for term in terms[1:]]
        elif terms:
            fields[own] = terms
    _split_tags(fields, notes)
    _complete_effects(fields)
    return {name: value for name, value in fields.items() if value is not None}, notes, left_out


def _split_tags(fields: dict[str, Any], notes: list[str]) -> None:
    """Take the group out of the tags, which hold it in the archive."""
    terms: list[Term] = fields.pop("tags", [])
    groups = [term.value for term in terms if isinstance(term, Group)]
    fields["group"] = groups[0] if groups else None
    notes += [f"tags: a second group, {group}" for group in groups[1:]]
    if tags := [term.value for term in terms if isinstance(term, Tag)]:
        fields["tags"] = tags
    for name in ("participant", "artifact"):
        if name in fields:
            fields[name] = [term.value for term in fields[name]]


def _complete_effects(fields: dict[str, Any]) -> None:
    """Make effects of target and related qualities; the archive does not say which way the latter go."""
    related: Iterable[Term] = fields.pop("effects", [])
    effects: list[dict[str, str]] = []
    if target := fields.get("target_quality"):
        effects.append({"quality": target, "direction": Direction.IMPROVES.value})
    effects += [{"quality": term.value} for term in related if term.value != fields.get("target_quality")]
    if effects:
        fields["effects"] = effects
