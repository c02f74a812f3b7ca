from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from greentactics.text.files import LOCK, catalogue_locked, write_atomically
from greentactics.text.problems import UserError
from tests.examples.command_line import environment


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store/target")
    write_atomically(tmp_path / "link", "first\n")
    write_atomically(tmp_path / "link", "second\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "store" / "target").read_bytes() == b"second\n"
    assert names(tmp_path / "store") == ["target"]


def test_a_pipe_and_a_device_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, "through\n")
    reader.join()
    assert received == [b"through\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "null").symlink_to("/dev/null")
    write_atomically(tmp_path / "null", "gone\n")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert names(tmp_path) == ["null", "pipe"]


def test_other_things_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "round").symlink_to("round")
    for name in ("folder", "round", "folder/../null/x"):
        (tmp_path / "null").touch()
        with pytest.raises(OSError, match=name):
            write_atomically(tmp_path / name, "x")
    assert names(tmp_path) == ["folder", "null", "round"]
    assert (tmp_path / "round").is_symlink()


def test_the_mode_is_kept_and_a_new_file_has_that_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", "x")
        (tmp_path / "old").touch(0o604)
        (tmp_path / "old").chmod(0o604)
        write_atomically(tmp_path / "old", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_the_owner_is_kept_where_the_system_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, status = tmp_path / "x", os.stat_result((0o100640, 0, 0, 1, 4711, 4712, 0, 0, 0, 0))
    given: list[tuple[int, int]] = []
    path.touch()
    monkeypatch.setattr(os, "chown", lambda _path, user, group: given.append((user, group)))
    original = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self: status if self == path else original(self))
    write_atomically(path, "x")
    assert given == [(4711, 4712)]


def test_a_full_disk_names_the_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    path.write_text("before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device; it is as it was") as caught:
        write_atomically(path, "after")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="No space left on device; a part may have been written"):
        write_atomically(Path("/dev/full"), "x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    assert names(tmp_path) == ["kept"]
    assert path.read_text() == "before"


def test_one_command_waits_for_the_other_and_gives_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = "import sys; from pathlib import Path; from greentactics.text.files import catalogue_locked\n"
    held += "with catalogue_locked(Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdout.readline()
    with (
        pytest.raises(UserError, match=f"{LOCK}: another command .* still after 0.01 s; nothing was changed"),
        catalogue_locked(tmp_path, longest_wait_s=0.01),
    ):
        pass
    assert "waiting for another command" in capsys.readouterr().err
    other.communicate()
    with catalogue_locked(tmp_path):
        pass
