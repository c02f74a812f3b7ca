"""Task selection at the edge: switch off pairs of access point and inference task until power rises.

Record: tactics/select-inference-tasks-for-the-edge.yaml. Paper: Yang, Hua, Shi, Wang, Zhang, Letaief, "Sparse
Optimization for Green Edge AI Inference", JCIN 5(1), 2020 (arXiv 2002.10080), of which the abstract was read.

Each user asks for one inference. An access point that computes it may send the result, jointly with the
others that did. All figures come from a model of a radio cell; no network is run. The paper's values were not
read: the cell, the target and the power of computing are set here, the last after an accelerator chip.
Simplified against the abstract: transmission power in the objective stands in for the proximal term, and
pairs are tried one by one. `mixed_l12` tries them in another order, `random_order` by chance;
`strongest_points` tries none and keeps the access points with the best channels.

    python -m recipes.select_inference_tasks_for_the_edge --arm tactic --seed 0 --preset default

On one processor core an arm takes up to 20 s with DEFAULT and 2 s with SMOKE. Needs the extra `solver`.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import DataUsed, Json, Meter, MetricTable, Outcome, UserError

TACTIC = "select-inference-tasks-for-the-edge"
ARMS = ("baseline", "tactic", "mixed_l12", "random_order", "strongest_points")
METRICS: MetricTable = {
    "total_power_w": ("W", "lower", "modelled", "Power of amplifiers and computing, mean over drawn cells."),
    "transmission_power_w": ("W", "lower", "modelled", "Power that the amplifiers draw, mean over cells."),
    "computation_power_w": ("W", "lower", "modelled", "Power of computing at all pairs that are on, mean."),
    "active_pairs": ("count", "lower", "counted", "Pairs of access point and task that are on, mean."),
    "served_fraction": ("fraction", "higher", "modelled", "Users whose target their beams meet."),
    "constraint_violations": ("count", "lower", "counted", "Targets of users and limits of points not held."),
    "tactic_cpu_s": ("s", "lower", "measured", "Processor time to choose pairs and beams, mean over cells."),
}


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
    data_dir: Path | None = None
    """Not used, as the channels are drawn here."""


SMOKE = Config(draws=2, users=5)
DEFAULT = Config()
FULL = Config(draws=50, access_points=8, users=12)

# --- The tactic ------------------------------------------------------------------------------------------

NEGLIGIBLE = 1e-3  # share of the largest beam norm at which a pair counts as zero


# --8<-- [start:tactic]
def select_tasks(cell: Cell, *, rounds: int = 10, smoothing: float = 0.01) -> Selection:
    """Choose which access points compute which users' tasks, for the least power of computing and sending.

    Finds beams with few non-zero groups by a reweighted log-sum penalty, switches pairs off where that saves
    power, the weakest first, and returns the beams of least power for the others (Yang et al. 2020).

    Args:
        cell: Channels, and what is asked of the links.
        rounds: Most programs solved for the penalty; fewer where the norms settle.
        smoothing: Beam norm, over the root of the power limit, below which the penalty flattens out.

    Raises:
        ValueError: The users cannot be served, or nothing could be switched off.
        UserError: The solver is not installed.
    """
    channels, computing_w = cell.channels.to(torch.cdouble), cell.computation_power_w.double()
    cell = replace(cell, channels=channels, computation_power_w=computing_w)
    selection = switch_off_by_norms(cell, log_sum_norms(cell, rounds, smoothing))
    if bool(selection.active.all()):
        raise ValueError("nothing could be switched off: each pair saves more power than it needs")
    return selection


def log_sum_norms(cell: Cell, rounds: int = 10, smoothing: float = 0.01) -> Tensor:
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


def switch_off_by_norms(cell: Cell, norms: Tensor) -> Selection:
    """Try to switch off all pairs of no norm together, then the others, least use of their power first."""
    use = norms * cell.channels.norm(dim=2) * (cell.amplifier_efficiency / cell.computation_power_w).sqrt()
    return switch_off(cell, [norms <= NEGLIGIBLE * norms.max(), *one_by_one(use)])


def one_by_one(priority: Tensor) -> Tensor:
    """Return each pair as a mask of its own, (pairs, access points, users), the least priority first."""
    pairs = torch.eye(priority.numel(), dtype=torch.bool).view(-1, *priority.shape)
    return pairs[priority.flatten().argsort()]


def switch_off(cell: Cell, tries: Iterable[Tensor]) -> Selection:
    """Switch the pairs of one mask after the other off where total power falls and no user loses the last.

    Raises:
        ValueError: The users cannot be served even with all pairs on.
    """
    selection = all_on(cell)
    for off in tries:
        trial = selection.active & ~off
        if not trial.equal(selection.active) and bool(trial.any(0).all()):
            found = serve(cell, trial)
            if found is not None and found.power_w < selection.power_w:
                selection = found
    return selection


# --8<-- [end:tactic]
# --- Other ways to choose --------------------------------------------------------------------------------


def all_on(cell: Cell) -> Selection:
    """Let every access point compute every task: coordinated beamforming without a choice."""
    selection = serve(cell, cell.all_pairs())
    if selection is None:
        need = f"a ratio of {cell.sinr_target:g} with {cell.power_limit_w:g} W an access point"
        raise ValueError(
            f"the users cannot be served: {need}; lower the target, raise the limit or drop users"
        )
    return selection


def log_sum(cell: Cell) -> Selection:
    """Apply the tactic; where it finds nothing to switch off, all stays on."""
    return switch_off_by_norms(cell, log_sum_norms(cell))


def mixed_l12(cell: Cell) -> Selection:
    """Order the pairs by one mixed l1,2 norm, the convex bound of the power of each pair from below.

    After Shi, Zhang, Letaief, "Group Sparse Beamforming for Green Cloud-RAN", IEEE Transactions on Wireless
    Communications 13(5), 2014; norm**2 / efficiency + computing power is at least the weight times the norm.
    """
    weights = 2 * (cell.computation_power_w / cell.amplifier_efficiency).sqrt()
    beams = least_power_beams(cell, cell.all_pairs(), norm_weights=weights, with_power=False)
    # where the solver gives up, what is left is the order of the channels' strength
    return switch_off_by_norms(cell, torch.ones_like(weights) if beams is None else beams.norm(dim=2))


def random_order(cell: Cell) -> Selection:
    """Try the pairs in an order by chance, to show what the tactic's order adds to trying them."""
    return switch_off(cell, one_by_one(torch.rand(cell.computation_power_w.shape)))


