"""What the hand-written pages and the README tell readers to type exists, and what they quote is so."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from greentactics.cli.main import main
from greentactics.evidence.verdict import verdict_line
from greentactics.evidence.wording import sentence
from greentactics.records.recipes import read_outline
from tests.examples import synthetic
from tests.examples.example_files import REPOSITORY, copy_valid
from tests.examples.records import PRUNING, REAL

PAGES = REPOSITORY / "catalogue" / "pages"
TEXTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(PAGES.rglob("*.md"))]
WORKED_EXAMPLE = PAGES / "contributing" / "worked-example.md"
PLACEHOLDERS = ("ID", "<id>")
STARTS = ("greentactics", ".venv/bin/greentactics", "make", "python", ".venv/bin/python")


def shell_lines(path: Path) -> list[str]:
    """Return the commands of the page's shell blocks, without environment variables and comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"^([A-Z_]+=\S+ )+|\s+#.*$", "", line).strip() for line in lines if line.strip()]


COMMANDS = sorted({(path.name, line) for path in TEXTS for line in shell_lines(path)})
TYPED = [shlex.split(line) for _, line in COMMANDS if line.startswith(STARTS)]


def those(*programs: str) -> list[list[str]]:
    found = [words[1:] for words in TYPED if Path(words[0]).name in programs]
    assert found
    return found


@pytest.mark.parametrize("words", those("greentactics"), ids=" ".join)
def test_commands_take_what_the_pages_give_them(words: list[str]) -> None:
    command, context, rest = main, click.Context(main), list(words)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
        context = click.Context(command, context)
    options, arguments, _ = command.make_parser(context).parse_args(rest)
    assert not arguments
    tactic = options.get("tactic")
    if tactic in (None, *PLACEHOLDERS):
        return
    known = read_outline(REPOSITORY, tactic)
    assert tactic in REAL.records
    assert set(options.get("arms") or ()) <= set(known.arms)
    assert options.get("preset") in (None, *known.presets)


@pytest.mark.parametrize("words", those("make"), ids=" ".join)
def test_targets_of_make_exist(words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets)


@pytest.mark.parametrize("words", those("python"), ids=" ".join)
def test_modules_exist(words: list[str]) -> None:
    assert words[0] == "-m"
    assert importlib.util.find_spec(words[1]) is not None


def test_the_worked_example_quotes_what_new_prints(tmp_path: Path) -> None:
    text = WORKED_EXAMPLE.read_text(encoding="utf-8")
    block = r"^(greentactics new [^\n]+)\n```\n\n```[^\n]+\n(.*?)^```$"
    quoted = re.search(block, text, re.MULTILINE | re.DOTALL)
    assert quoted
    arguments = ["--root", str(copy_valid(tmp_path)), *shlex.split(quoted[1])[1:]]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == quoted[2]


def test_the_files_that_the_worked_example_names_exist() -> None:
    text = WORKED_EXAMPLE.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:catalogue|recipes|tactics|tests)/[\w./-]+\.(?:json|py|yaml)\b", text)
    assert len(named) > 5
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_the_verdict_line_is_explained_as_it_is_written() -> None:
    page = (PAGES / "how-to" / "read" / "index.md").read_text(encoding="utf-8")
    quoted = re.search(r"^> (.*)$", page, re.MULTILINE)
    assert quoted
    found = sentence(verdict_line(PRUNING, (synthetic.results(),)))
    number = r"[+\N{MINUS SIGN}]?\d+(\.\d+)?"
    pattern = re.sub(r"\\\*[a-z]\\\*", lambda _: number, re.escape(quoted[1]))
    assert re.fullmatch(pattern, str(found).replace("\u00a0", " ").removesuffix("."))


def test_the_words_around_a_verdict_are_those_that_it_uses() -> None:
    page = (PAGES / "how-to" / "read" / "index.md").read_text(encoding="utf-8")
    listed = page.partition("change its meaning:")[2].partition("\n## ")[0]
    words = re.findall(r"\*\*(.+?):?\*\*", listed)
    package = REPOSITORY / "catalogue" / "greentactics" / "evidence"
    source = "".join((package / name).read_text() for name in ("verdict.py", "level.py")).lower()
    assert len(words) >= 7
    assert [word for word in words if word.lower() not in source] == []


def test_pages_have_a_title_a_description_and_one_heading_of_the_first_level() -> None:
    for path in PAGES.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert re.match(r"---\ntitle: .+\ndescription: .+\.\n", text), path
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1, path
