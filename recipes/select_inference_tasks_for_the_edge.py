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
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import DataUsed, Json, Meter, Metric, Outcome, UserError

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
# --- The cell and its beams ------------------------------------------------------------------------------
# Joint downlink beamforming: a model of a radio cell, and the beams of least power that serve all its
# users.
#
# Every access point that holds a user's result sends it, and the user receives the sum. The phase of a beam
# is free, so that a target for signal over interference and noise is a second-order cone (Wiesel, Eldar,
# Shamai, "Linear Precoding via Conic Optimization for Fixed MIMO Receivers", IEEE Transactions on Signal
# Processing 54(1), 2006). The program is convex, and Clarabel (extra `solver`) solves it.

TOLERANCE = 1e-5
"""Share by which a target or a limit may be missed; beams that miss one by more count as not found."""

NOISE_DBM = -95.0
"""Thermal noise of -174 dBm/Hz over 10 MHz, and a noise figure of 9 dB."""

SOLVER_CURE = 'pip install -e ".[solver]"'

Rows = NDArray[np.float64]
Cone = tuple[Rows, NDArray[np.float64]]  # rows and offsets: offsets - rows @ variables lies in the cone


@dataclass(frozen=True)
class Cell:
    """Access points and users of a radio cell, and what is asked of the links.

    Raises:
        ValueError: A field has another shape, type or range than stated.
    """

    channels: Tensor
    """Complex channels, (access points, users, antennas), in amplitudes of the noise per root watt sent."""
    computation_power_w: Tensor
    """Power an access point needs to compute a user's task, above 0, (access points, users)."""
    sinr_target: float
    """Signal over interference and noise that every user needs, a ratio of powers above 0."""
    power_limit_w: float
    """Largest power that one access point radiates, above 0."""
    amplifier_efficiency: float
    """Power radiated over power that the amplifier draws, above 0 and at most 1."""

    def __post_init__(self) -> None:
        shape = tuple(self.channels.shape)
        if not self.channels.is_complex() or len(shape) != 3:
            got = f"{self.channels.dtype} of shape {shape}"
            raise ValueError(f"channels: expected complex (access points, users, antennas), got {got}")
        power = self.computation_power_w
        if tuple(power.shape) != shape[:2] or not bool((power > 0).all()):
            got = f"shape {tuple(power.shape)}, least value {float(power.min()):g}"
            raise ValueError(f"computation_power_w: expected {shape[:2]} values above 0, got {got}")
        if not (self.sinr_target > 0 and self.power_limit_w > 0 and 0 < self.amplifier_efficiency <= 1):
            got = f"{self.sinr_target:g}, {self.power_limit_w:g}, {self.amplifier_efficiency:g}"
            expected = "sinr_target and power_limit_w above 0, amplifier_efficiency above 0 and at most 1"
            raise ValueError(f"expected {expected}, got {got}")

    def all_pairs(self) -> Tensor:
        """Return True for every pair of access point and user, (access points, users)."""
        return torch.ones(self.channels.shape[:2], dtype=torch.bool)

    def transmission_power_w(self, beams: Tensor) -> float:
        """Return the power that the amplifiers draw."""
        return float(beams.abs().square().sum()) / self.amplifier_efficiency

    def total_power_w(self, beams: Tensor, active: Tensor) -> float:
        """Return the power that the amplifiers and the computing of the active pairs draw."""
        return self.transmission_power_w(beams) + float(self.computation_power_w[active].sum())


@dataclass(frozen=True)
class Selection:
    """The pairs of access point and task that stay on, and their beams."""

    active: Tensor
    """True where an access point computes and sends a task, (access points, users)."""
    beams: Tensor
    """Complex beams in root watts, (access points, users, antennas), zero where a pair is off."""
    path: tuple[tuple[int, float], ...] = ()
    """Pairs left and total power in watts, from all pairs on to the last step that saved power."""