def strongest_points(cell: Cell) -> Selection:
    """Keep for each user the access points of the strongest channels, as many as take the least power."""
    ranks = cell.channels.norm(dim=2).argsort(0, descending=True).argsort(0)  # 0 is the strongest
    found = [serve(cell, ranks < count) for count in range(1, len(ranks))]
    return min([all_on(cell), *filter(None, found)], key=lambda selection: selection.power_w)


CHOICES = dict(zip(ARMS, (all_on, log_sum, mixed_l12, random_order, strongest_points), strict=True))

# --- The cell and its beams ------------------------------------------------------------------------------
# Every access point that holds a user's result sends it, and the user receives the sum. The phase of a beam
# is free, so that a target for signal over interference and noise is a second-order cone (Wiesel, Eldar,
# Shamai, "Linear Precoding via Conic Optimization for Fixed MIMO Receivers", IEEE Transactions on Signal
# Processing 54(1), 2006). The program is convex, and Clarabel (extra `solver`) solves it.

TOLERANCE = 1e-5  # share by which a target or a limit may be missed; beams that miss more count as not found
NOISE_DBM = -95.0  # thermal noise of -174 dBm/Hz over 10 MHz, and a noise figure of 9 dB
Rows = NDArray[np.float64]


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
        shape, power = tuple(self.channels.shape), self.computation_power_w
        if not self.channels.is_complex() or len(shape) != 3:
            got = f"{self.channels.dtype} of shape {shape}"
            raise ValueError(f"channels: expected complex (access points, users, antennas), got {got}")
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


