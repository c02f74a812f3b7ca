"""Software Carbon Intensity, worked by hand: 3.6 MJ are 1 kWh."""

from __future__ import annotations

from typing import Any

import pytest

from greentactics.evidence.carbon import INFERENCES, RUN, Stated, as_json, as_text, metered_energy, sci_g
from greentactics.models.results import EnergyReading, MeterInfo, Results
from tests.examples.synthetic import results, timing

GRID = Stated(56.0, "operator, 2025")
EMBODIED = Stated(12.0, "maker's sheet")
METER = MeterInfo(name="RAPL (package-0)", energy="RAPL")


def metered(gross_j: dict[tuple[str, int], float], **changes: Any) -> Results:
    """Results of two arms whose repeats have these readings, by arm and seed."""
    plain = results(seeds=3, arms=("baseline", "tactic"), meter=METER, **changes)
    repeats = []
    for repeat in plain.repeats:
        energy_j = gross_j.get((repeat.arm, repeat.seed))
        reading = energy_j and EnergyReading(
            gross_j=energy_j, above_idle_j=None, idle_power_w=None, by_domain_j={"package-0": energy_j}
        )
        repeats.append(repeat.model_copy(update={"energy": reading or None}))
    return plain.model_copy(update={"repeats": tuple(repeats)})


def test_energy_of_a_run_is_the_mean_over_repeats() -> None:
    (energy,) = metered_energy([metered({("tactic", 0): 3.0e6, ("tactic", 1): 4.2e6})], "tactic")
    assert (energy.functional_unit, energy.setting, energy.repeats) == (RUN, "preset default", 2)
    assert energy.energy_j == pytest.approx(3.6e6)
    assert energy.energy_kwh == pytest.approx(1.0)
    assert sci_g(energy, GRID, None) == pytest.approx(56.0)
    assert sci_g(energy, GRID, EMBODIED) == pytest.approx(68.0)


def test_energy_of_inferences_goes_before_that_of_runs() -> None:
    """Calls of 8 examples that take 36 J and 28 J in one seed, 16 J in the other: 24 J a call, 3 J each."""
    timings = (
        timing(0, 2.0, batch_size=8, energy_j={"tactic": (36.0, 28.0), "baseline": (99.0,)}),
        timing(1, 2.0, batch_size=8, energy_j={"tactic": (16.0,)}),
        timing(0, 2.0, engine="onnxruntime", energy_j={"tactic": (5.0,)}),
        timing(2, 2.0),
    )
    first, second = metered_energy([metered({("tactic", 0): 9.0}, timings=timings)], "tactic")
    assert (first.functional_unit, first.setting) == (INFERENCES, "preset default, pytorch, batch size 8")
    assert (first.energy_j, first.repeats) == (pytest.approx(3000.0), 2)
    assert second.setting == "preset default, onnxruntime, batch size 1"
    assert (second.energy_j, second.repeats) == (pytest.approx(5000.0), 1)
    assert sci_g(first, GRID, None) == pytest.approx(3000 / 3.6e6 * 56)


def test_every_entry_has_the_same_functional_unit() -> None:
    runs_only = metered({("tactic", 0): 9.0}, device_slug="runs-only")
    both = metered({("tactic", 0): 9.0}, timings=(timing(0, 2.0, energy_j={"tactic": (5.0,)}),))
    energies = metered_energy([runs_only, both], "tactic")
    assert [energy.functional_unit for energy in energies] == [INFERENCES]


def test_without_a_meter_there_is_no_energy() -> None:
    assert metered_energy([], "tactic") == []
    assert metered_energy([results(), metered({("baseline", 0): 9.0})], "tactic") == []


def test_text_states_each_term_and_what_is_left_out() -> None:
    energies = metered_energy([metered({("tactic", 0): 3.6e5}, dirty=True)], "tactic")
    assert as_text(energies, GRID, None).splitlines() == [
        "Software Carbon Intensity (ISO/IEC 21031:2024): SCI = (E * I + M) per R",
        "",
        "Example Processor 9000 (example-processor-9000), preset default, commit bbbbbbbbbb with changes",
        "  R    1 run of the arm",
        "  E    0.1 kWh (3.6e+05 J; mean of 1)",
        "       metered by RAPL (package-0), gross; other parts of the machine are not in it",
        "  I    56 g/kWh (source: operator, 2025)",
        "  M    embodied emissions not given: M is left out",
        "  SCI  5.6 g CO2e per 1 run of the arm",
    ]
    text = as_text(energies, GRID, EMBODIED)
    assert "  M    12 g (source: maker's sheet)\n  SCI  17.6 g CO2e per 1 run of the arm" in text


def test_json_has_the_terms() -> None:
    energies = metered_energy([metered({("tactic", 0): 3.6e5})], "tactic")
    (entry,) = as_json(energies, GRID, None)
    assert entry["sci_g"] == pytest.approx(5.6)
    assert entry["energy_kwh"] == pytest.approx(0.1)
    assert (entry["embodied_g"], entry["embodied_source"]) == (None, None)
    assert (entry["grid_intensity_g_per_kwh"], entry["grid_source"]) == (56.0, "operator, 2025")
    (entry,) = as_json(energies, GRID, EMBODIED)
    assert entry["sci_g"] == pytest.approx(17.6)
