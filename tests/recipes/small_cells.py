"""Radio cells small enough to work out by hand, and drawn ones."""

from __future__ import annotations

from dataclasses import replace

import torch

from recipes import select_inference_tasks_for_the_edge as recipe
from recipes.select_inference_tasks_for_the_edge import Cell

TWO_POINTS = [[[2.0 + 0j]], [[1j]]]  # one user; power gains 4 and 1


def make_cell(amplitudes: list[list[list[complex]]], computing_w: float = 1.0, **changes: float) -> Cell:
    """Make a cell from channels by access point, user and antenna; all pairs compute with the same power."""
    channels = torch.tensor(amplitudes, dtype=torch.cdouble)
    computing = torch.full(channels.shape[:2], computing_w, dtype=torch.double)
    limits = {"sinr_target": 4.0, "power_limit_w": 10.0, "amplifier_efficiency": 0.5} | changes
    return Cell(channels, computing, **limits)


def drawn(seed: int, access_points: int = 3, users: int = 3) -> Cell:
    """Draw a cell in which all users can be served."""
    generator = torch.Generator().manual_seed(seed)
    config = replace(recipe.SMOKE, draws=1, access_points=access_points, users=users)
    cells, _ = recipe.draw_cells(config, generator)
    return cells[0]
