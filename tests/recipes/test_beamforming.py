"""Beams of least power, against cells worked out by hand and laws that hold in all."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recipes import select_inference_tasks_for_the_edge as recipe
from recipes.common.run.contract import UserError
from recipes.select_inference_tasks_for_the_edge import least_power_beams
from tests.recipes.small_cells import TWO_POINTS, drawn, make_cell


def sent_w(cell: recipe.Cell, beams: Tensor) -> float:
    return float(beams.abs().square().sum()) / cell.amplifier_efficiency


def test_one_user_is_sent_to_along_its_channel() -> None:
    # gain 3**2 + 4**2 = 25: a ratio of 4 needs 4 / 25 W radiated, twice that drawn
    cell = make_cell([[[3 + 0j, 4j]]])
    beams = least_power_beams(cell, cell.all_pairs())
    assert sent_w(cell, beams) == pytest.approx(0.32, rel=1e-6)
    assert beams.flatten()[1] / beams.flatten()[0] == pytest.approx(4j / 3, rel=1e-4)


def test_access_points_send_jointly() -> None:
    cell = make_cell(TWO_POINTS)  # amplitudes add: gain 4 + 1
    beams = least_power_beams(cell, cell.all_pairs())
    assert sent_w(cell, beams) == pytest.approx(2 * 4 / 5, rel=1e-6)
    assert recipe.all_on(cell).power_w == pytest.approx(1.6 + 2, rel=1e-6)


def test_a_pair_that_is_off_sends_nothing() -> None:
    cell = make_cell(TWO_POINTS)
    beams = least_power_beams(cell, torch.tensor([[True], [False]]))
    assert beams[1].abs().sum() == 0
    assert sent_w(cell, beams) == pytest.approx(2 * 4 / 4, rel=1e-6)


def test_a_limit_on_one_access_point_moves_power_to_the_other() -> None:
    # free, the first would radiate 0.64 W; with 0.36 W it gives an amplitude of 1.2, and the other 0.8
    cell = make_cell(TWO_POINTS, power_limit_w=0.36)
    assert least_power_beams(cell, cell.all_pairs()) is None
    beams = least_power_beams(replace(cell, power_limit_w=0.5), cell.all_pairs())
    assert float(beams[0].abs() ** 2) == pytest.approx(0.5, rel=1e-4)
    assert float(beams[1].abs()) == pytest.approx(2 - 2 * 0.5**0.5, rel=1e-4)


def test_users_with_orthogonal_channels_do_not_disturb_each_other() -> None:
    cell = make_cell([[[1 + 0j, 0j], [0j, 2 + 0j]]])
    beams = least_power_beams(cell, cell.all_pairs())
    assert sent_w(cell, beams) == pytest.approx(2 * (4 / 1 + 4 / 4), rel=1e-6)


def test_a_program_of_norms_alone_meets_the_targets_in_a_cell_with_a_wide_range_of_channels() -> None:
    # with the solver's own tolerance, one user of this draw misses the target by 1.5e-5 of it
    generator = torch.Generator().manual_seed(5)
    recipe.draw_cells(replace(recipe.DEFAULT, draws=5, access_points=3, users=4), generator)
    cell = recipe.draw_cells(replace(recipe.DEFAULT, draws=6), generator)[0][-1]
    weights = torch.full_like(cell.computation_power_w, 2 * (0.278 / 0.25) ** 0.5)
    beams = least_power_beams(cell, cell.all_pairs(), norm_weights=weights, with_power=False)
    assert beams is not None
    assert recipe.violations(cell, beams) == 0


def test_one_antenna_cannot_serve_two_users_above_a_ratio_of_one() -> None:
    cell = make_cell([[[1 + 0j], [1 + 0j]]], sinr_target=1.1, power_limit_w=1e6)
    assert least_power_beams(cell, cell.all_pairs()) is None


def test_the_ratio_of_given_beams() -> None:
    cell = make_cell([[[1 + 0j, 0j], [0j, 1 + 0j]]])
    beams = torch.tensor([[[2, 0], [1, 1]]], dtype=torch.cdouble)  # the second beam leaks 1 to the first user
    assert recipe.sinr(cell, beams).tolist() == [4 / (1 + 1), 1 / (0 + 1)]
    assert recipe.violations(cell, beams) == 2
    assert recipe.violations(replace(cell, sinr_target=1.5), beams) == 1
    assert recipe.violations(replace(cell, sinr_target=1.0, power_limit_w=5.9), beams) == 1
    assert recipe.violations(replace(cell, sinr_target=1.0, power_limit_w=6.0), beams) == 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), off=st.integers(0, 8))
def test_fewer_pairs_never_send_with_less_power(seed: int, off: int) -> None:
    cell = drawn(seed)
    fewer = cell.all_pairs()
    fewer.view(-1)[off] = False
    all_beams, beams = least_power_beams(cell, cell.all_pairs()), least_power_beams(cell, fewer)
    if beams is not None:
        assert sent_w(cell, beams) >= sent_w(cell, all_beams) * (1 - 1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), angle=st.floats(0, 6.3))
def test_the_phase_of_a_users_channel_does_not_matter(seed: int, angle: float) -> None:
    cell = drawn(seed)
    turned = cell.channels.clone()
    turned[:, 1] *= torch.polar(torch.tensor(1.0), torch.tensor(angle)).to(torch.cdouble)
    before = least_power_beams(cell, cell.all_pairs())
    after = least_power_beams(replace(cell, channels=turned), cell.all_pairs())
    assert sent_w(cell, after) == pytest.approx(sent_w(cell, before), rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": torch.ones(2, 1, 1)}, "channels: expected complex"),
        ({"channels": torch.ones(2, 1, dtype=torch.cdouble)}, "channels: expected complex"),
        ({"computation_power_w": torch.ones(1, 2)}, r"expected \(2, 1\) values above 0, got shape \(1, 2\)"),
        ({"computation_power_w": torch.zeros(2, 1)}, "values above 0, got shape .* least value 0"),
        ({"sinr_target": 0.0}, "sinr_target and power_limit_w above 0"),
        ({"power_limit_w": -1.0}, "sinr_target and power_limit_w above 0"),
        ({"amplifier_efficiency": 1.5}, "amplifier_efficiency above 0 and at most 1, got 4, 10, 1.5"),
    ],
)
def test_a_cell_says_what_is_wrong_with_it(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make_cell(TWO_POINTS), **changes)


def test_without_the_solver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clarabel", None)
    cell = make_cell(TWO_POINTS)
    with pytest.raises(UserError, match=r'extra solver is not installed .* pip install -e "\.\[solver\]"'):
        least_power_beams(cell, cell.all_pairs())
