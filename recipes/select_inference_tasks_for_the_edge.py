"""Task selection at the edge: switch off pairs of access point and inference task until power rises.

Record: tactics/select-inference-tasks-for-the-edge.yaml. Paper: Yang, Hua, Shi, Wang, Zhang, Letaief, "Sparse
Optimization for Green Edge AI Inference", JCIN 5(1), 2020 (arXiv 2002.10080), of which the abstract was read.

Each user asks for one inference. An access point that computes it may send the result, jointly with the
others that did. All figures come from a model of a radio cell; no network is run. The paper's values were not
read: the cell, the target and the power of computing are set here, the last after an accelerator chip.
Simplified against the abstract: transmission power in the objective stands in for the proximal term, and
pairs are tried one by one. `mixed_l12` and `gain_order` try them in another order; `exhaustive` tries all
sets, in small cells.

    python -m recipes.select_inference_tasks_for_the_edge --arm tactic --seed 0 --preset default

On one processor core an arm takes up to 20 s with DEFAULT and 2 s with SMOKE. Needs the extra `solver`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from recipes.common import cell_report, cli
from recipes.common.beamforming import Cell, Selection, draw_channels, least_power_beams
from recipes.common.contract import DataUsed, Json, Meter, Outcome

TACTIC = "select-inference-tasks-for-the-edge"
ARMS = ("baseline", "tactic", "mixed_l12", "gain_order", "exhaustive")


@dataclass(frozen=True)
class Config:
    """Settings of a run; a draw is one set of places and channels in which all users can be served."""

    draws: int = 20
    """Draws of the cell."""
    access_points: int = 5
    """Access points, each of which could compute every task."""
    users: int = 8
    """Users, each with one task."""
    antennas: int = 2
    """Antennas of an access point."""
    side_m: float = 200.0
    """Side of the square in which access points and users lie, in metres."""
    sinr_target_db: float = 5.0
    """Signal over interference and noise that every user needs, in decibels."""
    power_limit_w: float = 1.0
    """Largest power that an access point radiates."""
    amplifier_efficiency: float = 0.25
    """Power radiated over power that the amplifier draws."""
    computation_power_w: float = 0.278
    """Power to compute one task at one access point: AlexNet at 35 images a second on Eyeriss (Chen 2017)."""
    computation_levels_w: tuple[float, ...] = (0.00278, 0.0278, 0.278, 2.78)
    """Further values of it, for the table of the tactic."""
    small_draws: int = 5
    """Draws of the small cell, in which all sets of pairs are tried."""
    small_access_points: int = 3
    """Access points of the small cell."""
    small_users: int = 4
    """Users of the small cell; the sets to try are 7 to this power with three access points."""
    data_dir: Path | None = None
    """Not used, as the channels are drawn here."""


SMOKE = Config(draws=2, users=5, small_draws=1, small_users=3)
DEFAULT = Config()
FULL = Config(draws=50, access_points=8, users=12, small_draws=20)

# --- The tactic ------------------------------------------------------------------------------------------

NEGLIGIBLE = 1e-3  # share of the largest beam norm at which a pair counts as zero


# --8<-- [start:tactic]
def select_tasks(
    channels: Tensor,
    *,
    computation_power_w: Tensor,
    sinr_target: float,
    power_limit_w: float,
    amplifier_efficiency: float,
    rounds: int = 10,
    smoothing: float = 0.01,
) -> Selection:
    """Choose which access points compute which users' tasks, for the least power of computing and sending.

    Finds beams with few non-zero groups by a reweighted log-sum penalty, switches pairs off where that saves
    power, the weakest first, and returns the beams of least power for the others (Yang et al. 2020).

    Args:
        channels: Complex, (access points, users, antennas), in amplitudes of the noise per root watt sent.
        computation_power_w: Power an access point needs to compute a user's task, (access points, users).
        sinr_target: Signal over interference and noise that every user needs, a ratio of powers.
        power_limit_w: Largest power that one access point radiates.
        amplifier_efficiency: Power radiated over power drawn, above 0 and at most 1.
        rounds: Most programs solved for the penalty; fewer where the norms settle.
        smoothing: Beam norm, over the root of the power limit, below which the penalty flattens out.

    Raises:
        ValueError: An argument is out of range, the users cannot be served, or nothing could be switched off.
        UserError: The solver is not installed.
    """
    channels, computing_w = channels.to(torch.cdouble), computation_power_w.double()
    cell = Cell(channels, computing_w, sinr_target, power_limit_w, amplifier_efficiency)
    selection = switch_off(cell, log_sum_norms(cell, rounds, smoothing))
    if bool(selection.active.all()):
        raise NothingSwitchedOffError(
            "nothing could be switched off: each pair saves more power than it needs"
        )
    return selection


class NothingSwitchedOffError(ValueError):
    """All pairs are needed: switching off any one of them costs power, or leaves a user unserved."""


def log_sum_norms(cell: Cell, rounds: int, smoothing: float) -> Tensor:
    """Return beam norms that are zero for many pairs, (access points, users), in root watts.

    Minimises the power of sending and computing, where a pair counts as on by the degree
    log(1 + norm / floor) / log(1 + largest norm / floor); each round makes that linear at the last norms.
    """
    largest = math.sqrt(cell.power_limit_w)
    norms = torch.full_like(cell.computation_power_w, largest)
    for _ in range(rounds):
        slope = 1 / ((norms + smoothing * largest) * math.log1p(1 / smoothing))
        beams = least_power_beams(cell, cell.all_pairs(), norm_weights=cell.computation_power_w * slope)
        if beams is None:  # the solver gave up; the norms so far give an order too
            break
        before, norms = norms, beams.norm(dim=2)
        if (norms - before).abs().max() < NEGLIGIBLE * largest:
            break
    return norms


def switch_off(cell: Cell, norms: Tensor) -> Selection:
    """Switch pairs off while total power falls: first all of no norm, then one by one, least priority first.

    Raises:
        ValueError: The users cannot be served even with all pairs on.
    """
    active = cell.all_pairs()
    beams = least_power_beams(cell, active)
    if beams is None:
        need = f"a ratio of {cell.sinr_target:g} with {cell.power_limit_w:g} W an access point"
        raise ValueError(
            f"the users cannot be served: {need}; lower the target, raise the limit or drop users"
        )
    path = [(active.numel(), cell.total_power_w(beams, active))]
    strength = norms * cell.channels.norm(dim=2)
    priority = strength * (cell.amplifier_efficiency / cell.computation_power_w).sqrt()
    pairs = torch.eye(norms.numel(), dtype=torch.bool).view(-1, *norms.shape)
    for off in (norms <= NEGLIGIBLE * norms.max(), *pairs[priority.flatten().argsort()]):
        trial = active & ~off
        if trial.equal(active) or not bool(trial.any(0).all()):
            continue
        found = least_power_beams(cell, trial)
        if found is not None and (power_w := cell.total_power_w(found, trial)) < path[-1][1]:
            active, beams = trial, found
            path.append((int(active.sum()), power_w))
    return Selection(active, beams, tuple(path))


# --8<-- [end:tactic]
# --- Other ways to choose --------------------------------------------------------------------------------


def all_on(cell: Cell) -> Selection:
    """Let every access point compute every task: coordinated beamforming without a choice."""
    beams = least_power_beams(cell, cell.all_pairs())
    assert beams is not None, "cells are drawn such that all users can be served"
    return Selection(cell.all_pairs(), beams)


def log_sum(cell: Cell) -> Selection:
    """Apply the tactic; where it finds nothing to switch off, all stays on."""
    try:
        return select_tasks(**vars(cell))
    except NothingSwitchedOffError:
        return all_on(cell)


def mixed_l12(cell: Cell) -> Selection:
    """Order the pairs by one mixed l1,2 norm, the convex bound of the power of each pair from below.

    After Shi, Zhang, Letaief, "Group Sparse Beamforming for Green Cloud-RAN", IEEE Transactions on Wireless
    Communications 13(5), 2014; norm**2 / efficiency + computing power is at least the weight times the norm.
    """
    weights = 2 * (cell.computation_power_w / cell.amplifier_efficiency).sqrt()
    beams = least_power_beams(cell, cell.all_pairs(), norm_weights=weights, with_power=False)
    if beams is None:  # the solver gave up; what is left is the order of the channels' strength
        return gain_order(cell)
    return switch_off(cell, beams.norm(dim=2))


def gain_order(cell: Cell) -> Selection:
    """Order the pairs by the strength of their channels alone."""
    return switch_off(cell, torch.ones_like(cell.computation_power_w))


def exhaustive(cell: Cell) -> Selection:
    """Try every set of pairs that leaves each user an access point, unless its computing is too dear."""
    best = all_on(cell)
    least_sent_w = cell.transmission_power_w(best.beams)  # fewer pairs never send with less
    best_w = cell.total_power_w(best.beams, best.active)
    access_points, users = cell.computation_power_w.shape
    one_user = [torch.tensor(on) for on in itertools.product((False, True), repeat=access_points) if any(on)]
    sets = [torch.stack(each, 1) for each in itertools.product(one_user, repeat=users)]
    for active in sorted(sets, key=torch.sum):
        if least_sent_w + float(cell.computation_power_w[active].sum()) >= best_w:
            continue
        beams = least_power_beams(cell, active)
        if beams is not None and (power_w := cell.total_power_w(beams, active)) < best_w:
            best, best_w = Selection(active, beams), power_w
    return best


CHOICES: dict[str, Callable[[Cell], Selection]] = {
    "baseline": all_on,
    "tactic": log_sum,
    "mixed_l12": mixed_l12,
    "gain_order": gain_order,
    "exhaustive": exhaustive,
}

# --- Data ------------------------------------------------------------------------------------------------


def draw_cells(
    config: Config, count: int, access_points: int, users: int, generator: torch.Generator
) -> tuple[list[Cell], int]:
    """Draw cells in which all users can be served; return them, and how many were drawn in vain."""
    cells, refused = list[Cell](), 0
    while len(cells) < count:
        channels = draw_channels(
            access_points, users, config.antennas, side_m=config.side_m, generator=generator
        )
        computing_w = torch.full(channels.shape[:2], config.computation_power_w, dtype=torch.double)
        target = 10 ** (config.sinr_target_db / 10)
        cell = Cell(channels, computing_w, target, config.power_limit_w, config.amplifier_efficiency)
        if least_power_beams(cell, cell.all_pairs()) is None:
            refused += 1
        else:
            cells.append(cell)
    return cells, refused


def data_used(config: Config) -> DataUsed:
    """Describe the draws; the checksum is that of the first of seed 0, as all seeds share one description."""
    size = config.access_points, config.users, config.antennas
    first = draw_channels(*size, side_m=config.side_m, generator=torch.Generator().manual_seed(0))
    checksum = hashlib.sha256(first.numpy().tobytes()).hexdigest()
    return DataUsed("Rayleigh channel draws", checksum, 0, 0, config.draws + config.small_draws)


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed, on the same draws as the other arms."""
    generator, choose = torch.Generator().manual_seed(seed), CHOICES[arm]
    small, _ = draw_cells(
        config, config.small_draws, config.small_access_points, config.small_users, generator
    )
    cells, refused = draw_cells(config, config.draws, config.access_points, config.users, generator)
    with meter.window("small cells") as window:
        in_small = [(cell, choose(cell)) for cell in small]
    optima = in_small if arm == "exhaustive" else [(cell, exhaustive(cell)) for cell in small]
    metrics = cell_report.small_cell_metrics(in_small, optima, window.cpu_s)
    if arm == "exhaustive":
        return Outcome(cell_report.service_metrics(in_small) | metrics, data_used(config))
    with meter.window("tactic") as window:
        choices = [(cell, choose(cell)) for cell in cells]
    metrics = cell_report.power_metrics(choices) | cell_report.service_metrics(choices + in_small) | metrics
    metrics["tactic_cpu_s"] = cell_report.cpu_metric(window.cpu_s, len(cells))
    details: dict[str, Json] = {"draws": cell_report.draw_rows(choices), "draws_that_none_can_serve": refused}
    if arm != "baseline":
        details["steps_of_the_first_draw"] = cell_report.path_rows(choices[0][1])
    if arm == "tactic":
        some, levels = cells[:5], config.computation_levels_w
        details["power_of_computing"] = cell_report.level_rows(some, levels, all_on, log_sum)
    return Outcome(metrics, data_used(config), details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
