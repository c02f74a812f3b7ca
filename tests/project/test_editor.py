"""What an editor needs to help with a record: words to complete, text to hover over, schemas it finds."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from greentactics.api.schemas import FOLDER
from greentactics.models import vocabulary
from greentactics.models.record import Record
from greentactics.models.vocabulary import Group, Term
from greentactics.records.formatting import SCHEMA_COMMENT, schema_line
from tests.examples.example_files import REPOSITORY

SCHEMA = json.loads((REPOSITORY / FOLDER / "record.schema.json").read_text(encoding="utf-8"))
TERMS = [entry for entry in vars(vocabulary).values() if isinstance(entry, type) and issubclass(entry, Term)]
SERVER = shutil.which("yaml-language-server")
FILES = sorted((REPOSITORY / "tactics").glob("*.yaml"))
LONGEST_S = 120


@pytest.mark.parametrize(
    "terms", [terms for terms in TERMS if terms is not Term], ids=lambda terms: terms.__name__
)
def test_editors_can_complete_each_closed_vocabulary(terms: type[Term]) -> None:
    assert SCHEMA["$defs"][terms.__name__]["enum"] == [term.value for term in terms]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_first_line_of_each_file_names_its_schema(path: Any) -> None:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    assert first.startswith(SCHEMA_COMMENT)
    assert (path.parent / first.removeprefix(SCHEMA_COMMENT)).is_file()


def test_the_settings_of_the_editor_name_schemas_that_exist() -> None:
    settings = json.loads((REPOSITORY / ".vscode" / "settings.json").read_text(encoding="utf-8"))
    named = [*settings["yaml.schemas"], *(entry["url"] for entry in settings["json.schemas"])]
    assert len(named) == 3
    for name in named:
        assert (REPOSITORY / name).is_file()
    patterns = settings["yaml.schemas"]["catalogue/schema/record.schema.json"]
    matched = set(REPOSITORY.glob(patterns[0])) - set(REPOSITORY.glob(patterns[1].removeprefix("!")))
    assert {path.name for path in matched} == {path.name for path in FILES} - {"references.yaml"}


class LanguageServer:
    """A language server on standard input and output, asked one thing after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0

    def notify(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            if "id" in message:  # a question of the server's, such as for settings
                items = message.get("params", {}).get("items", [])
                self._send({"id": message["id"], "result": [None] * len(items) if items else None})

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        length = 0
        while line := self._process.stdout.readline().strip():
            name, value = line.split(b":")
            length = int(value) if name == b"Content-Length" else length
        assert length, "the server has ended"
        return json.loads(self._process.stdout.read(length))


@pytest.fixture
def server() -> Iterator[LanguageServer]:
    if SERVER is None:
        pytest.skip("needs yaml-language-server on the PATH: npm install --global yaml-language-server")
    with subprocess.Popen([SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        watchdog = threading.Timer(LONGEST_S, process.kill)
        watchdog.start()
        server = LanguageServer(process)
        server.ask("initialize", processId=None, rootUri=REPOSITORY.as_uri(), capabilities={})
        server.notify("initialized")
        settings = {
            "yaml": {"completion": True, "hover": True, "validate": True, "schemaStore": {"enable": False}}
        }
        server.notify("workspace/didChangeConfiguration", settings=settings)
        yield server
        watchdog.cancel()
        process.kill()


def test_a_language_server_completes_words_and_explains_fields(server: LanguageServer) -> None:
    text = f"{schema_line(Record)}\nid: some-tactic\neffort:\n  level: S\ngroup: \n"
    uri = (REPOSITORY / "tactics" / "some-tactic.yaml").as_uri()
    document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
    server.notify("textDocument/didOpen", textDocument=document)

    def at(line: int, character: int) -> dict[str, Any]:
        return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}

    completed = server.ask("textDocument/completion", **at(4, 7))
    items = completed["items"] if isinstance(completed, dict) else completed
    assert {item["label"] for item in items} >= {group.value for group in Group}
    shown = json.dumps(server.ask("textDocument/hover", **at(2, 2)))
    assert "What it takes" in shown