def draw_channels(
    access_points: int, users: int, antennas: int, *, side_m: float, generator: torch.Generator
) -> Tensor:
    """Draw places in a square and Rayleigh fading channels between them.

    Path loss and shadowing are those of remote radio heads in 3GPP Case 1, as listed in Table 2 of
    doi:10.1186/1687-1499-2012-111: 140.7 + 36.7 log10(distance in km) dB, shadowing of 10 dB, walls of 20 dB,
    antennas of 5 dBi, at least 10 m. The noise is `NOISE_DBM`.

    Returns:
        Complex channels, (access points, users, antennas), as `Cell` takes them.
    """
    sites = side_m * torch.rand(access_points + users, 2, generator=generator, dtype=torch.double)
    distance_km = torch.cdist(sites[:access_points], sites[access_points:]).clamp(min=10) / 1000
    shadowing_db = 10 * torch.randn(access_points, users, generator=generator, dtype=torch.double)
    gain_db = 5 - 20 - 140.7 - 36.7 * distance_km.log10() - shadowing_db
    amplitude = 10 ** ((gain_db + 30 - NOISE_DBM) / 20)
    fading = torch.randn(access_points, users, antennas, generator=generator, dtype=torch.cdouble)
    return fading * amplitude.unsqueeze(2)


def sinr(cell: Cell, beams: Tensor) -> Tensor:
    """Return each user's signal over interference and noise, (users,), a ratio of powers."""
    powers = torch.einsum("akl,aul->ku", cell.channels.conj(), beams).abs().square()
    signal = powers.diagonal()
    return signal / (powers.sum(1) - signal + 1)


def served(cell: Cell, beams: Tensor) -> Tensor:
    """Return True for each user whose target is met within `TOLERANCE`, (users,)."""
    return sinr(cell, beams) >= cell.sinr_target * (1 - TOLERANCE)


def violations(cell: Cell, beams: Tensor) -> int:
    """Count the users whose target and the access points whose limit is missed by more than `TOLERANCE`."""
    radiated_w = beams.abs().square().sum((1, 2))
    over = radiated_w > cell.power_limit_w * (1 + TOLERANCE)
    return int((~served(cell, beams)).sum() + over.sum())


def least_power_beams(
    cell: Cell, active: Tensor, *, norm_weights: Tensor | None = None, with_power: bool = True
) -> Tensor | None:
    """Return the beams that serve every user with the least power, or None where none were found.

    Args:
        cell: The cell.
        active: True for pairs that may send, (access points, users).
        norm_weights: Adds the weighted sum of the pairs' beam norms to what is minimised, in watts per root
            watt, (access points, users).
        with_power: Whether the transmission power is minimised; False only with `norm_weights`.

    Returns:
        Complex beams in root watts, (access points, users, antennas), zero where a pair is not active.

    Raises:
        UserError: Clarabel is not installed.
    """
    places, users = active.nonzero(as_tuple=True)
    pairs, numbers = len(places), 2 * cell.channels.shape[2]  # a complex number is two real ones
    count, extra = pairs * numbers, 0 if norm_weights is None else pairs
    identity = np.eye(count + extra)
    cones = _target_cones(cell, places, users, extra)
    for place in range(len(active)):
        own = identity[:count][np.repeat((places == place).numpy(), numbers)]
        cones.append(_cone(0 * identity[:1], own, bound=math.sqrt(cell.power_limit_w)))
    for pair in range(extra):
        own = identity[pair * numbers : (pair + 1) * numbers]
        cones.append(_cone(-identity[count + pair : count + pair + 1], own))
    curvature = np.r_[np.full(count, 2 * with_power / cell.amplifier_efficiency), np.zeros(extra)]
    slope = np.zeros(count + extra)
    if norm_weights is not None:
        slope[count:] = norm_weights[active].numpy()
    parts = torch.from_numpy(_solve(curvature, slope, cones)[:count]).view(pairs, 2, -1)
    beams = torch.zeros_like(cell.channels)
    beams[active] = torch.complex(parts[:, 0], parts[:, 1])
    # what counts is that the beams serve, whatever the solver says of its own accuracy
    return beams if violations(cell, beams) == 0 else None


