from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest

import greentactics
from greentactics.cli.main import main
from greentactics.records.git import find_root
from greentactics.records.loading import load_results
from tests.examples.command_line import call

MEASURE = ("measure", "fake-tactic", "--seeds", "1")


def all_commands() -> list[tuple[str, ...]]:
    def below(command: click.Command | None, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = [path]
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found += below(command.get_command(context, name), (*path, name))
        return found

    return below(main, ())


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(path):
    result = call(None, *path, "--help")
    assert result.exit_code == 0
    assert "Example:\n" in result.output
    assert re.search(rf"^    greentactics {' '.join(path)}", result.output, re.MULTILINE)


def test_the_list_of_commands_says_what_they_say_and_imports_none():
    context = click.Context(main)
    for name, listed in main.commands.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(200) == listed.get_short_help_str(200)
    program = (
        "import sys\nfrom greentactics.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(*(name for name in sys.modules if name.startswith('greentactics.cli.')))"
    )
    listing = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert set(listing.splitlines()[-1].split()) == {"greentactics.cli.main", "greentactics.cli.group"}


def test_says_its_version():
    assert call(None, "--version").output == f"greentactics {greentactics.__version__}\n"


def test_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (("check",), ("run", "fake-tactic"), MEASURE, ("verdict", "x"), ("render", "--out", "x")):
        result = call(None, *command)
        assert result.exit_code == 1
        assert "expected a checkout of Green Tactics" in result.stderr
        assert "name it with --root" in result.stderr


def test_finds_the_checkout_from_below(checkout, monkeypatch):
    below = checkout / "recipes" / "results" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    result = call(None, "run", "fake-tactic", "--arm", "baseline")
    assert result.exit_code == 0, result.output
    assert find_root(below) == checkout.resolve()


def test_run_shows_a_table_and_stores_nothing(checkout):
    before = sorted(checkout.rglob("*.json"))
    result = call(checkout, "run", "fake-tactic", "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert re.search(r"energy .* 10\.1 MAC .* 2\.050 MAC .* 4\.050 MAC", result.stdout)
    assert re.search(r"modelled .* 4\.9x lower \[\d\.\d, \d\.\d\]", result.stdout)
    assert "0.00 points [0.00, 0.00]" in result.stdout
    assert "mean of 2 seeds" in result.stdout
    assert "[6/6]" in result.stderr
    assert "data: digits" in result.stderr
    assert sorted(checkout.rglob("*.json")) == before
    assert not (checkout / "build").exists()


def test_run_with_one_seed_gives_no_interval(checkout):
    result = call(checkout, "run", "fake-tactic")
    assert "5.0x lower" in result.stdout
    assert "[" not in result.stdout
    assert "1 seed, so no interval" in result.stdout


def test_run_fails_when_a_repeat_fails(checkout, tell):
    tell("tactic-1", print="out of luck", exit=4)
    result = call(checkout, "run", "fake-tactic", "--seeds", "2")
    assert result.exit_code == 1
    assert "tactic, seed 1: failed with exit code 4\n" in result.stderr
    assert "    out of luck\n" in result.stderr
    assert "energy" in result.stdout


def test_run_fails_when_everything_fails(checkout, tell):
    tell("all", exit=4)
    result = call(checkout, "run", "fake-tactic")
    assert result.exit_code == 1
    assert "no repeat of baseline, tactic, magnitude finished" in result.stderr
    assert result.stdout == ""


def test_run_works_beside_a_broken_record(checkout):
    (checkout / "tactics" / "fake-tactic.yaml").write_text("id: [")
    result = call(checkout, "run", "fake-tactic", "--arm", "baseline")
    assert result.exit_code == 0
    assert "the catalogue has mistakes, see `greentactics check`; no metric is put first" in result.stderr


def test_measure_stores_and_keeps_what_holds(checkout):
    result = call(checkout, *MEASURE)
    assert result.exit_code == 0, result.output
    path = checkout / "recipes" / "results" / "fake-tactic" / "cpu-amd-epyc-2-cores.json"
    assert result.stdout == f"{path}: 3 repeats, digits\n"
    assert load_results(path).complete
    again = call(checkout, *MEASURE, "--if-needed")
    assert again.exit_code == 0
    kept = "kept, as the recipe is unchanged: digits, measured .* UTC; measure anew with --replace"
    assert re.search(kept, again.output)


def test_measure_says_how_to_run_failed_repeats_again(checkout, tell, tmp_path):
    tell("tactic-1001", exit=4)
    arguments = ("measure", "fake-tactic", "--seeds", "2", "--out-dir", tmp_path / "results")
    result = call(checkout, *arguments)
    assert result.exit_code == 1
    assert "failed repeats: 1; the results are marked as incomplete" in result.stderr
    assert "run the missing ones with --resume" in result.stderr
    refused = call(checkout, *arguments)
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    tell("tactic-1001")
    assert call(checkout, *arguments, "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*MEASURE, "--resume", "--replace"), "expected at most one of --resume, --replace and --if-needed"),
        ((*MEASURE, "--device-slug", "My Laptop"), "--device-slug: expected lower-case words with hyphens"),
        ((*MEASURE, "--jobs", "0"), "Invalid value for '--jobs'"),
        (("measure", "fake-tactic", "--seeds", "0"), "Invalid value for '--seeds'"),
        ((*MEASURE, "--timeout", "0"), "Invalid value for '--timeout'"),
        ((*MEASURE, "--data-dir", "absent"), "Directory 'absent' does not exist"),
        ((*MEASURE, "--out", "a.json", "--out-dir", "b"), "expected at most one of --out and --out-dir"),
        ((*MEASURE, "--out", "a.txt"), "expected the name of a file that ends with .json, got a.txt"),
        (("measure",), "expected one ID, or --all in place of it"),
        (("new",), "Missing argument 'TITLE'."),
        (("check", "absent.yaml"), "Path 'absent.yaml' does not exist"),
        (("check", "--format", "xml"), "'xml' is not one of 'text', 'github', 'json'"),
        (("data", "fetch", "cifar"), "'cifar' is not one of 'fashion-mnist', 'smollm2', 'spam'"),
        (("render",), "Missing option '--out'"),
        (("sing",), "No such command 'sing'"),
    ],
)
def test_wrong_usage(checkout, arguments, message):
    result = call(checkout, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("option", "place"), [("--out-dir", "results"), ("--out", "a.json"), ("--out", "x/../a.json")]
)
def test_a_place_that_cannot_be_written_is_named_before_anything_starts(checkout, tmp_path, option, place):
    (tmp_path / "file").touch()
    result = call(checkout, *MEASURE, option, tmp_path / "file" / place)
    assert result.exit_code == 1
    assert "results cannot be written there; choose another place with --out-dir or --out" in result.stderr
    assert not (checkout / "started").exists()


@pytest.mark.parametrize(
    "command",
    [("verdict",), ("bibliography",), ("sci", "--grid-intensity", "56", "--grid-source", "operator, 2025")],
)
def test_a_tactic_that_there_is_not_is_named_with_those_there_are(root, command):
    result = call(root, *command, "consider-nothing")
    assert result.exit_code == 2
    assert "consider-nothing: no such tactic; there are base-awesome" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "No space left on device\n"),
        (PermissionError(13, "Permission denied", "/some/file"), "/some/file: Permission denied\n"),
        (KeyboardInterrupt(), "Interrupted.\n"),
    ],
)
def test_troubles_of_the_system_are_told_in_a_line(checkout, monkeypatch, error, message):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("greentactics.cli.measure.perform", fail)
    result = call(checkout, "run", "fake-tactic")
    assert result.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert result.stderr == message


