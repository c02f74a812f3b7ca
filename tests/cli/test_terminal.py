from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.examples.command_line import call, environment


def measure_process(root: Path, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "greentactics", "--root", str(root), "measure", "fake-tactic"]
    return subprocess.Popen(
        [*command, "--seeds", "2"], env=environment(), text=True, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on(checkout, tell, number):
    tell("tactic-1001", child=str(checkout / "child"))
    process = measure_process(checkout)
    while not (checkout / "child").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in message
    assert re.search(r"Interrupted: \d finished repeats? kept in .*; continue with --resume", message)
    tell("tactic-1001")
    result = call(checkout, "measure", "fake-tactic", "--seeds", "2", "--resume")
    assert result.exit_code == 0, result.output


def test_shows_a_bar_on_a_terminal(checkout):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "greentactics", "--root", str(checkout), "run", "fake-tactic"],
        env=environment(TERM="xterm", COLUMNS="120"),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = read_all(ours)
    assert process.wait() == 0
    assert "baseline, seed 0" in shown
    assert "0/3" in shown
    assert "[1/3]" not in shown


def read_all(terminal: int) -> str:
    """Read until the other end is closed, which Linux reports as an error."""
    parts = []
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts).decode()
        parts.append(part)
