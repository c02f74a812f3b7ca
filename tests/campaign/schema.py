"""What the models are asked about: records, results to accept, filled forms, and entries to cite."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from greentactics.citing.entries import add_references, read_bibliography
from greentactics.citing.identifiers import find_identifiers, parse_identifier
from greentactics.citing.reading import read_references
from greentactics.contribute.accepting import accept
from greentactics.contribute.draft_files import write_draft
from greentactics.contribute.issue import draft_of
from greentactics.models.record import DraftRecord, Record
from greentactics.records.checks import check
from greentactics.records.documents import read_document
from greentactics.records.loading import Catalogue, load_catalogue
from greentactics.records.rules import record_findings
from greentactics.text.files import RECORD_BYTES, read_text_file
from tests.campaign.hostile import TEXTS
from tests.campaign.mutation import changed_texts, changed_trees
from tests.campaign.observing import ACCEPTED, Kind, outcome_of, require, tell
from tests.campaign.sandbox import Sandbox
from tests.campaign.seeds import BIBTEX, CSL, FORMS, RECORD_TREES, RESULTS, RIS

_NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
_catalogues: dict[Path, Catalogue] = {}
_IN_TEX = st.sampled_from(
    [r"{\'e}", r"\textbf{", "{", "}", "{{", "}}", "@", "@article{", "@comment{", '@preamble{"x"}',
     '@string{a = "b"}', "#", ' # "x"', ",", "=", "\\", r"\verb|x", r"\begin{a}", r"\end{a}", "$", "$$",
     "%", "~", "\\\\", "and", " and ", " and and ", ", ,", "others", r"\input{/etc/passwd}", r"\write18{x}",
     r"\newcommand{\a}{\a}\a", r"\def\a{\a\a}", "{\\" * 50, "month = 0", "month = 12345678901234567890",
     "month = {"]
) | TEXTS  # fmt: skip
_IN_RIS = st.sampled_from(
    ["TY  - JOUR", "ER  - ", "AU  - ", "AU  - ,", "AU  - a, b, c", "PY  - ", "PY  - 2020/99/99",
     "DO  - 10.1234/%E2%80%AE", "SP  - 1", "T1  - ", "XX  - x", "TY - JOUR", "ER  -", "\nTY  - JOUR\n"]
) | TEXTS  # fmt: skip


def _as_json(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=True)


def _feed_record(sandbox: Sandbox, tree: Any) -> list[str]:
    """Read one record, as a record and as a draft."""
    name = re.sub("[^a-z0-9-]", "", str(tree.get("id", "")))[:80] or "x"
    path = sandbox.desk / f"{name}.yaml"
    path.write_text(_as_json(tree), encoding="utf-8")
    draft = read_document(path, DraftRecord, root=None)
    document = read_document(path, Record, root=None)
    require((document.model is None) == bool(document.problems), "neither a record nor a problem")
    require(document.model is None or draft.model is not None, "a record that is no draft")
    found = document.located(record_findings(document.model)) if document.model else document.problems
    return [" ".join(tell(list(found))) or ACCEPTED]


def _feed_results(sandbox: Sandbox, tree: Any) -> list[str]:
    """Accept results; what is filed is right for `check` too."""
    catalogue = _catalogues.get(sandbox.root) or _catalogues.setdefault(
        sandbox.root, load_catalogue(sandbox.root)
    )
    path = sandbox.desk / "theirs.json"
    text = json.dumps(tree).replace('"1e999"', "1e999").replace('"NaN"', "NaN")
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    def run() -> list[str]:
        accepted = accept(catalogue, path, replace=False, now=_NOW)
        require(accepted.path.parts[:2] == ("recipes", "results"), f"filed at {accepted.path}")
        problems = check(sandbox.root).problems
        require(not problems, f"check refuses what was accepted: {problems[:2]}")
        return [ACCEPTED]

    return outcome_of(run)


def _feed_form(sandbox: Sandbox, text: str) -> list[str]:
    """Make a draft of a form; it follows all rules of a record."""
    path = sandbox.desk / "issue.md"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    def run() -> list[str]:
        source = read_text_file(path, root=None, max_bytes=RECORD_BYTES)
        draft = draft_of(sandbox.root, source, _NOW.date())
        written = write_draft(sandbox.root, draft.id, draft.text, replace=False, cure="").path
        require(written.parts[0] == "drafts" and len(written.parts) == 2, f"a draft at {written}")
        document = read_document(sandbox.root / written, Record, root=sandbox.root)
        require(document.model, f"a draft that is no record: {document.problems[:2]}")
        return [ACCEPTED]

    return outcome_of(run)


def _cite(name: str) -> Any:
    def feed(sandbox: Sandbox, text: str) -> list[str]:
        path = sandbox.desk / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))

        def run() -> list[str]:
            known = read_bibliography(sandbox.root)
            read = [entry.reference for _, entry in read_references(path)]
            additions = add_references(sandbox.root, read)
            new = {addition.key: addition.reference for addition in additions if not addition.duplicate}
            require(read_bibliography(sandbox.root) == known | new, "the bibliography holds something else")
            return [ACCEPTED]

        return outcome_of(run)

    return feed


def _feed_identifier(sandbox: Sandbox, text: str) -> list[str]:
    for found in find_identifiers(text).identifiers:
        require(str(found).isprintable(), f"an identifier with signs that nobody sees: {found!a}")

    def run() -> list[str]:
        found = parse_identifier(text)
        require(parse_identifier(str(found)) == found, f"{found} is read as another one")
        return [ACCEPTED]

    return outcome_of(run)


_IDENTIFIERS = ["10.1109/CVPR.2017.643", "doi:10.1145/3466752.3480095",
"https://doi.org/10.48550/arXiv.2005.05837", "arXiv:1611.05128v4",
                "https://arxiv.org/pdf/2302.10798.pdf",
                "see https://doi.org/10.1234/a(b)c, and arxiv: hep-th/9901001."]  # fmt: skip
KINDS = [
    Kind("schema", "values of records", 26, changed_trees(RECORD_TREES), _feed_record),
    Kind("schema", "results to accept", 22, changed_trees(RESULTS), _feed_results),
    Kind("schema", "filled forms", 18, changed_texts(FORMS), _feed_form),
    Kind("schema", "BibTeX", 12, changed_texts(BIBTEX, _IN_TEX), _cite("a.bib")),
    Kind("schema", "CSL-JSON, values", 8, changed_trees(CSL).map(_as_json), _cite("a.json")),
    Kind("schema", "CSL-JSON, text", 2, changed_texts([_as_json(CSL[0])]), _cite("a.json")),
    Kind("schema", "RIS", 8, changed_texts(RIS, _IN_RIS), _cite("a.ris")),
    Kind("schema", "identifiers", 4, changed_texts(_IDENTIFIERS) | TEXTS, _feed_identifier),
]  # fmt: skip
