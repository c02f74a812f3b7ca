from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from greentactics.models.results import DeviceInfo
from recipes import select_inference_tasks_for_the_edge
from recipes.common.run import cli, environment
from recipes.common.run.contract import CannotRun, DataUsed, Outcome, UserError
from recipes.common.run.net_files import load_net
from tests.recipes.small_nets import ResidualNet, deployable, residual_net

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Config:
    examples: int = 3
    data_dir: Path | None = None


def fake_run(config, *, arm, seed, meter):
    with meter.window("work") as window:
        pass
    assert window.duration_s >= 0
    if config.examples == 99:
        raise UserError("data/x.gz: damaged; fetch it again")
    return Outcome(
        metrics={"test_accuracy": 0.5},
        data=DataUsed("digits", "0" * 64, 1, 2, 3),
        details={"folder": str(config.data_dir is not None)},
    )


def fake_recipe() -> SimpleNamespace:
    return SimpleNamespace(
        __doc__="A recipe for tests.\n\nMore.",
        TACTIC="a-tactic",
        ARMS=("baseline", "tactic"),
        METRICS={"test_accuracy": ("fraction", "higher", "measured", "Share right.")},
        SMOKE=Config(),
        DEFAULT=Config(99),
        FULL=Config(),
        run=fake_run,
    )


def test_writes_one_json_file_and_a_table(tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "f.json"
    arguments = [
        "--arm",
        "tactic",
        "--seed",
        "3",
        "--preset",
        "smoke",
        "--data-dir",
        str(tmp_path),
        "--out",
        str(out),
    ]
    assert cli.main(fake_recipe(), arguments) == 0
    record = json.loads(out.read_text())
    assert list(record) == [
        "tactic", "arm", "seed", "preset", "config", "data", "metrics", "details", "started", "duration_s",
        "cpu_s", "peak_memory_bytes", "threads", "load_before", "load_after", "versions", "device", "meter",
        "energy",
    ]  # fmt: skip
    assert record["metrics"]["test_accuracy"] == {
        "value": 0.5,
        "unit": "fraction",
        "better": "higher",
        "provenance": "measured",
        "description": "Share right.",
    }
    assert record["seed"] == 3
    assert record["started"].endswith("+00:00")
    assert record["meter"] == {"name": "process clocks", "energy": "none"}
    assert record["energy"] is None
    assert set(record["device"]) == set(DeviceInfo.model_fields)
    versions = set(record["versions"])
    assert versions - set(environment.OPTIONAL_PACKAGES) == {"python", "torch", "numpy", "scikit-learn"}
    assert "onnxruntime" in versions
    assert record["config"] == {"examples": 3}, "folders stay out: they may hold a user's name"
    assert str(tmp_path) not in out.read_text()
    assert [path.name for path in out.parent.iterdir()] == ["f.json"]
    assert "test_accuracy" in capsys.readouterr().out


def test_metrics_compared_by_their_means_are_told_with_the_settings(tmp_path: Path) -> None:
    recipe, out = fake_recipe(), tmp_path / "f.json"
    recipe.RATIO_OF_MEANS = ("test_accuracy",)
    assert cli.main(recipe, ["--preset", "smoke", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["config"] == {"examples": 3, "ratio_of_means": ["test_accuracy"]}
    recipe.RATIO_OF_MEANS = ("lost_steps",)
    with pytest.raises(ValueError, match="expected names in METRICS, got lost_steps"):
        cli.main(recipe, ["--preset", "smoke"])


def test_a_rival_that_cannot_run_is_told_in_the_file_the_tactic_is_an_error(tmp_path: Path, capsys) -> None:
    def refuse(config, *, arm, seed, meter):
        raise CannotRun("no compiler; install one")

    recipe, out = fake_recipe(), tmp_path / "f.json"
    recipe.run, recipe.ARMS = refuse, ("baseline", "tactic", "rival")
    common = ["--preset", "smoke", "--seed", "2", "--out", str(out)]
    assert cli.main(recipe, ["--arm", "tactic", *common]) == 1
    assert not out.exists()
    assert cli.main(recipe, ["--arm", "rival", *common]) == 0
    assert json.loads(out.read_text()) == {"arm": "rival", "seed": 2, "left_out": "no compiler; install one"}
    assert capsys.readouterr().out == "left out: rival: no compiler; install one\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arm", "tactik"], "--arm: expected one of baseline, tactic, got 'tactik'"),
        (["--preset", "huge"], "--preset: expected one of smoke, default, full, got 'huge'"),
        (["--preset", "smoke", "--data-dir", "nowhere"], "--data-dir nowhere: expected a folder"),
        (["--preset", "smoke", "--out", "/dev/null/x.json"], "--out /dev/null/x.json: cannot be written"),
        (["--preset", "smoke", "--out", "."], "--out .: expected a file, found a folder"),
        (["--preset", "smoke", "--save-net", "."], "--save-net .: expected a file, found a folder"),
        (["--preset", "default"], "data/x.gz: damaged; fetch it again"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(arguments: list[str], message: str, capsys) -> None:
    assert cli.main(fake_recipe(), arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--seed", number] for number in ("-1", "x", "nan", str(2**32), "9" * 5000)),
        *(["--threads", number] for number in ("0", "100000", "inf", "1e3")),
        ["--unknown"],
        ["stray"],
        ["--arm"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(fake_recipe(), arguments)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_has_an_example(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(fake_recipe(), ["--help"])
    assert caught.value.code == 0
    assert "--preset smoke --out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("test_accuracy", float("nan"), "metric test_accuracy: expected a finite number, got nan"),
        ("accuracy", 0.5, r"metric accuracy: expected an entry in METRICS, got \['test_accuracy'\]"),
    ],
)
def test_a_number_that_is_none_or_not_described_is_refused(
    tmp_path: Path, name: str, value: float, message: str
) -> None:
    recipe = fake_recipe()
    recipe.run = lambda *_, **__: Outcome({name: value}, DataUsed("d", "0" * 64, 0, 0, 0))
    with pytest.raises(ValueError, match=message):
        cli.main(recipe, ["--preset", "smoke", "--out", str(tmp_path / "f.json")])
    assert not list(tmp_path.iterdir())


def with_net(config, **arguments) -> Outcome:
    outcome = fake_run(config, **arguments)
    return dataclasses.replace(outcome, deployable=deployable(residual_net()))


def test_the_net_of_the_arm_is_saved_where_there_is_one(tmp_path: Path) -> None:
    recipe, path = fake_recipe(), tmp_path / "new" / "net.pt"
    arguments = ["--preset", "smoke", "--save-net", str(path)]
    assert cli.main(recipe, arguments) == 0
    assert not list(path.parent.iterdir()), "the arm yields no net"
    recipe.run = with_net
    assert cli.main(recipe, arguments) == 0
    assert isinstance(load_net(path, "--net").model, ResidualNet)
    assert [file.name for file in path.parent.iterdir()] == ["net.pt"]


def test_a_recipe_run_as_a_program_goes_on_under_its_own_name(monkeypatch, capsys) -> None:
    program, module = fake_recipe(), fake_recipe()
    module.METRICS = {"of_the_module": ("count", "neither", "counted", "One.")}
    module.run = lambda *_, **__: Outcome({"of_the_module": 1.0}, DataUsed("digits", "0" * 64, 0, 0, 0))
    monkeypatch.setitem(sys.modules, "__main__", program)
    monkeypatch.setitem(sys.modules, "recipes.a_tactic", module)
    assert cli.main(program, ["--preset", "smoke"]) == 0
    assert "of_the_module" in capsys.readouterr().out
    assert cli.main(fake_recipe(), ["--preset", "smoke"]) == 0
    assert "test_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "recipes.select_inference_tasks_for_the_edge"],
        ["recipes/select_inference_tasks_for_the_edge.py"],
    ],
)
def test_the_commands_of_the_docstring_start(command: list[str]) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "catalogue")])}
    done = subprocess.run(
        [sys.executable, *command, "--arm", "none"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    arms = ", ".join(select_inference_tasks_for_the_edge.ARMS)
    assert done.stderr == f"error: --arm: expected one of {arms}, got 'none'\n"


def test_the_result_goes_through_links_and_into_pipes(tmp_path: Path) -> None:
    arguments = ["--preset", "smoke", "--out"]
    (tmp_path / "link").symlink_to("target")
    assert cli.main(fake_recipe(), [*arguments, str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "target").read_text())["seed"] == 0
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        received = pool.submit((tmp_path / "pipe").read_text)
        assert cli.main(fake_recipe(), [*arguments, str(tmp_path / "pipe")]) == 0
        assert json.loads(received.result())["seed"] == 0
    assert cli.main(fake_recipe(), [*arguments, os.devnull]) == 0
    assert Path(os.devnull).is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "target"]


def test_the_mode_of_a_file_is_kept_and_a_new_one_has_that_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o604)
    before = os.umask(0o027)
    try:
        for name in ("old", "new"):
            assert cli.main(fake_recipe(), ["--preset", "smoke", "--out", str(tmp_path / name)]) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o604
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch, capsys) -> None:
    assert cli.main(fake_recipe(), ["--preset", "smoke", "--out", "/dev/full"]) == 1
    error = capsys.readouterr().err
    assert error == "error: --out /dev/full: cannot be written (No space left on device)\n"

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "f.json").write_text("before")
    monkeypatch.setattr(Path, "replace", full)
    assert cli.main(fake_recipe(), ["--preset", "smoke", "--out", str(tmp_path / "f.json")]) == 1
    assert "f.json: cannot be written (No space left on device)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]
    assert (tmp_path / "f.json").read_text() == "before"


