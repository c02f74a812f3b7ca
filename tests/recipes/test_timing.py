from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from greentactics.models.timings import Timing
from recipes.common.meters.choice import ProcessMeter
from recipes.common.run.net_files import save_net
from recipes.common.timing import __main__ as timing
from recipes.common.timing.protocol import EnergyReadings, Readings, interleave
from tests.recipes.small_nets import BranchingNet, deployable, residual_net


@pytest.fixture(autouse=True)
def no_time_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(timing, "interleave", partial(interleave, cell_s=1e-4))
    monkeypatch.setattr(timing, "choose_meter", ProcessMeter)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    save_net(folder / "b.pt", deployable(residual_net()))
    save_net(folder / "unlabelled.pt", deployable(residual_net(), labelled=False))
    save_net(folder / "fewer.pt", deployable(residual_net(), test_count=7))
    save_net(folder / "branching.pt", deployable(BranchingNet(), labelled=False))
    return folder


def time_files(folder: Path, *arguments: str, baseline: str = "b.pt", tactic: str = "b.pt") -> int:
    named = ["--net", f"baseline={folder / baseline}", "--net", f"tactic={folder / tactic}"]
    return timing.main([*named, "--least-rounds", "3", "--cap-s", "0", *arguments])


def test_the_file_holds_a_valid_pass_for_each_engine(nets: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "timing.json"
    assert time_files(nets, "--seed", "3", "--batch-size", "3", "--out", str(out)) == 0
    assert [path.name for path in out.parent.iterdir()] == ["timing.json"]
    written = json.loads(out.read_text())
    assert set(written) == {"timings", "not_timed", "device", "versions"}
    assert written["not_timed"] == {}
    passes = [Timing.model_validate_json(json.dumps(entry)) for entry in written["timings"]]
    assert [found.engine for found in passes] == ["pytorch", "onnxruntime", "onnxruntime_int8"]
    for found in passes:
        assert (found.seed, found.order_seed, found.batch_size, found.threads) == (3, 3, 3, 1)
        assert found.test_count == 39, "13 whole batches of 3"
        assert set(found.wall_ms) == {"baseline", "tactic", "baseline_again"}
        assert {len(values) for values in found.wall_ms.values()} == {3}
        assert set(found.accuracy_fraction) == set(found.stored_bytes) == {"baseline", "tactic"}
        assert found.energy_j is found.energy_above_idle_j is None
    exact, exported, quantised = (found.output_difference["tactic"] for found in passes)
    assert exact == 0 < exported < 1e-5 < quantised
    counted = [(found.flops is not None, found.allocated_bytes is not None) for found in passes]
    assert counted == [(True, True), (False, False), (False, False)]
    assert passes[0].flops["tactic"] > 0
    sizes = [found.stored_bytes["tactic"] for found in passes]
    assert sizes[2] < sizes[1]
    shown = capsys.readouterr().out
    assert "onnxruntime_int8: batch 3, threads 1, rounds 3, " in shown
    assert shown.count("baseline_again") == 3


def test_readings_are_written_with_6_digits_and_energy_where_it_was_metered(
    nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ("baseline", "tactic", "baseline_again")
    readings = dict.fromkeys(arms, (1.23456789, 123456.789))
    calls = dict.fromkeys(arms, 8)
    metered = []

    def energy(cells, calls_in, meter, *, order_seed: int) -> EnergyReadings:
        metered.append((set(cells), calls_in, meter.name, order_seed))
        return EnergyReadings(dict.fromkeys(arms, (0.00123456789,)), None)

    monkeypatch.setattr(timing, "interleave", lambda *_, **__: Readings(calls, readings, readings, True))
    monkeypatch.setattr(timing, "interleave_energy", energy)
    out = tmp_path / "timing.json"
    assert time_files(nets, "--order-seed", "9", "--engine", "pytorch", "--out", str(out)) == 0
    assert metered == [({"baseline", "tactic"}, calls, "process clocks", 9)]
    (found,) = json.loads(out.read_text())["timings"]
    assert found["wall_ms"]["tactic"] == found["cpu_ms"]["baseline"] == [1.23457, 123457.0]
    assert found["energy_j"] == {arm: [0.00123457] for arm in arms}
    assert found["energy_above_idle_j"] is None
    assert found["precise"] is True


def test_without_labels_there_is_no_accuracy(nets: Path, tmp_path: Path) -> None:
    out = tmp_path / "timing.json"
    files = {"baseline": "unlabelled.pt", "tactic": "unlabelled.pt"}
    assert time_files(nets, "--engine", "pytorch", "--out", str(out), **files) == 0
    (found,) = json.loads(out.read_text())["timings"]
    assert found["accuracy_fraction"] is None


def test_an_engine_that_cannot_run_a_net_is_left_out_with_its_reason(
    nets: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "timing.json"
    files = {"baseline": "unlabelled.pt", "tactic": "branching.pt"}
    engines = ["--engine", "onnxruntime", "--engine", "pytorch"]
    assert time_files(nets, *engines, "--out", str(out), **files) == 0
    written = json.loads(out.read_text())
    assert [found["engine"] for found in written["timings"]] == ["pytorch"]
    (reason,) = written["not_timed"].values()
    assert reason.startswith("arm tactic: cannot be exported to ONNX (")
    assert f"onnxruntime: not timed; {reason}" in capsys.readouterr().out


def test_without_the_extra_the_reason_names_the_cure(nets: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    out = tmp_path / "timing.json"
    assert time_files(nets, "--engine", "onnxruntime_int8", "--out", str(out)) == 0
    written = json.loads(out.read_text())
    assert written["timings"] == []
    assert written["not_timed"]["onnxruntime_int8"].endswith('run: pip install -e ".[onnx]"')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--net", "tactic=b.pt"], "--net: expected baseline=FILE among the arms, got tactic"),
        (["--net", "b.pt"], "--net: expected ARM=FILE, with an arm other than baseline_again, got 'b.pt'"),
        (["--net", "baseline_again=b.pt"], "got 'baseline_again=b.pt'"),
        (
            ["--net", "baseline=b.pt", "--net", "baseline=b.pt"],
            "--net: expected each arm once, got baseline twice",
        ),
        (["--net", "baseline=none.pt"], "--net none.pt: cannot be read (No such file or directory)"),
        (
            ["--net", "baseline=b.pt", "--net", "tactic=fewer.pt"],
            "--net: expected as many test inputs in each file, got baseline: 40, tactic: 7",
        ),
        (
            ["--net", "baseline=b.pt", "--batch-size", "41"],
            "expected at most 40, the test_inputs of arm baseline",
        ),
        (["--net", "baseline=b.pt", "--out", "."], "--out .: expected a file, found a folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(
    arguments: list[str], message: str, nets, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(nets)
    assert timing.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--net", "baseline=b.pt", "--cap-s", "-1"],
        ["--net", "baseline=b.pt", "--cap-s", "soon"],
        ["--net", "baseline=b.pt", "--engine", "jax"],
        ["--net", "baseline=b.pt", "--least-rounds", "2"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        timing.main(arguments)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_has_an_example(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        timing.main(["--help"])
    assert caught.value.code == 0
    assert "--net baseline=b.pt --net tactic=t.pt" in capsys.readouterr().out
