"""Words that are spelt in two ways: the search finds what is written in either."""

from __future__ import annotations

import json
import re

_WORD = re.compile(r"\b([a-z]{3,}i)([sz])((?:ations?|ed|er|ers|es|e|ing))\b", re.IGNORECASE)


def with_both_spellings(index: str) -> str:
    """Return the index of the search with the other spelling behind each text that has only one.

    A word counts when its noun in -isation or -ization stands anywhere in the index, so that words such as
    "otherwise" are left alone.

    Args:
        index: JSON as the search plugin writes it.
    """
    content = json.loads(index)
    texts = [f"{entry['title']} {entry['text']}" for entry in content["docs"]]
    words = {word[0].lower(): word for text in texts for word in _WORD.finditer(text)}
    stems = {word[1].lower() for word in words.values() if word[3].lower().startswith("ation")}
    for entry, text in zip(content["docs"], texts, strict=True):
        own = {word[0].lower(): word for word in _WORD.finditer(text)}
        others = {
            f"{word[1]}{'z' if word[2] in 'sS' else 's'}{word[3]}".lower()
            for word in own.values()
            if word[1].lower() in stems
        } - set(own)
        if others:
            entry["text"] += f"<p>{' '.join(sorted(others))}</p>"
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