@pytest.fixture
def repository() -> Path:
    return find_root(Path(__file__).parent)


def test_check_of_this_repository(repository):
    result = call(repository, "check")
    assert result.exit_code == 0, result.output
    assert json.loads(call(repository, "check", "--format", "json").output)["problems"] == []


def test_verdict(repository, tmp_path):
    result = call(repository, "verdict", "consider-energy-aware-pruning", "--results", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("published: ")
    assert [line[:2] for line in result.output.splitlines()] == ["pu", "  ", "  "]


def test_render(root, tmp_path):
    arguments = ("render", "--out", tmp_path / "pages", "--results", tmp_path)
    result = call(root, *arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "pages" / "tactics" / "base-awesome" / "index.md").is_file()
    assert re.search(r"\d+ generated files written to", result.output)
    refused = call(root, *arguments)
    assert refused.exit_code == 1
    assert "expected an empty folder" in " ".join(refused.output.split())
    assert call(root, *arguments, "--replace").exit_code == 0


def test_schema(checkout):
    assert "catalogue/schema/record.schema.json: written\n" in call(checkout, "schema").output
    assert (checkout / "catalogue" / "schema" / "record.schema.json").is_file()
    assert call(checkout, "schema").output == "the schemas are up to date\n"


def test_measures_into_one_file_for_another_checkout(checkout, tmp_path):
    file = tmp_path / "mine.json"
    result = call(checkout, *MEASURE, "--out", file)
    assert result.exit_code == 0, result.output
    assert f"{file}: 3 repeats, digits" in result.stdout
    assert "file it with `greentactics accept`" in result.stdout
    assert load_results(file).device_slug == "cpu-amd-epyc-2-cores"
    assert not (checkout / "recipes" / "results").exists()
    again = call(checkout, *MEASURE, "--out", file)
    assert again.exit_code == 1
    assert f"{file}: a file of this name is there; name another, or replace it with --replace" in again.stderr
    assert call(checkout, *MEASURE, "--out", file, "--replace").exit_code == 0
    assert "kept, as the recipe is unchanged" in call(checkout, *MEASURE, "--out", file, "--if-needed").stdout


@pytest.mark.parametrize(
    ("option", "number", "bounds"),
    [
        ("--threads", "100000", "1<=x<=512"),
        ("--seeds", "1000000000000", "1<=x<=1000"),
        ("--jobs", "100000", "1<=x<=512"),
        ("--latency-seeds", "1001", "0<=x<=1000"),
        *((option, number, bounds)
          for option, bounds in (("--timeout", "0<x<=2592000.0"), ("--latency-cap", "0<x<=86400.0"))
          for number in ("nan", "-nan", "inf", "-inf", "1e300", "-1", "0")),
    ],
)  # fmt: skip
def test_absurd_numbers_are_refused_with_the_bounds(checkout, option, number, bounds):
    result = call(checkout, *MEASURE, option, number)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': " in result.stderr
    assert f"is not in the range {bounds}." in result.stderr


def test_measure_with_a_checkout_that_cannot_be_written_to(checkout, tmp_path, monkeypatch):
    out = tmp_path / "elsewhere" / "mine.json"
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path) != checkout)
    result = call(checkout, *MEASURE, "--out", out)
    assert result.exit_code == 1
    assert re.search(r"build/partial/.*: finished repeats are kept there .* measure in a copy", result.stderr)


