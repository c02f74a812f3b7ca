# ruff: noqa: N803, N806 - X and B are the paper's names
"""The pieces of pruning: restore, refit, magnitude."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from recipes.common.pruning.weights import (
    fit_in_steps,
    fit_least_squares,
    magnitude_threshold,
    masks_of,
    prune_global_magnitude,
    restore_by_joint_influence,
)


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def correlated_problem(rows: int = 3000, inputs: int = 40, filters: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs X that depend on each other, as activations do, weights, and the dense outputs."""
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(10, inputs, generator=generator)
    X = (torch.randn(rows, 10, generator=generator) @ mixing + 0.5).relu()
    X += 0.3 * torch.randn(rows, inputs, generator=generator).abs()
    weights = torch.randn(filters, inputs, generator=generator)
    return X, weights, X @ weights.T


def brute_force_restore(weights: Tensor, kept: Tensor, count: int, X: Tensor, B: Tensor) -> Tensor:
    """For one filter: try every removed weight, keep the one with the smallest squared error, repeat."""
    kept = kept.clone()
    while int(kept.sum()) < count:
        errors = {}
        for j in (~kept).nonzero().flatten().tolist():
            tried = kept.clone()
            tried[j] = True
            errors[j] = float(((B - X @ (weights * tried)) ** 2).sum())
        kept[min(errors, key=errors.__getitem__)] = True
    return kept


def test_restore_equals_trying_every_weight() -> None:
    X, weights, B = correlated_problem(rows=200, inputs=12, filters=4)
    X, weights, B = X.double(), weights.double(), B.double()
    kept = weights.abs() > weights.abs().quantile(0.75)
    counts = kept.sum(1) + torch.tensor([0, 1, 3, 4])
    got = restore_by_joint_influence(weights, kept, counts, X.T @ X, B.T @ X)
    for i in range(4):
        assert torch.equal(got[i], brute_force_restore(weights[i], kept[i], int(counts[i]), X, B[:, i]))


def test_restore_worked_by_hand() -> None:
    # Inputs 0 and 1 are equal and their weights cancel; input 2 stands alone: its small weight comes back.
    X = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    weights = torch.tensor([[2.0, -2.0, 0.5]])
    kept = torch.zeros(1, 3, dtype=torch.bool)
    got = restore_by_joint_influence(weights, kept, torch.tensor([1]), X.T @ X, (X @ weights.T).T @ X)
    assert got.tolist() == [[False, False, True]]


def test_restore_never_brings_back_a_weight_that_was_zero_before() -> None:
    weights = torch.tensor([[1.0, 0.0, -1.0]])
    gram = torch.ones(3, 3)
    kept = torch.tensor([[True, False, False]])
    got = restore_by_joint_influence(weights, kept, torch.tensor([2]), gram, torch.zeros(1, 3))
    assert got.tolist() == [[True, False, True]]


def test_least_squares_recovers_weights_on_the_support_exactly() -> None:
    X, _, _ = correlated_problem(rows=500, inputs=12)
    kept = torch.rand(5, 12) < torch.tensor([[0.2], [0.5], [0.8], [1.0], [0.0]])
    weights = torch.randn(5, 12) * kept
    fitted = fit_least_squares(kept, (X.T @ X).double(), ((X @ weights.T).T @ X).double(), ridge_fraction=0.0)
    torch.testing.assert_close(fitted, weights.double(), atol=1e-4, rtol=1e-4)
    assert not fitted[~kept].any()


def test_least_squares_equals_a_library_solution_in_any_chunking(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _, B = correlated_problem()
    kept = torch.rand(6, 40) < 0.4
    whole = fit_least_squares(kept, X.T @ X, B.T @ X)
    for i in range(6):
        wanted = torch.linalg.lstsq(X[:, kept[i]], B[:, i : i + 1]).solution[:, 0]
        torch.testing.assert_close(whole[i, kept[i]], wanted, atol=0.05, rtol=0.05)
    monkeypatch.setattr("recipes.common.pruning.weights.SOLVE_ELEMENTS", 1)
    torch.testing.assert_close(fit_least_squares(kept, X.T @ X, B.T @ X), whole)


def test_least_squares_survives_inputs_that_never_fire() -> None:
    gram = torch.zeros(3, 3)
    assert torch.equal(
        fit_least_squares(torch.ones(2, 3, dtype=torch.bool), gram, torch.zeros(2, 3)), torch.zeros(2, 3)
    )


@pytest.mark.parametrize("kept_fraction", [0.3, 0.15])
def test_joint_restore_beats_magnitude_and_with_refit_is_best_on_held_out_rows(kept_fraction: float) -> None:
    X, weights, B = correlated_problem(rows=6000, inputs=120, filters=32)
    X, X_held, B, B_held = X[:4000], X[4000:], B[:4000], B[4000:]
    gram, correlation = X.T @ X, B.T @ X
    target = weights.abs() > magnitude_threshold(weights, kept_fraction)
    past_target = weights.abs() > magnitude_threshold(weights, 0.7 * kept_fraction)
    joint = restore_by_joint_influence(weights, past_target, target.sum(1), gram, correlation)
    assert torch.equal(joint.sum(1), target.sum(1))
    nets = {
        "magnitude": weights * target,
        "joint": weights * joint,
        "magnitude, refitted": fit_least_squares(target, gram, correlation),
        "joint, refitted": fit_least_squares(joint, gram, correlation),
    }
    error = {name: float((B_held - X_held @ w.T).norm() / B_held.norm()) for name, w in nets.items()}
    assert error["joint"] < error["magnitude"]
    assert min(error, key=error.__getitem__) == "joint, refitted"


def test_global_magnitude_keeps_the_largest_over_all_layers() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -6.0], [3.0, 0.0]]))
        net[1].weight.copy_(torch.tensor([[2.0, 5.0]]))
    prune_global_magnitude(net, 0.6)  # of five non-zero weights
    assert net[0].weight.tolist() == [[0.0, -6.0], [3.0, 0.0]]
    assert net[1].weight.tolist() == [[0.0, 5.0]]
    prune_global_magnitude(net, 1.0)
    assert sum(int(mask.sum()) for mask in masks_of(net).values()) == 3


def test_as_many_steps_as_inputs_give_the_exact_fit() -> None:
    torch.manual_seed(0)
    X, weights = torch.randn(200, 6).double(), torch.randn(3, 6).double()
    X[:, 1] += X[:, 0]
    kept = torch.tensor([[1, 1, 0, 1, 0, 1], [0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]]).bool()
    gram, correlation = X.T @ X, (X @ weights.T).T @ X
    exact = fit_least_squares(kept, gram, correlation, ridge_fraction=0.0)
    fitted = fit_in_steps(weights, kept, gram, correlation, steps=6, ridge_fraction=0.0)
    torch.testing.assert_close(fitted, exact, atol=1e-9, rtol=1e-9)
    assert not fitted[~kept].any()


def test_a_strong_ridge_holds_a_fit_in_steps_to_the_weights_at_the_start() -> None:
    torch.manual_seed(0)
    X, weights = torch.randn(4, 6), torch.randn(3, 6)  # fewer rows than inputs
    kept = torch.rand(3, 6) < 0.5
    moments = X.T @ X, (X @ weights.T).T @ X
    fitted = fit_in_steps(weights, kept, *moments, steps=6, ridge_fraction=1e6)
    torch.testing.assert_close(fitted, weights * kept, atol=1e-4, rtol=1e-4)
