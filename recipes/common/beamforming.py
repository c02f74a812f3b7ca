"""Joint downlink beamforming: a model of a radio cell, and the beams of least power that serve all its users.

Every access point that holds a user's result sends it, and the user receives the sum. The phase of a beam is
free, so that a target for signal over interference and noise is a second-order cone (Wiesel, Eldar, Shamai,
"Linear Precoding via Conic Optimization for Fixed MIMO Receivers", IEEE Transactions on Signal Processing
54(1), 2006). The program is convex, and Clarabel (extra `solver`) solves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recipes.common.errors import UserError

TOLERANCE = 1e-5
"""Share by which a target or a limit may be missed; beams that miss one by more count as not found."""

NOISE_DBM = -95.0
"""Thermal noise of -174 dBm/Hz over 10 MHz, and a noise figure of 9 dB."""

CURE = 'pip install -e ".[solver]"'

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
        raise UserError(f"the extra solver is not installed ({error}); run: {CURE}") from error
    rows, offsets = (np.concatenate(parts) for parts in zip(*cones, strict=True))
    sizes = [clarabel.SecondOrderConeT(len(offset)) for _, offset in cones]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_feas = 1e-10  # the default leaves some targets missed by a little more than TOLERANCE
    quadratic = sparse.csc_matrix(sparse.diags(curvature))
    solver = clarabel.DefaultSolver(quadratic, slope, sparse.csc_matrix(rows), offsets, sizes, settings)
    return np.array(solver.solve().x)
