"""Entries of other catalogues: as Markdown, as pages, as copied text, and in folders full of odd names."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from hypothesis import strategies as st

from greentactics.citing.entries import read_bibliography
from greentactics.cli.main import main
from greentactics.contribute.draft_files import Written, write_draft
from greentactics.contribute.importing import aadt, gsf
from greentactics.contribute.importing.drafts import Draft, draft_text
from greentactics.models.bibliography import Reference
from greentactics.models.record import DraftRecord
from greentactics.records.documents import read_document
from greentactics.text.problems import Rule
from tests.campaign.hostile import PATHS
from tests.campaign.mutation import changed_bytes, changed_texts
from tests.campaign.observing import ACCEPTED, Kind, outcome_of, require, tell, tell_line
from tests.campaign.sandbox import Sandbox
from tests.campaign.seeds import ARCHIVE_PAGES, ARCHIVE_POSTS, ARCHIVE_TEXTS, PATTERNS

_TO_BE_WRITTEN = frozenset({Rule.MISSING_KEY, Rule.TOO_FEW, Rule.DUPLICATE_ENTRY})
"""What may be wrong with a draft that an importer wrote: what it leaves to its author."""
_NAMES = st.sampled_from([*PATHS, "\u202ex", "a\nb", "\x1b[31m", "\udcff", "2023-01-02-x", "x y", "e\u0301"])


_bibliographies: dict[Path, dict[str, Reference]] = {}


def _written(sandbox: Sandbox, draft: Draft, origin: str) -> Written:
    return write_draft(sandbox.root, draft.id, draft_text(draft, origin), replace=False, cure="")


def _feed(sandbox: Sandbox, name: str, data: bytes) -> list[str]:
    path = sandbox.desk / name
    path.write_bytes(data)
    read_draft = gsf.read_draft if name.startswith("gsf") else aadt.read_draft

    def run() -> list[str]:
        known = _bibliographies.get(sandbox.root) or _bibliographies.setdefault(
            sandbox.root, read_bibliography(sandbox.root)
        )
        draft = read_draft(path, None, known)
        written = _written(sandbox, draft, path.name)
        require(written.path.parts == ("drafts", f"{draft.id}.yaml"), f"a draft at {written.path}")
        again = _written(sandbox, read_draft(path, None, known), path.name)
        require(again.state == "unchanged", "a second import writes another draft")
        document = read_document(sandbox.root / written.path, DraftRecord, root=sandbox.root)
        tell(document.problems)
        wrong = [problem for problem in document.problems if problem.rule not in _TO_BE_WRITTEN]
        require(not wrong, f"a draft that cannot be read: {wrong[:3]}")
        return [ACCEPTED]

    return outcome_of(run)


def _kind(
    label: str, share: int, name: str, inputs: st.SearchStrategy[str] | st.SearchStrategy[bytes]
) -> Kind:
    def feed(sandbox: Sandbox, drawn: str | bytes) -> list[str]:
        data = drawn if isinstance(drawn, bytes) else drawn.encode("utf-8", "surrogatepass")
        return _feed(sandbox, name, data)

    return Kind("importers", label, share, inputs, feed)


def _feed_folder(sandbox: Sandbox, drawn: tuple[str, str, str, str]) -> list[str]:
    """Import a folder by the command itself, as names are told there."""
    name, target, text, command = drawn
    folder = sandbox.desk / "posts"
    folder.mkdir()
    safe = name.replace("/", "\u2215").replace("\x00", "")[:80].rstrip(".") or "x"
    path = folder / f"{safe}.md"
    if target == "file":
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    else:
        path.symlink_to({"outside": sandbox.outside / "secret.yaml", "itself": path,
        "device": Path("/dev/zero"),
                         "folder": sandbox.outside}[target])  # fmt: skip
    done = CliRunner().invoke(main, ["--root", str(sandbox.root), "import", command, str(folder)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    require(done.exit_code in (0, 1), f"exit code {done.exit_code}")
    for line in done.output.rstrip("\n").split("\n"):
        tell_line(line)
    return [ACCEPTED if done.exit_code == 0 else "refused-by-command"]


KINDS = [
    _kind("archive, Markdown", 26, "2023-01-02-skip.md", changed_texts(ARCHIVE_POSTS)),
    _kind("archive, HTML", 24, "page.html", changed_texts(ARCHIVE_PAGES)),
    _kind("archive, copied text", 16, "page.txt", changed_texts(ARCHIVE_TEXTS)),
    _kind("patterns, Markdown", 20, "gsf.md", changed_texts(PATTERNS)),
    _kind("bytes", 8, "2023-01-02-skip.md", changed_bytes([*ARCHIVE_POSTS, *ARCHIVE_PAGES])),
    Kind("importers", "folders of odd names", 6,
         st.tuples(_NAMES, st.sampled_from(["file", "file", "file", "outside", "itself", "device", "folder"]),
                   st.sampled_from([*ARCHIVE_POSTS, *PATTERNS]), st.sampled_from(["aadt", "gsf"])),
                   _feed_folder),
]  # fmt: skip
