"""Standard streams that are closed, full or no longer read, and pipes in the place of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.command_line import environment

ENTRY = "@article{k, author={Name, A.}, title={Work of its own}, journal={J}, year={2021}}"


def shell(root: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which `greentactics` is ours."""
    ours = f'greentactics() {{ "{sys.executable}" -m greentactics --root "{root}" "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", ours + line],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("greentactics evidence >&-", 0, ""),
        ("greentactics evidence <&- >&- 2>&-", 0, ""),
        ("greentactics evidence | true", 1, ""),
        ("greentactics --help | true", 1, ""),
        ("greentactics evidence > /dev/full", 1, "standard output: No space left on device\n"),
        ("greentactics --help > /dev/full", 1, "standard output: No space left on device\n"),
        (
            "greentactics cite --file - <&-",
            1,
            "standard input:1:1: expected BibTeX, RIS or CSL-JSON, got nothing\n",
        ),
    ],
)
def test_a_stream_that_does_not_work_is_no_traceback(root: Path, line: str, code: int, message: str) -> None:
    done = shell(root, line)
    assert done.stderr == message
    assert done.returncode == code


def test_a_pipe_is_read_where_a_file_is_named(root: Path) -> None:
    done = shell(root, f"greentactics cite --dry-run --file <(echo '{ENTRY}')")
    assert done.stdout.startswith("name-2021:\n"), done.stderr
    done = shell(root, "greentactics from-issue <(head -c 1000001 /dev/zero)")
    assert "expected at most 1,000,000 bytes, got more" in done.stderr
    done = shell(root, "greentactics import gsf <(echo x)")
    assert "expected a regular file, got a named pipe" in done.stderr