def _target_cones(cell: Cell, places: Tensor, users: Tensor, extra: int) -> list[Cone]:
    """Return a cone a user: own signal against all signals and noise, over the user's channel strength."""
    strength = cell.channels.abs().square().sum((0, 2)).sqrt()
    channels = (cell.channels / strength.unsqueeze(1))[places].numpy()  # (pairs, users, antennas)
    real = np.concatenate([channels.real, channels.imag], 2)
    imaginary = np.concatenate([-channels.imag, channels.real], 2)
    received = np.stack([real, imaginary]).transpose(2, 0, 1, 3)  # (users, 2, pairs, 2 antennas)
    reach = math.sqrt(1 + 1 / cell.sinr_target)
    cones = []
    for user, signal in enumerate(received):
        by_sender = [signal * (users.numpy() == sender)[:, None] for sender in range(len(received))]
        rows = np.pad(np.concatenate(by_sender).reshape(2 * len(received), -1), ((0, 1), (0, extra)))
        cone = _cone(-reach * rows[2 * user : 2 * user + 1], rows)
        cone[1][-1] = 1 / strength[user]
        cones.append(cone)
    return cones


def _cone(first: Rows, others: Rows, *, bound: float = 0.0) -> Cone:
    """Say that the norm of `others @ variables` is at most `bound - first @ variables`."""
    offsets = np.zeros(1 + len(others))
    offsets[0] = bound
    return np.concatenate([first, others]), offsets


def _solve(curvature: Rows, slope: Rows, cones: list[Cone]) -> Rows:
    """Minimise `curvature @ x**2 / 2 + slope @ x` and return x; it misses a cone where the solver failed."""
    try:
        import clarabel
    except ImportError as error:
        raise UserError(f"the extra solver is not installed ({error}); run: {SOLVER_CURE}") from error
    rows, offsets = (np.concatenate(parts) for parts in zip(*cones, strict=True))
    sizes = [clarabel.SecondOrderConeT(len(offset)) for _, offset in cones]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_feas = 1e-10  # the default leaves some targets missed by a little more than TOLERANCE
    quadratic = sparse.csc_matrix(sparse.diags(curvature))
    solver = clarabel.DefaultSolver(quadratic, slope, sparse.csc_matrix(rows), offsets, sizes, settings)
    return np.array(solver.solve().x)


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


# --- What a choice is judged by --------------------------------------------------------------------------
# What a choice of pairs in a radio cell is judged by: power, pairs, and whether the links hold.

Choice = tuple[Cell, Selection]


def total_power_w(choice: Choice) -> float:
    """Return the power of computing and sending."""
    cell, selection = choice
    return cell.total_power_w(selection.beams, selection.active)


def service_metrics(choices: Sequence[Choice]) -> dict[str, Metric]:
    """Check the links anew from channels and beams; the solver's word is not taken.

    Args:
        choices: Cells and what was chosen in them, at least one.
    """
    met = torch.cat([served(cell, selection.beams) for cell, selection in choices])
    missed = sum(violations(cell, selection.beams) for cell, selection in choices)
    within = f"within {TOLERANCE:g} of its value"
    users = f"Fraction of the users whose signal over interference and noise meets the target, {within}."
    limits = f"Targets of users and power limits of access points that do not hold {within}."
    return {
        "served_fraction": Metric(float(met.double().mean()), "fraction", "higher", "modelled", users),
        "constraint_violations": Metric(float(missed), "count", "lower", "counted", limits),
    }


def power_metrics(choices: Sequence[Choice]) -> dict[str, Metric]:
    """Return the means over the cells, at least one: power in all and by part, and pairs that are on."""
    sent = statistics.fmean(cell.transmission_power_w(selection.beams) for cell, selection in choices)
    total = statistics.fmean(total_power_w(choice) for choice in choices)
    pairs = statistics.fmean(float(selection.active.sum()) for _, selection in choices)
    model = "model of a radio cell, mean over its draws"
    both = f"Power of amplifiers and computing; {model}."
    amplifiers = f"Power that the amplifiers draw; {model}."
    computing = f"Power of computing the tasks at all access points that do; {model}."
    on = "Pairs of access point and task that are on, mean over the draws."
    return {
        "total_power_w": Metric(total, "W", "lower", "modelled", both),
        "transmission_power_w": Metric(sent, "W", "lower", "modelled", amplifiers),
        "computation_power_w": Metric(total - sent, "W", "lower", "modelled", computing),
        "active_pairs": Metric(pairs, "count", "lower", "counted", on),
    }


