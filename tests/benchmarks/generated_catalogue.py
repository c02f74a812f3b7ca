"""Right catalogues of any size, with records as long as real ones; their sentences mean nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PATTERN = REPOSITORY / "tactics" / "enhance-model-sparsity.yaml"

_PROSE = re.compile(r"^(\s*+(?:- )?+(?:[a-z_]+: )?+)([^{\[]\S*(?: \S+){4,})$", re.MULTILINE)
_OWN_TIES = re.compile(r"^(?:relations|recipe):.*?^(?=\w)", re.MULTILINE | re.DOTALL)
_CITED = re.compile(r"\bkey: (\S+)")
_WORD = re.compile(r"\b[a-z]{4,}\b")
_RELATIONS = """relations:
  - type: specialises
    target: {parent}
    reason: A narrower way to the same end.
  - type: combines_with
    target: {partner}
    reason: The savings of both add up where they act on different parts.
sources:"""
_REFERENCE = """{key}:
  type: paper-conference
  title: Proceedings paper number {number} on networks that need fewer operations
  author:
    - {{family: Author, given: First}}
    - {{family: Writer, given: Second}}
  issued:
    date-parts: [[2017]]
  container-title: Proceedings of a Conference on Systems for Machine Learning
  page: 1135-1143
  DOI: 10.1000/generated.{number}
"""


def write_catalogue(root: Path, count: int) -> int:
    """Write records of different texts that relate to each other, and the references they cite.

    Args:
        root: Folder to make `tactics/` and `recipes/` in.
        count: Number of records, 18 or more.

    Returns:
        Size of all records in bytes.
    """
    (root / "tactics").mkdir(parents=True)
    (root / "recipes").mkdir()
    pattern = _OWN_TIES.sub("", PATTERN.read_text(encoding="utf-8"))
    records = {number: _record(pattern, number, count) for number in range(count)}
    for number, text in records.items():
        (root / "tactics" / f"{_tactic(number)}.yaml").write_text(text, encoding="utf-8")
    references = "\n".join(_REFERENCE.format(key=_citation_key(n), number=n) for n in range(0, count, 3))
    (root / "tactics" / "references.yaml").write_text(references, encoding="utf-8")
    return sum(len(text.encode()) for text in records.values())


def _tactic(number: int) -> str:
    return f"generated-tactic-{number}"


def _citation_key(number: int) -> str:
    """Return the key of the work that this record and the two after it cite."""
    return f"author-n{number - number % 3}-2017"


def _record(pattern: str, number: int, count: int) -> str:
    """Return the pattern with other words in its sentences, its own identifier, relations and sources."""
    draw = random.Random(number)
    words = _WORD.findall(pattern)
    text = _PROSE.sub(lambda line: line[1] + _WORD.sub(lambda _: draw.choice(words), line[2]), pattern)
    text = text.replace(PATTERN.stem, _tactic(number), 1)
    parent, partner = max(number // 2, 1), (number + 7) % count
    relations = _RELATIONS.format(parent=_tactic(parent), partner=_tactic(partner))
    text = text.replace("\nsources:", f"\n{relations if number > 1 else 'sources:'}")
    for position, key in enumerate(_CITED.findall(pattern)):
        text = text.replace(key, _citation_key((number + 3 * position) % count))
    return text
