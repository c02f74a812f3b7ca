"""The command `replay`, on a made-up extract of the data."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from greentactics.measure import replaying
from greentactics.models.datasets import ML_ENERGY_ARCHIVE, archived_contents, contents_sha256
from greentactics.records.loading import load_replay
from tests.examples.command_line import call
from tests.examples.example_files import REPOSITORY
from tests.examples.metered_runs import write_image_run, write_text_run

TACTIC = "batch-requests"
FILE = f"recipes/results/{TACTIC}/replays/ml-energy.json"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout that holds the programs and one record."""
    root = tmp_path / "checkout"
    (root / "tactics").mkdir(parents=True)
    shutil.copy(REPOSITORY / "tactics" / f"{TACTIC}.yaml", root / "tactics")
    (root / "recipes").mkdir()
    (root / "recipes" / "__init__.py").touch()
    shutil.copytree(REPOSITORY / "recipes" / "replays", root / "recipes" / "replays")
    return root


@pytest.fixture
def data(tmp_path: Path, monkeypatch) -> Path:
    """Return a data folder whose runs are the published ones."""
    folder = tmp_path / "data" / "ml-energy"
    for model, joules in (("m/a", (0.8, 0.4)), ("m/b", (0.6, 0.2))):
        write_text_run(folder, model, 32, joules[0], 0.05)
        write_text_run(folder, model, 64, joules[1], 0.10)
        write_image_run(folder, model, 1, 300.0, 2.0)
        write_image_run(folder, model, 2, 150.0, 3.0)
    sha256 = contents_sha256(archived_contents(folder, ML_ENERGY_ARCHIVE))
    monkeypatch.setattr(replaying, "ML_ENERGY_ARCHIVE", dataclasses.replace(ML_ENERGY_ARCHIVE, sha256=sha256))
    return folder.parent


def test_pairs_are_stored_and_told_the_same_each_time(checkout: Path, data: Path) -> None:
    shown = call(checkout, "replay", TACTIC, "--data-dir", data)
    assert shown.exit_code == 0, shown.output
    # Ratios 2 and 3: their geometric mean is 2.449.
    assert "GPU energy for a token 2.4x lower" in shown.stdout
    assert "4 pairs" not in shown.stdout
    assert "2 pairs of 2 models" in shown.stdout
    written = (checkout / FILE).read_bytes()
    assert load_replay(checkout / FILE).comparisons[0].pairs[0].baseline.energy_j == pytest.approx(0.8)
    assert call(checkout, "replay", "--data-dir", data).exit_code == 0
    assert (checkout / FILE).read_bytes() == written


def test_nothing_is_computed_from_other_data(checkout: Path, data: Path, tmp_path: Path) -> None:
    write_text_run(data / "ml-energy", "m/c", 32, 1.0, 0.1)
    shown = call(checkout, "replay", TACTIC, "--data-dir", data)
    assert shown.exit_code == 1
    assert "not the published files; run `greentactics data fetch ml-energy --dest" in shown.stderr
    (tmp_path / "empty").mkdir()
    shown = call(checkout, "replay", TACTIC, "--data-dir", tmp_path / "empty")
    assert "ml-energy: not found in the data folders" in shown.stderr
    assert not (checkout / FILE).exists()


def test_what_cannot_be_replayed_is_said(checkout: Path, data: Path) -> None:
    shown = call(checkout, "replay", "base-awesome", "--data-dir", data)
    assert shown.exit_code == 2
    assert f"base-awesome: no replay of this name; there are {TACTIC}" in shown.stderr
    program = checkout / "recipes" / "replays" / "batch_requests.py"
    program.write_text(program.read_text("utf-8").replace("LIMITS_S = (", "LIMITS_S = (1 / 0, "), "utf-8")
    shown = call(checkout, "replay", TACTIC, "--data-dir", data)
    assert shown.exit_code == 1
    assert "recipes.replays.batch_requests ended with exit code 1:" in shown.stderr
    assert "ZeroDivisionError" in shown.stderr