def small_cell_metrics(
    choices: Sequence[Choice], optima: Sequence[Choice], cpu_s: float
) -> dict[str, Metric]:
    """Compare choices in small cells with the best of all sets of pairs.

    Args:
        choices: Cells and what was chosen in them, at least one.
        optima: The same cells and their optima.
        cpu_s: Processor time of the choices.
    """
    ratio = sum(map(total_power_w, choices)) / sum(map(total_power_w, optima))
    gap = (
        "Total power over that of the best of all sets of pairs, both summed over the draws of a small cell."
    )
    time = "Processor time to choose pairs and beams in a small cell, mean over its draws."
    return {
        "power_over_optimum": Metric(ratio, "ratio", "lower", "modelled", gap),
        "small_cell_cpu_s": Metric(cpu_s / len(choices), "s", "lower", "measured", time),
    }


def cpu_metric(cpu_s: float, draws: int) -> Metric:
    """Return the cost of choosing itself as a metric."""
    description = "Processor time to choose pairs and beams, mean over the draws of the cell."
    return Metric(cpu_s / draws, "s", "lower", "measured", description)


def draw_rows(choices: Sequence[Choice]) -> list[dict[str, Json]]:
    """Return one flat row a draw."""
    return [
        {
            "draw": draw,
            "total_power_w": total_power_w((cell, selection)),
            "transmission_power_w": cell.transmission_power_w(selection.beams),
            "active_pairs": int(selection.active.sum()),
        }
        for draw, (cell, selection) in enumerate(choices)
    ]


def path_rows(selection: Selection) -> list[dict[str, Json]]:
    """Return one flat row for each step that was kept: pairs left, and their power."""
    return [{"active_pairs": pairs, "total_power_w": power_w} for pairs, power_w in selection.path]


def level_rows(
    cells: Sequence[Cell],
    levels_w: Sequence[float],
    without: Callable[[Cell], Selection],
    choose: Callable[[Cell], Selection],
) -> list[dict[str, Json]]:
    """Return one flat row for each power of computing one task: mean power without and with a choice."""
    rows: list[dict[str, Json]] = []
    for level_w in levels_w:
        same = [
            replace(cell, computation_power_w=torch.full_like(cell.computation_power_w, level_w))
            for cell in cells
        ]
        before = power_metrics([(cell, without(cell)) for cell in same])
        after = power_metrics([(cell, choose(cell)) for cell in same])
        rows.append(
            {
                "power_of_one_task_w": level_w,
                "all_on_transmission_w": before["transmission_power_w"].value,
                "all_on_total_w": before["total_power_w"].value,
                "chosen_total_w": after["total_power_w"].value,
                "chosen_pairs": after["active_pairs"].value,
                "times_lower": before["total_power_w"].value / after["total_power_w"].value,
            }
        )
    return rows


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
    metrics = small_cell_metrics(in_small, optima, window.cpu_s)
    if arm == "exhaustive":
        return Outcome(service_metrics(in_small) | metrics, data_used(config))
    with meter.window("tactic") as window:
        choices = [(cell, choose(cell)) for cell in cells]
    metrics = power_metrics(choices) | service_metrics(choices + in_small) | metrics
    metrics["tactic_cpu_s"] = cpu_metric(window.cpu_s, len(cells))
    details: dict[str, Json] = {"draws": draw_rows(choices), "draws_that_none_can_serve": refused}
    if arm != "baseline":
        details["steps_of_the_first_draw"] = path_rows(choices[0][1])
    if arm == "tactic":
        some, levels = cells[:5], config.computation_levels_w
        details["power_of_computing"] = level_rows(some, levels, all_on, log_sum)
    return Outcome(metrics, data_used(config), details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
