"""Software Carbon Intensity: SCI = (E * I + M) per R, from metered energy and what the user states.

E is the energy of one functional unit R in kWh, I the carbon intensity of the grid in g/kWh, and M the
embodied emissions shared out to R in g. E is never estimated, I and M come with their source, and offsets are
not taken. Emissions are in grams of CO2 equivalent.

Source: ISO/IEC 21031:2024; the Green Software Foundation publishes the same specification.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from greentactics.models.results import Results

STANDARD = "ISO/IEC 21031:2024"
RUN = "1 run of the arm"
INFERENCES = "1,000 inferences"
WITHOUT_EMBODIED = "embodied emissions not given: M is left out"

_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Stated:
    """A figure the user states."""

    value: float
    """The figure: g/kWh of the grid, or g of embodied emissions for each R."""
    source: str
    """Where it comes from."""


@dataclass(frozen=True)
class MeteredEnergy:
    """Gross metered energy of one functional unit on one device: the term E."""

    results: Results
    """Where it was measured."""
    functional_unit: str
    """R: `1 run of the arm` or `1,000 inferences`."""
    setting: str
    """What was run, such as `preset default` or `pytorch, batch size 1`."""
    energy_j: float
    """Mean over repeats."""
    repeats: int
    """Repeats, each with another seed."""

    @property
    def energy_kwh(self) -> float:
        """The term E in kWh."""
        return self.energy_j / _JOULES_PER_KWH


def metered_energy(results: Iterable[Results], arm: str) -> list[MeteredEnergy]:
    """Return the energy of an arm by device: of 1,000 inferences where that was metered, else of one run.

    Every entry has the same functional unit, so that emissions stated for each R fit all of them.

    Args:
        results: Results of one tactic.
        arm: The arm.
    """
    every = list(results)
    inferences = [energy for entry in every for energy in _of_inferences(entry, arm)]
    return inferences or [energy for entry in every for energy in _of_runs(entry, arm)]


def sci_g(energy: MeteredEnergy, grid: Stated, embodied: Stated | None) -> float:
    """Return E * I + M in grams per R, without M where it is not stated."""
    return energy.energy_kwh * grid.value + (embodied.value if embodied else 0.0)


def as_text(energies: Sequence[MeteredEnergy], grid: Stated, embodied: Stated | None) -> str:
    """Return the terms of each device as lines, and what they make together."""
    lines = [f"Software Carbon Intensity ({STANDARD}): SCI = (E * I + M) per R"]
    for energy in energies:
        results = energy.results
        changed = " with changes" if results.dirty else ""
        commit = f"commit {results.commit[:10]}{changed}" if results.commit else "no commit"
        stated_m = f"{embodied.value:g} g (source: {embodied.source})" if embodied else WITHOUT_EMBODIED
        lines += [
            "",
            f"{results.device.name} ({results.device_slug}), {energy.setting}, {commit}",
            f"  R    {energy.functional_unit}",
            f"  E    {energy.energy_kwh:.4g} kWh ({energy.energy_j:.4g} J; mean of {energy.repeats})",
            f"       metered by {results.meter.name}, gross; other parts of the machine are not in it",
            f"  I    {grid.value:g} g/kWh (source: {grid.source})",
            f"  M    {stated_m}",
            f"  SCI  {sci_g(energy, grid, embodied):.4g} g CO2e per {energy.functional_unit}",
        ]
    return "\n".join(lines)


def as_json(energies: Sequence[MeteredEnergy], grid: Stated, embodied: Stated | None) -> list[dict[str, Any]]:
    """Return the same as JSON values; M is null where it is left out."""
    return [
        {
            "device": energy.results.device.name,
            "device_slug": energy.results.device_slug,
            "setting": energy.setting,
            "commit": energy.results.commit,
            "dirty": energy.results.dirty,
            "functional_unit": energy.functional_unit,
            "energy_kwh": energy.energy_kwh,
            "repeats": energy.repeats,
            "meter": energy.results.meter.name,
            "grid_intensity_g_per_kwh": grid.value,
            "grid_source": grid.source,
            "embodied_g": embodied.value if embodied else None,
            "embodied_source": embodied.source if embodied else None,
            "sci_g": sci_g(energy, grid, embodied),
        }
        for energy in energies
    ]


def _of_runs(results: Results, arm: str) -> list[MeteredEnergy]:
    readings = [repeat.energy for repeat in results.repeats if repeat.arm == arm]
    gross_j = [reading.gross_j for reading in readings if reading is not None]
    setting = f"preset {results.preset}"
    return [MeteredEnergy(results, RUN, setting, statistics.fmean(gross_j), len(gross_j))] if gross_j else []


def _of_inferences(results: Results, arm: str) -> list[MeteredEnergy]:
    """Return one entry for each engine and batch size; a seed counts once, however many rounds it had."""
    by_setting: dict[str, list[float]] = {}
    for timing in results.timings:
        calls_j = (timing.energy_j or {}).get(arm, ())
        if calls_j:
            setting = f"preset {results.preset}, {timing.engine}, batch size {timing.batch_size}"
            by_setting.setdefault(setting, []).append(statistics.fmean(calls_j) / timing.batch_size)
    return [
        MeteredEnergy(results, INFERENCES, setting, 1000 * statistics.fmean(seeds_j), len(seeds_j))
        for setting, seeds_j in by_setting.items()
    ]
