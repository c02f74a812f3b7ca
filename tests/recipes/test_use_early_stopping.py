"""Ending a training by its validation loss, and what is charged for it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from recipes import use_early_stopping as recipe
from recipes.use_early_stopping import stop_early
from tests.recipes.fake_meter import FakeMeter


def stopped(losses: list[float], *, patience: int = 2, margin: float = 0.1) -> tuple[int, float]:
    """Return the epochs that were trained with these losses, and the epoch whose weights were kept."""
    net = nn.Linear(1, 1)
    coming = iter(losses)

    def train_epoch() -> None:
        with torch.no_grad():
            net.bias += 1  # counts epochs

    nn.init.zeros_(net.bias)
    looks = stop_early(
        net, train_epoch, lambda: next(coming), most=len(losses), patience=patience, margin=margin
    )
    return len(looks), net.bias.item()


def test_it_ends_after_epochs_without_a_gain_and_keeps_the_best_weights() -> None:
    assert stopped([3.0, 2.0, 2.5, 2.4, 1.0]) == (4, 2)
    assert stopped([3.0, 2.0, 2.5, 1.0, 1.5]) == (5, 4)  # the second look without a gain is the last anyway


def test_weights_that_are_better_by_less_than_the_margin_are_kept_but_end_the_training() -> None:
    assert stopped([1.0, 0.95, 0.91, 0.5]) == (3, 3)
    assert stopped([1.0, 0.95, 0.89, 0.5], margin=0.1) == (4, 4)  # small gains add up


def test_losses_that_are_no_numbers_end_it_with_the_weights_before() -> None:
    assert stopped([1.0, math.nan, math.nan, 0.5]) == (3, 1)
    assert stopped([math.nan] * 9) == (2, 0)


def test_a_loss_that_falls_to_the_end_is_trained_to_the_end() -> None:
    assert stopped([9.0 - epoch for epoch in range(8)]) == (8, 8)


@pytest.mark.parametrize(
    ("arm", "drawn", "looked_at"),
    # the tactic holds 20 and 60 images back, and sees no gain behind the third epoch
    [("baseline", 4_000, 0), ("tactic", 5 * (80 + 240), 5 * (20 + 60)), ("fewer_epochs", 2_000, 0)],
)
def test_images_drawn_and_looked_at_are_counted(arm, drawn, looked_at, monkeypatch) -> None:
    losses = iter([3.0, 2.0, 1.0, 1.0, 1.0] * 2)
    monkeypatch.setattr(recipe, "judged", lambda _, examples: (0.5, next(losses, 0.0)))
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=3, meter=FakeMeter())
    assert outcome.metrics["drawn_images"] == drawn
    assert outcome.metrics["looked_at_images"] == looked_at
    assert outcome.metrics["drawn_fraction"] == drawn / 4_000