def test_measure_writes_to_a_pipe_and_through_a_link(checkout, tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with ThreadPoolExecutor() as pool:
        received = pool.submit((tmp_path / "pipe.json").read_bytes)
        assert call(checkout, *MEASURE, "--out", tmp_path / "pipe.json").exit_code == 0
        assert json.loads(received.result())["tactic"] == "fake-tactic"
    (tmp_path / "link.json").symlink_to("target.json")
    assert call(checkout, *MEASURE, "--out", tmp_path / "link.json").exit_code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert load_results(tmp_path / "target.json").tactic == "fake-tactic"


def test_results_that_cannot_be_written_are_not_lost(checkout, monkeypatch):
    def full(path, _content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("greentactics.measure.measuring.write_atomically", full)
    result = call(checkout, *MEASURE)
    assert result.exit_code == 1
    assert re.search(r"\.json: No space left on device; all repeats are kept in .* --resume", result.stderr)
    monkeypatch.undo()
    assert call(checkout, *MEASURE, "--resume").exit_code == 0


def test_a_data_folder_that_is_not_there_is_named(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GREENTACTICS_DATA", str(tmp_path / "no"))
    for command in (("data", "list"), ("run", "fake-tactic")):
        result = call(checkout, *command)
        assert result.exit_code == 0
        assert f"GREENTACTICS_DATA={tmp_path / 'no'}: there is no such folder" in result.stderr
