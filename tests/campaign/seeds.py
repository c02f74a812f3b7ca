"""Right inputs to start from: real records and references, and everything a contributor may hand in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from greentactics.citing.bibtex import bibtex
from greentactics.citing.csl_json import csl_json
from greentactics.citing.entries import entry_text
from greentactics.citing.ris import ris
from greentactics.contribute.issue import read_fields
from greentactics.text.files import decode
from greentactics.text.yaml_source import tree_of_right_yaml
from tests.contribute.test_importing_patterns import PATTERN
from tests.contribute.test_issue_draft import filled
from tests.examples.archive_entries import AWESOME, DARK, HTML, PAGE
from tests.examples.device_results import document, theirs, timed
from tests.examples.example_files import REPOSITORY, VALID, record_text
from tests.examples.records import REAL

REAL_IDS = (
    "bloating",
    "enhance-model-sparsity",
    "consider-energy-aware-pruning",
    "use-checkpoints-during-training",
)
"""Real records, one of them a warning; among them they fill every field."""
_TIES = dict.fromkeys(REAL_IDS, "") | {
    REAL_IDS[1]: "relations:\n  - {type: combines_with, target: base-awesome, reason: Both help.}\n",
    REAL_IDS[0]: "former_ids: [bloat, carrying-too-much]\n",
}
"""Ties to the other records here."""
_OWN_TIES = re.compile(r"^(?:relations|recipe|withdrawn):.*?^(?=\w)", re.MULTILINE | re.DOTALL)


def _real_text(identifier: str) -> str:
    """Return a real record without what needs the rest of the catalogue."""
    text = (REPOSITORY / "tactics" / f"{identifier}.yaml").read_text(encoding="utf-8")
    return _OWN_TIES.sub("", text).replace("\nsources:", f"\n{_TIES[identifier]}sources:", 1)


def tree_of(text: str) -> dict[str, Any]:
    """Return the values of right YAML."""
    tree = tree_of_right_yaml(decode(text.encode(), "seed.yaml"))
    assert tree is not None
    return tree


RECORD_TEXTS = {
    **{identifier: _real_text(identifier) for identifier in REAL_IDS},
    **{name: record_text(name) for name in ("base-awesome", "base-dark", "base-measured")},
}
"""Records by identifier."""
RECORD_TREES = [tree_of(text) for text in RECORD_TEXTS.values()]
_CITED = sorted(
    {source["key"] for tree in RECORD_TREES for source in tree["sources"]} & REAL.bibliography.keys()
)
_REFERENCES = {key: REAL.bibliography[key] for key in _CITED}
REFERENCES_TEXT = "\n".join(
    sorted([*(entry_text(key, entry) for key, entry in _REFERENCES.items()),
            (VALID / "tactics" / "references.yaml").read_text(encoding="utf-8")])
)  # fmt: skip
"""The references that the records cite."""
_FEW = dict(list(_REFERENCES.items())[:4])
_ENTRY = """@string{j = {Journal}}
@article{a, title = {A {\\'e}tude}, author = {Poe, Ann and {The Group}}, journal = j # " of Tests",
  year = 2020, month = jan, pages = {1--9}, doi = {10.1234/a}}"""
BIBTEX = [bibtex(_FEW), _ENTRY]
CSL = [json.loads(csl_json({key: entry})) for key, entry in _FEW.items()]
RIS = [ris(_FEW), "TY  - CONF\nTI  - Reading\nAU  - Poe, Ann\nPY  - 2020/05/01\nDO  - 10.1234/a\nER  - \n"]
ARCHIVE_POSTS = [AWESOME, DARK]
ARCHIVE_PAGES = [HTML]
ARCHIVE_TEXTS = [PAGE]
PATTERNS = [PATTERN]
FORMS = [filled(), filled(title="Do less: \u201cquickly\u201d", steps=None, impact__claims__0__value="3.5")]
_ENERGY = {"gross_j": 3.5, "above_idle_j": None, "idle_power_w": 1.5, "by_domain_j": {"package-0": 3.5}}
RESULTS = [theirs(), timed(), document("Third processor", 6, arms=("baseline", "tactic", "rival"))]
RESULTS[0]["repeats"][0]["energy"] = _ENERGY


def prepare(root: Path) -> None:
    """Put the seeds into a small catalogue."""
    for identifier, text in RECORD_TEXTS.items():
        (root / "tactics" / f"{identifier}.yaml").write_text(text, encoding="utf-8")
    (root / "tactics" / "references.yaml").write_text(REFERENCES_TEXT, encoding="utf-8")


FORM_LABELS = [field.label for field in read_fields(REPOSITORY)]
"""Headings of a filled form."""
