"""Records and references as files: their YAML, their bytes, their names, and links in their place."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from greentactics.cli.check import render
from greentactics.models.bibliography import Bibliography
from greentactics.models.record import Record
from greentactics.records.checks import CheckReport, check
from greentactics.records.documents import read_document
from greentactics.records.formatting import format_files
from greentactics.records.rules import record_findings
from greentactics.text.files import PROBLEMS_SHOWN, decode
from greentactics.text.yaml_source import tree_of_right_yaml
from tests.campaign.hostile import PATHS
from tests.campaign.mutation import changed_bytes, changed_trees, changed_yaml
from tests.campaign.observing import ACCEPTED, Kind, require, tell
from tests.campaign.sandbox import Sandbox
from tests.campaign.seeds import RECORD_TEXTS, RECORD_TREES, REFERENCES_TEXT, tree_of

_NAMES = st.sampled_from(
    [*PATHS, "\u202ex", "a\nb", "\x1b[31m", "\udcff", "::error::x", "x.yml", "X", "e\u0301", "x y", "%0A"]
)
_SORTS = ("file", "folder", "link to a record outside", "link to a folder outside", "link to itself",
"link to nothing",
          "link to a device", "pipe", "link above")  # fmt: skip


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc, name-defined]
    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(tree: Any) -> str:
    """Return a tree as YAML without anchors; figures that YAML cannot write plainly come out as they may."""
    return yaml.dump(tree, Dumper=_Dumper, allow_unicode=True, sort_keys=False)


def _record_file(root: Path, data: bytes) -> Path:
    """Write a record under the name that its `id` says, where it says one."""
    line = next((line for line in data.split(b"\n") if line.startswith(b"id: ")), b"")
    name = line.removeprefix(b"id: ").decode("utf-8", "replace").strip()
    path = root / "tactics" / f"{name if name in RECORD_TEXTS else 'hostile'}.yaml"
    path.write_bytes(data)
    return path


def _checked(root: Path) -> CheckReport:
    report = check(root)
    tell(report.problems)
    require(len(report.problems) <= 2 * PROBLEMS_SHOWN + 9, "a flood of problems")
    for form in ("text", "github", "json", "sarif"):
        text = render(report, form)
        text.encode()
        if form in ("json", "sarif"):
            json.loads(text)
        else:
            require(len(text.split("\n")) == len(report.problems) + 1, f"{form}: a problem on several lines")
    return report


def _feed_file(sandbox: Sandbox, path: Path) -> list[str]:
    """Read a file; for one in eight check its catalogue and put it in order too, which takes longer."""
    model = Bibliography if path.name == "references.yaml" else Record
    document = read_document(path, model, root=sandbox.root)
    require((document.model is None) == bool(document.problems), "neither a model nor a problem")
    if zlib.crc32(path.read_bytes()) % 8:
        found = document.problems
        if isinstance(document.model, Record):
            found = tuple(document.located(record_findings(document.model)))
        return [" ".join(tell(found)) or ACCEPTED]
    report = _checked(sandbox.root)
    require(set(document.problems) <= set(report.problems), "check leaves a problem out")
    _put_in_order(sandbox.root, path, report)
    return [" ".join(tell(report.problems)) or ACCEPTED]


def _put_in_order(root: Path, path: Path, report: CheckReport) -> None:
    """Run `check --fix`, which changes no value and has nothing to do a second time."""
    before = path.read_bytes()
    if format_files(root, [path]):
        same = [tree_of_right_yaml(decode(data, "x")) for data in (before, path.read_bytes())]
        require(same[0] == same[1] and same[0] is not None, "--fix changed a value")
        require(not format_files(root, [path]), "--fix changes its own work")
        after = {problem.rule for problem in check(root).problems}
        require(after == {problem.rule for problem in report.problems}, "--fix made a problem")


def _feed_record(sandbox: Sandbox, data: bytes) -> list[str]:
    return _feed_file(sandbox, _record_file(sandbox.root, data))


def _feed_references(sandbox: Sandbox, data: bytes) -> list[str]:
    path = sandbox.root / "tactics" / "references.yaml"
    path.write_bytes(data)
    return _feed_file(sandbox, path)


def _feed_name(sandbox: Sandbox, drawn: tuple[str, str, str]) -> list[str]:
    folder, name, sort = drawn
    name = name.replace("/", "\u2215").replace("\x00", "") or "x"
    path = sandbox.root / folder / f"{name[:240].rstrip('.') or '.x'}.yaml"
    if len(os.fsencode(path.name)) > 255:
        path = path.with_name("long.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    outside = sandbox.outside / "secret.yaml"
    if sort == "file":
        text = RECORD_TEXTS["base-awesome"].replace(
            "id: base-awesome", f"id: {name[:240]}".replace("\n", " ")
        )
        path.write_text(text, encoding="utf-8", errors="replace")
    elif sort == "folder":
        path.mkdir()
    elif sort == "pipe":
        os.mkfifo(path)
    elif sort == "link above":
        target = sandbox.root / "recipes" / "results" / "linked"
        target.symlink_to(sandbox.outside)
        (sandbox.root / "tactics" / "link.yaml").symlink_to(target / "secret.yaml")
    else:
        targets = {"link to a record outside": outside, "link to a folder outside": sandbox.outside,
        "link to itself": path,
                   "link to a device": Path("/dev/zero"), "link to nothing": Path("nowhere")}  # fmt: skip
        path.symlink_to(targets[sort])
    report = _checked(sandbox.root)
    if path.is_file() and not path.is_symlink():
        format_files(sandbox.root, [path])
    return [" ".join(tell(report.problems)) or ACCEPTED]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_TEXTS = list(RECORD_TEXTS.values())
KINDS = [
    Kind("loader", "values of records", 35, changed_trees(RECORD_TREES).map(as_yaml).map(_encoded),
    _feed_record),
    Kind("loader", "YAML of records", 30, changed_yaml(_TEXTS).map(_encoded), _feed_record),
    Kind("loader", "bytes of records", 8, changed_bytes(_TEXTS), _feed_record),
    Kind("loader", "values of references", 9,
    changed_trees([tree_of(REFERENCES_TEXT)]).map(as_yaml).map(_encoded), _feed_references),
    Kind("loader", "YAML of references", 8, changed_yaml([REFERENCES_TEXT]).map(_encoded), _feed_references),
    Kind("loader", "names, links, folders", 10,
         st.tuples(st.sampled_from(["tactics", "recipes/results/base-awesome"]), _NAMES,
         st.sampled_from(_SORTS)), _feed_name),
]  # fmt: skip