@dataclass(frozen=True)
class Selection:
    """The pairs of access point and task that stay on, and their beams."""

    active: Tensor
    """True where an access point computes and sends a task, (access points, users)."""
    beams: Tensor
    """Complex beams in root watts, (access points, users, antennas), zero where a pair is off."""
    sent_w: float
    """Power that the amplifiers draw."""
    power_w: float
    """Power of amplifiers and computing together."""


def serve(cell: Cell, active: Tensor) -> Selection | None:
    """Let these pairs send with the least power that serves every user; None where they cannot."""
    beams = least_power_beams(cell, active)
    if beams is None:
        return None
    sent_w = float(beams.abs().square().sum()) / cell.amplifier_efficiency
    return Selection(active, beams, sent_w, sent_w + float(cell.computation_power_w[active].sum()))


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
    over = beams.abs().square().sum((1, 2)) > cell.power_limit_w * (1 + TOLERANCE)
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
    """
    channels = cell.channels
    points, users = active.nonzero(as_tuple=True)
    pairs, antennas = len(points), channels.shape[2]
    count, extra = 2 * pairs * antennas, 0 if norm_weights is None else pairs
    pair = np.tile(np.repeat(np.arange(pairs), antennas), 2)  # of each variable: real parts, then imaginary
    variables = np.eye(count + extra)
    cones = []  # rows and offsets; the first of offsets - rows @ variables is at least the norm of the rest
    strength = channels.abs().square().sum((0, 2)).sqrt()  # rows near 1 are easier for the solver
    for user, weights in enumerate((channels.conj() / strength.view(-1, 1)).transpose(0, 1)):
        sent = weights[points].numpy() * (users.numpy() == np.arange(len(strength))[:, None])[..., None]
        sent = sent.reshape(len(strength), -1)  # (senders, pairs * antennas): what the user gets of each
        real, imaginary = np.hstack([sent.real, -sent.imag]), np.hstack([sent.imag, sent.real])
        own = -math.sqrt(1 + 1 / cell.sinr_target) * real[user : user + 1]
        rows = np.vstack([own, real, imaginary, 0 * own])
        cones.append((np.pad(rows, ((0, 0), (0, extra))), np.r_[[0] * (len(rows) - 1), 1 / strength[user]]))
    for point in range(len(active)):
        rows = np.vstack([0 * variables[:1], variables[:count][points.numpy()[pair] == point]])
        cones.append((rows, np.r_[math.sqrt(cell.power_limit_w), [0] * (len(rows) - 1)]))
    for extra_one in range(extra):
        rows = np.vstack([-variables[count + extra_one], variables[:count][pair == extra_one]])
        cones.append((rows, np.zeros(len(rows))))
    curvature = np.r_[np.full(count, 2 * with_power / cell.amplifier_efficiency), np.zeros(extra)]
    slope = np.r_[np.zeros(count), [] if norm_weights is None else norm_weights[active].numpy()]
    parts = torch.from_numpy(_solve(curvature, slope, cones)[:count]).view(2, pairs, antennas)
    beams = torch.zeros_like(channels)
    beams[active] = torch.complex(parts[0], parts[1])
    # what counts is that the beams serve, whatever the solver says of its own accuracy
    return beams if violations(cell, beams) == 0 else None


def _solve(curvature: Rows, slope: Rows, cones: list[tuple[Rows, Rows]]) -> Rows:
    """Minimise `curvature @ x**2 / 2 + slope @ x` and return x; it misses a cone where the solver failed."""
    try:
        import clarabel
    except ImportError as error:
        cure = 'pip install -e ".[solver]"'
        raise UserError(f"the extra solver is not installed ({error}); run: {cure}") from error
    rows, offsets = (np.concatenate(parts) for parts in zip(*cones, strict=True))
    sizes = [clarabel.SecondOrderConeT(len(offset)) for _, offset in cones]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_feas = 1e-10  # the default leaves some targets missed by a little more than TOLERANCE
    quadratic = sparse.csc_matrix(sparse.diags(curvature))
    solver = clarabel.DefaultSolver(quadratic, slope, sparse.csc_matrix(rows), offsets, sizes, settings)
    return np.array(solver.solve().x)


# --- Draws and the run -----------------------------------------------------------------------------------


def draw_channels(config: Config, generator: torch.Generator) -> Tensor:
    """Draw places in a square and Rayleigh fading channels between them, as `Cell` takes them.

    Path loss and shadowing are those of remote radio heads in 3GPP Case 1, as listed in Table 2 of
    doi:10.1186/1687-1499-2012-111: 140.7 + 36.7 log10(distance in km) dB, shadowing of 10 dB, walls of 20 dB,
    antennas of 5 dBi, at least 10 m. The noise is `NOISE_DBM`.
    """
    pairs = config.access_points, config.users
    sites = config.side_m * torch.rand(sum(pairs), 2, generator=generator, dtype=torch.double)
    distance_km = torch.cdist(sites[: pairs[0]], sites[pairs[0] :]).clamp(min=10) / 1000
    shadowing_db = 10 * torch.randn(*pairs, generator=generator, dtype=torch.double)
    gain_db = 5 - 20 - 140.7 - 36.7 * distance_km.log10() - shadowing_db
    fading = torch.randn(*pairs, config.antennas, generator=generator, dtype=torch.cdouble)
    return fading * 10 ** ((gain_db + 30 - NOISE_DBM) / 20).unsqueeze(2)


def draw_cells(config: Config, generator: torch.Generator) -> tuple[list[Cell], int]:
    """Draw cells in which all users can be served; return them, and how many were drawn in vain."""
    cells, refused = list[Cell](), 0
    while len(cells) < config.draws:
        channels = draw_channels(config, generator)
        computing_w = torch.full(channels.shape[:2], config.computation_power_w, dtype=torch.double)
        target = 10 ** (config.sinr_target_db / 10)
        cell = Cell(channels, computing_w, target, config.power_limit_w, config.amplifier_efficiency)
        if least_power_beams(cell, cell.all_pairs()) is None:
            refused += 1
        else:
            cells.append(cell)
    return cells, refused


def level_row(cells: list[Cell], level_w: float) -> dict[str, Json]:
    """Return mean powers with all pairs on and with the tactic, where one task takes so much to compute."""
    same = [replace(c, computation_power_w=torch.full_like(c.computation_power_w, level_w)) for c in cells]
    before_w, after_w = (sum(way(cell).power_w for cell in same) / len(same) for way in (all_on, log_sum))
    powers = {"all_on_total_w": before_w, "chosen_total_w": after_w, "times_lower": before_w / after_w}
    return {"power_of_one_task_w": level_w, **powers}


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed, on the same draws as the other arms."""
    cells, refused = draw_cells(config, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)  # for the order by chance
    with meter.window("choice") as window:
        found = [CHOICES[arm](cell) for cell in cells]
    draws = {
        "total_power_w": [selection.power_w for selection in found],
        "transmission_power_w": [selection.sent_w for selection in found],
        "active_pairs": [float(selection.active.sum()) for selection in found],
    }
    means = {name: sum(values) / len(values) for name, values in draws.items()}
    links = [(cell, selection.beams) for cell, selection in zip(cells, found, strict=True)]
    metrics = means | {
        "computation_power_w": means["total_power_w"] - means["transmission_power_w"],
        "served_fraction": float(torch.cat([served(*link) for link in links]).double().mean()),
        "constraint_violations": sum(violations(*link) for link in links),
        "tactic_cpu_s": window.cpu_s / len(cells),
    }
    rows = [dict(zip(draws, values, strict=True)) for values in zip(*draws.values(), strict=True)]
    details: dict[str, Json] = {"draws": rows, "draws_that_none_can_serve": refused}
    if arm == "tactic":
        details["power_of_computing"] = [
            level_row(cells[:5], level_w) for level_w in config.computation_levels_w
        ]
    first = draw_channels(config, torch.Generator().manual_seed(0))  # all seeds share one description
    checksum = hashlib.sha256(first.numpy().tobytes()).hexdigest()
    return Outcome(metrics, DataUsed("Rayleigh channel draws", checksum, 0, 0, config.draws), details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