def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("GREENTACTICS_DATA", str(tmp_path / "no"))
    assert cli.main(fake_recipe(), ["--preset", "smoke"]) == 0
    assert f"GREENTACTICS_DATA={tmp_path / 'no'}: there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("--list >&- 2>&- <&-", 0, ""),
        ("--list | true", 0, ""),
        ("--help | true", 0, ""),
        ("--list > /dev/full", 1, "error: standard output: cannot be written (No space left on device)\n"),
    ],
)
def test_a_stream_that_does_not_work_is_no_traceback(line: str, code: int, message: str) -> None:
    program = """
import sys
from recipes.common.run.command_line import OneLineParser, UserError, open_streams, show
open_streams()
parser = OneLineParser()
parser.add_argument("--list", action="store_true")
parser.parse_args()
try:
    show("text")
except UserError as error:
    sys.exit(f"error: {error}")
"""
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{sys.executable}" -c "$PROGRAM" {line}'],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "catalogue")]), "PROGRAM": program},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, message)


def test_a_link_to_itself_is_refused_and_stays(tmp_path: Path, capsys) -> None:
    link = tmp_path / "loop.json"
    link.symlink_to("loop.json")
    assert cli.main(fake_recipe(), ["--preset", "smoke", "--out", str(link)]) == 1
    assert "loop.json: cannot be written" in capsys.readouterr().err
    assert link.is_symlink()
