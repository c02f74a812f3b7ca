from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from greentactics.cli import data as commands_data
from greentactics.cli.main import main
from greentactics.measure import fetching
from greentactics.measure.fetching import fetch_files, missing_files
from greentactics.models import datasets
from greentactics.models.datasets import DataFile
from greentactics.text.problems import UserError

CONTENT = bytes(range(256)) * 1000


def data_file(name: str = "good.gz", content: bytes = CONTENT) -> DataFile:
    url = f"https://unreachable.invalid/{name}"
    return DataFile(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), url=url)


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def begin(self, name, size_bytes):
        self.lines.append(f"begin {name} {size_bytes}")
        self.count = 0

    def advance(self, count):
        self.count += count

    def note(self, text):
        self.lines.append(text)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves good, wrong, truncated, busy, flaky and longer files, each under a name that says so."""

    def do_GET(self):
        name = self.path.strip("/").split("/")[-1]
        self.server.asked.append((name, self.headers.get("Range")))
        attempts = len([asked for asked, _ in self.server.asked if asked == name])
        if name.startswith("absent"):
            self.send_error(404)
            return
        if name.startswith("busy") and attempts < 3:
            self.send_error(503)
            return
        self.send(name, attempts)

    def send(self, name, attempts):
        body = CONTENT[::-1] if name.startswith("wrong") else CONTENT
        body += b"more" if name.startswith("longer") else b""
        status, start = 200, 0
        if self.headers.get("Range") and not name.startswith("flaky-deaf"):
            status, start = 206, int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        broken = name.startswith("truncated") or (name.startswith("flaky") and attempts == 1)
        self.wfile.write(body[start : start + 100_000] if broken else body[start:])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def base_url(server) -> str:
    return f"http://127.0.0.1:{server.server_port}/data"


def fetch(folder: Path, file: DataFile, base_url: str) -> Recorder:
    recorder = Recorder()
    fetch_files(folder, [file], recorder, base_url=base_url, pause_s=0)
    return recorder


def test_fetches_a_file(tmp_path, base_url):
    recorder = fetch(tmp_path / "new" / "folder", data_file(), base_url + "/")
    path = tmp_path / "new" / "folder" / "good.gz"
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o644
    assert recorder.count == len(CONTENT)
    assert recorder.lines[-1].endswith("good.gz: 256,000 bytes, checksum right")
    assert missing_files(path.parent, [data_file()]) == ()


@pytest.mark.parametrize("name", ["flaky.gz", "flaky-deaf.gz"])
def test_goes_on_after_a_broken_connection(tmp_path, server, base_url, name):
    recorder = fetch(tmp_path, data_file(name), base_url)
    assert (tmp_path / name).read_bytes() == CONTENT
    assert server.asked == [(name, None), (name, "bytes=100000-")]
    assert any("trying again" in line for line in recorder.lines)
    assert recorder.count == len(CONTENT)


def test_tries_again_while_the_server_is_busy(tmp_path, base_url):
    recorder = fetch(tmp_path, data_file("busy.gz"), base_url)
    assert (tmp_path / "busy.gz").read_bytes() == CONTENT
    assert "busy.gz: the server answered 503 Service Unavailable; trying again" in recorder.lines


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong.gz", "expected sha256 {sha256}, got {wrong}; nothing was stored"),
        ("absent.gz", "the server answered 404 Not Found; name another address with --base-url"),
        ("truncated.gz", "the connection ended after {most} of 256,000 bytes, after 3 attempts"),
        ("longer.gz", "expected 256,000 bytes, got more; nothing was stored"),
    ],
)
def test_stores_nothing_that_is_not_right(tmp_path, base_url, name, message):
    file = data_file(name)
    old = tmp_path / name
    old.write_bytes(b"old")
    if name == "truncated.gz":
        file = data_file(name, CONTENT * 2)
        message = message.replace("256,000", "512,000")
    with pytest.raises(UserError) as caught:
        fetch(tmp_path, file, base_url)
    expected = message.format(
        sha256=file.sha256, wrong=hashlib.sha256(CONTENT[::-1]).hexdigest(), most="256,000"
    )
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"old"


def test_says_that_there_is_no_connection(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=r"Connection refused\), after 3 attempts; check the network"):
        fetch(tmp_path, data_file(), f"http://127.0.0.1:{port}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["file:///etc", "ftp://example.org", "example.org/data"])
def test_refuses_other_addresses(tmp_path, url):
    with pytest.raises(UserError, match="expected an address that begins with https:// or http://"):
        fetch(tmp_path, data_file(), url)


def test_says_that_the_folder_cannot_be_made(tmp_path, base_url):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be made .*choose another with --dest"):
        fetch(tmp_path / "file" / "below", data_file(), base_url)


def test_published_addresses_are_safe():
    assert {file.name.partition("-")[0] for file in datasets.FASHION_MNIST_FILES} == {"train", "t10k"}
    assert all(file.url.startswith("https://") for file in datasets.FASHION_MNIST_FILES)


@pytest.fixture
def two_files(monkeypatch):
    files = (data_file("good.gz"), data_file("busy.gz"))
    monkeypatch.setattr(commands_data, "FASHION_MNIST_FILES", files)
    monkeypatch.setattr(datasets, "FASHION_MNIST_FILES", files)
    monkeypatch.setattr(fetching, "_PAUSE_S", 0)
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    return files


def command(*arguments: object, typed: str | None = None):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=typed)


def test_command_fetches_and_says_when_all_is_there(tmp_path, base_url, server, two_files):
    arguments = ("data", "fetch", "fashion-mnist", "--dest", tmp_path, "--yes", "--base-url", base_url)
    first = command(*arguments)
    assert first.exit_code == 0, first.output
    assert "2 files, 0.5 MB (MIT licence), from http://127.0.0.1" in first.output
    assert f"fashion-mnist: {tmp_path}: complete" in first.output
    count = len(server.asked)
    second = command(*arguments)
    assert second.exit_code == 0
    assert "already complete, checksums right" in second.output
    assert len(server.asked) == count


def test_command_fetches_only_what_is_missing(tmp_path, base_url, server, two_files):
    (tmp_path / "busy.gz").write_bytes(CONTENT)
    result = command("data", "fetch", "fashion-mnist", "--dest", tmp_path, "--yes", "--base-url", base_url)
    assert result.exit_code == 0
    assert [name for name, _ in server.asked] == ["good.gz"]


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_command_downloads_nothing_without_consent(tmp_path, base_url, server, two_files, typed):
    arguments = ("data", "fetch", "fashion-mnist", "--dest", tmp_path / "new", "--base-url", base_url)
    result = command(*arguments, typed=typed)
    assert result.exit_code == 1
    assert "nothing was downloaded; --yes downloads without asking" in result.output
    assert server.asked == []
    assert not (tmp_path / "new").exists()


def test_command_asks_for_consent(tmp_path, base_url, two_files):
    arguments = ("data", "fetch", "fashion-mnist", "--dest", tmp_path, "--base-url", base_url)
    assert command(*arguments, typed="y\n").exit_code == 0
    assert (tmp_path / "good.gz").read_bytes() == CONTENT


def test_command_uses_the_named_data_folder(tmp_path, base_url, two_files, monkeypatch):
    monkeypatch.setenv("GREENTACTICS_DATA", str(tmp_path))
    assert "not found in" in command("data", "list").output
    assert command("data", "fetch", "fashion-mnist", "--yes", "--base-url", base_url).exit_code == 0
    assert (tmp_path / "fashion-mnist" / "good.gz").exists()
    listed = command("data", "list")
    assert "digits: comes with scikit-learn" in listed.output
    assert "complete, checksums right" in listed.output
    (tmp_path / "fashion-mnist" / "good.gz").write_bytes(b"damaged")
    assert "missing or damaged: good.gz; repair with" in command("data", "list").output


def test_command_reports_a_failed_download(tmp_path, two_files, base_url, monkeypatch):
    monkeypatch.setattr(commands_data, "FASHION_MNIST_FILES", (data_file("absent.gz"),))
    result = command("data", "fetch", "fashion-mnist", "--dest", tmp_path, "--yes", "--base-url", base_url)
    assert result.exit_code == 1
    assert "the server answered 404 Not Found" in result.stderr
    assert "Traceback" not in result.output
