"""Results from other machines: what is refused, and what a second device does to the evidence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from greentactics.contribute.accepting import ACCEPTED_BYTES
from greentactics.evidence.tactic import join
from greentactics.records.loading import load_catalogue, load_results
from greentactics.text.json_source import values_of
from tests.examples.command_line import call
from tests.examples.device_results import HERE, OURS, TACTIC, THEIRS, document, theirs, timed
from tests.examples.example_files import copy_valid


@pytest.fixture
def root(root: Path) -> Path:
    """A catalogue in which one device has reproduced the tactic."""
    (root / HERE / f"{OURS}.json").write_text(json.dumps(document("Example processor")))
    return root


def accept(root: Path, file: Path, *arguments: str) -> Result:
    return call(root, "accept", file, *arguments)


@pytest.fixture
def offer(root: Path, tmp_path: Path) -> Callable[..., Result]:
    def write_and_accept(content: object, *arguments: str, name: str = "theirs.json") -> Result:
        file = tmp_path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return accept(root, file, *arguments)

    return write_and_accept


def test_a_second_device_is_filed(root, offer):
    result = offer(theirs())
    assert result.exit_code == 0, result.output
    assert (
        f"{HERE}/{THEIRS}.json: filed, 10 repeats with 5 seeds on Another processor 4 cores" in result.output
    )
    assert "this device: work 2.5x lower [2.5, 2.5] at 0.00 points of accuracy" in result.output
    assert "evidence of base-measured: E3 before, E3 now: shown here on one subject" in result.output
    filed = load_results(root / HERE / f"{THEIRS}.json")
    assert filed.model_dump(mode="json")["repeats"][0]["duration_s"] == theirs()["repeats"][0]["duration_s"]
    assert call(root, "check").exit_code == 0
    catalogue = load_catalogue(root)
    assert "2.5x lower" in join(catalogue, {})[TACTIC].verdict.line


def test_the_same_processor_again_lifts_nothing(root, offer):
    again = theirs()
    again["device"]["name"] = "Example processor"
    assert "E3 before, E3 now" in offer(again).output


def test_results_that_are_there_stay_unless_told(root, offer):
    path = root / HERE / f"{THEIRS}.json"
    assert offer(theirs()).exit_code == 0
    before = path.read_bytes()
    changed = theirs()
    changed["repeats"][0]["values"]["accuracy"] = 0.8
    result = offer(changed)
    assert result.exit_code == 1
    assert (
        f"{HERE}/{THEIRS}.json: results of this name are there; replace them with --replace" in result.stderr
    )
    assert path.read_bytes() == before
    assert offer(changed, "--replace").exit_code == 0
    assert load_results(path).repeats[0].values["accuracy"] == 0.8


def test_everything_is_named_at_once(offer, root):
    wrong = theirs() | {"recipe_sha256": "c" * 64, "dirty": True, "commit": None}
    wrong["repeats"][0]["duration_s"] = 0
    wrong["repeats"][1]["values"]["accuracy"] = 90
    wrong["metrics"]["accuracy"]["unit"] = "percent"
    wrong["metrics"]["work_count"]["unit"] = "fraction"
    wrong["device"]["system"] = "Linux of ada@example.org"
    result = offer(wrong)
    assert result.exit_code == 1
    for words in (
        "recipe_sha256: expected the checksum of the recipe as it is now",
        "dirty: expected results of a clean working tree, got true; commit, then measure again",
        "repeats.0.duration_s: expected more than 0, got 0; measure again",
        f'metrics.accuracy.unit: expected "fraction", as in {HERE}/{OURS}.json, got "percent"; measure with',
        "repeats.0.values.work_count: expected 0 to 1, as it is a fraction, got 10",
        "device.system: expected no trace of the machine's owner, got an e-mail address or a login, ",
    ):
        assert words in result.stderr
    assert "Traceback" not in result.output
    assert [path.name for path in (root / HERE).iterdir()] == [f"{OURS}.json"]


def wrong(path: str, value: object) -> dict[str, Any]:
    """Return results with one value changed, named by its dotted path."""
    found: Any = theirs()
    place = found
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wrong("tactic", "no-such-tactic"), "expected the record of no-such-tactic, got none"),
        (wrong("tactic", "base-awesome"), "expected the recipe recipes/base_awesome.py, got none"),
        (wrong("tactic", "../../evil"), 'tactic: expected small letters, digits and single hyphens'),
        (wrong("device_slug", "../evil"), 'device_slug: expected small letters, digits and single hyphens'),
        (wrong("device_slug", "/etc/passwd"), "device_slug: expected small letters"),
        (wrong("preset", "smoke"), "preset: expected a preset for published results"),
        (wrong("complete", False), "got incomplete: a repeat failed or is missing"),
        (wrong("commit", None), "expected results that count as evidence, got not tied to a commit"),
        (wrong("repeats.0.cpu_s", 0), "repeats.0.cpu_s: expected more than 0, got 0"),
        (wrong("repeats.0.duration_s", -1), "repeats.0.duration_s: expected at least 0, got the number -1"),
        (wrong("repeats.0.started", "2999-01-01T00:00:00Z"), "repeats.0.started: expected a time before 20"),
        (wrong("repeats.0.started", "2026-01-01T00:00:00"), "repeats.0.started: expected a time before 20"),
        (wrong("repeats.0.seed", 1), "one repeat for each arm and seed, got two of baseline with seed 1"),
        (wrong("repeats.0.seed", 9), "each arm with each seed, got none of baseline with seed 0"),
        (wrong("repeats.0.arm", "rival"), "each arm with each seed, got none of baseline with seed 0"),
        (wrong("metrics.accuracy.better", "lower"), 'metrics.accuracy.better: expected "higher", as in'),
        (wrong("config", {"count": 9}), "config.count: expected 10, as in recipes/results/base"),
        (wrong("config", {}), "config.count: expected 10, as in"),
        (wrong("data.name", "Fashion-MNIST"), "got stale: the data have changed since"),
        (wrong("meter", {"name": "NVML", "energy": "NVML"}), "the energy meter does not cover the processor"),
        (document("Another processor", seeds=4), "got fewer than 5 seeds; greentactics measure base-"),
        (wrong("repeats", []), "repeats: expected at least 1, got none"),
        (document("Another processor", arms=("baseline",)), "repeats of the arms baseline and tactic"),
        (timed(), "baseline_again with each seed, as the headline cost is measured, got none"),
        ("{", "expected JSON"),
        ("[]", "expected a mapping of keys, got a list"),
        ("{}", "tactic: expected a value, got nothing"),
        ("[" * 100_000, "expected"),
        ('{"seed": NaN}', "NaN, which is no number in JSON"),
        (json.dumps(theirs()).replace("10.0", "1e999", 1),
         "repeats.0.values.work_count: expected a finite number, got one that is too large"),
        *((wrong("config", {"note": f"a{sign}b"}), "config.note: expected visible text, got U+")
          for sign in ("\u0085", "\u202e", "\x7f")),
        (document("Example processor") | {"device_slug": "copied", "device": theirs()["device"]},
         f"repeats.0: expected readings of its own, got those that stand in {HERE}/{OURS}.json; file a run"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(offer, content, message, root):
    result = offer(content)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "theirs.json:" in result.stderr
    assert not (root / HERE / f"{THEIRS}.json").exists()


def test_a_metric_that_the_record_names_is_needed(offer):
    found = theirs()
    del found["metrics"]["accuracy"]
    for repeat in found["repeats"]:
        del repeat["values"]["accuracy"]
    assert "metrics: expected the metric accuracy, which the record names, got none" in offer(found).stderr


def test_numbers_too_large_to_compare_are_no_evidence(offer):
    found = theirs()
    for repeat in found["repeats"]:
        repeat["values"]["work_count"] = 1e308 if repeat["arm"] == "tactic" else 5e-324
    assert "E3 before, E1 now: one source with a figure" in offer(found).output


def test_names_of_arms_and_units_are_shown_short_and_on_one_line(offer):
    found = theirs()
    found["metrics"]["accuracy"]["unit"] = "frac\u00a0" + "x" * 9000
    found["repeats"][0]["arm"] = "rival\u2003" + "y" * 9000
    lines = offer(found).stderr.splitlines()
    assert len(lines) > 2
    assert all(line.isprintable() and len(line) < 400 for line in lines)


def test_a_control_makes_measured_costs_acceptable(root, offer):
    (root / HERE / f"{OURS}.json").unlink()
    with_control = document("Another processor 4 cores", arms=("baseline", "tactic", "baseline_again"))
    found = timed(repeats=with_control["repeats"])
    assert "E1 before, E3 now" in offer(found).output
    found["repeats"].pop()
    assert (
        "got none with seed 4; greentactics measure base-measured --control"
        in offer(found, "--replace").stderr
    )


def test_timing_by_another_protocol_is_refused(root, offer):
    program = root / "recipes" / "common" / "timing" / "__main__.py"
    program.parent.mkdir(parents=True)
    program.write_text("def time_all():\n    pass\n")
    from tests.examples.synthetic import timing

    found = theirs() | {"timing_sha256": "d" * 64, "timings": [timing(0, 2.0).model_dump(mode="json")]}
    assert "timing_sha256: expected the checksum of the timing protocol as it is now" in offer(found).stderr


def test_files_that_are_none(root, tmp_path, offer):
    assert "expected a file named <device>.json, got theirs.txt" in offer(theirs(), name="theirs.txt").stderr
    big = tmp_path / "big.json"
    with big.open("wb") as stream:
        stream.truncate(ACCEPTED_BYTES + 1)
    assert "expected at most 5,000,000 bytes, got 5,000,001 bytes" in accept(root, big).stderr
    assert "does not exist" in accept(root, tmp_path / "none.json").stderr
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    assert "expected UTF-8" in accept(root, tmp_path / "bytes.json").stderr


@pytest.mark.parametrize("inside", ["results", f"results/{TACTIC}", f"results/{TACTIC}/{THEIRS}.json"])
def test_a_link_leads_nothing_out_of_the_catalogue(root, tmp_path, offer, inside):
    outside, link = tmp_path / "outside", root / "recipes" / inside
    if link.exists():
        link.rename(outside)
    link.symlink_to(outside)
    before = sorted(outside.rglob("*"))
    result = offer(theirs(), "--replace")
    assert result.exit_code == 1
    assert "a link" in result.stderr
    assert sorted(outside.rglob("*")) == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory) -> Path:
    return copy_valid(tmp_path_factory.mktemp("accept"))


@settings(max_examples=40)
@given(data=st.data())
def test_any_change_gives_a_clean_answer(shared_root, data):
    found: Any = copy.deepcopy(document("Another processor 4 cores", seeds=2))
    *parents, last = data.draw(st.sampled_from([path for path, _ in values_of(found) if path]))
    place = found
    for part in parents:
        place = place[part]
    place[last] = data.draw(json_values)
    file = shared_root.parent / "changed.json"
    file.write_text(json.dumps(found), encoding="utf-8")
    result = accept(shared_root, file)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "changed.json:" in result.stderr
