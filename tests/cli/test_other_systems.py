"""The check and the pages need nothing that only Linux has, and look the same elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.examples.command_line import environment

# Libraries choose by the system at their import, so they come first; ours must do without.
WITHOUT = """
import os, signal, sys
import click, filelock, numpy, platformdirs, pydantic, rich.progress, scipy.special, subprocess
for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in ("chown", "fchmod", "fork", "geteuid", "getgid", "getloadavg", "getuid", "killpg", "mkfifo",
             "sched_getaffinity", "setsid", "sysconf", "O_NONBLOCK"):
    delattr(os, name)
for name in ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1"):
    delattr(signal, name)
from greentactics.cli.main import main
main(sys.argv[1:], prog_name="greentactics")
"""


def run(root: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, "--root", str(root), *map(str, arguments)],
        env=environment(**variables),
        capture_output=True,
        check=False,
    )


def test_check_and_render_need_no_module_or_function_of_unix(root: Path) -> None:
    checked = run(root, "check")
    assert checked.stderr == b""
    assert checked.returncode == 0
    rendered = run(root, "render", "--out", root / "build" / "pages")
    assert rendered.stderr == b""
    assert (root / "build" / "pages" / "index.md").is_file()


def test_output_is_utf_8_with_line_feeds_whatever_the_system_prefers(root: Path) -> None:
    path = root / "tactics" / "references.yaml"
    path.write_text(path.read_text("utf-8").replace("Ada", "Zo\u00eb"), "utf-8")
    shown = run(root, "bibliography", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert shown.returncode == 0, shown.stderr
    assert b"\r" not in shown.stdout
    assert "Zo\u00eb" in shown.stdout.decode("utf-8")
