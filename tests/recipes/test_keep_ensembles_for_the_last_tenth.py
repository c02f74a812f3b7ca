"""Members asked all together and in turn, and what a student is taught."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from recipes import keep_ensembles_for_the_last_tenth as recipe
from tests.recipes.fake_meter import FakeMeter

ROWS = torch.tensor([[0.0], [1.0], [2.0]])


class Says(nn.Module):
    """Gives each row a probability of the first of two classes, and remembers the rows it was asked about."""

    def __init__(self, *first: float) -> None:
        super().__init__()
        self.first, self.rows = torch.tensor(first), list[list[float]]()

    def forward(self, rows: Tensor) -> Tensor:
        self.rows.append(rows[:, 0].tolist())
        first = self.first[rows[:, 0].long()]
        return torch.stack([first, 1 - first], 1).log()


def test_only_rows_of_which_the_mean_is_not_sure_are_asked_about_again() -> None:
    members = Says(0.95, 0.6, 0.2), Says(0.5, 0.9, 0.02), Says(0.5, 0.5, 0.5)
    summed, asked = recipe.ask_in_turn(members, ROWS, sure=0.85)
    assert [member.rows for member in members] == [[[0, 1, 2]], [[1, 2]], [[1]]]
    assert asked == 3 + 2 + 1
    # the third row is sure of the second class by (0.80 + 0.98) / 2
    assert summed[:, 0].tolist() == pytest.approx([0.95, 0.6 + 0.9 + 0.5, 0.2 + 0.02])


def test_members_that_are_never_sure_answer_as_all_do_and_one_that_always_is_answers_alone() -> None:
    torch.manual_seed(0)
    rows, members = torch.randn(7, 3), [nn.Linear(3, 4) for _ in range(3)]
    with torch.inference_mode():
        all_of_them, asked = recipe.ask_in_turn(members, rows, sure=math.inf)
        assert asked == recipe.ask_all(members, rows)[1] == 21
        torch.testing.assert_close(all_of_them, recipe.ask_all(members, rows)[0])
        first, asked = recipe.ask_in_turn(members, rows, sure=0.0)
        assert asked == 7
        torch.testing.assert_close(first, members[0](rows).softmax(1))


def test_a_student_is_taught_the_mean_softened() -> None:
    targets = recipe.taught([Says(0.9, 0.5, 0.1), Says(0.7, 0.5, 0.3)], ROWS, 2.0)
    # means 0.8, 0.5 and 0.2; a temperature of two takes the root of the odds of four
    assert targets[:, 0].tolist() == pytest.approx([2 / 3, 1 / 2, 1 / 3])


@pytest.mark.parametrize(
    ("arm", "asked", "windows"),
    [("baseline", 2, 1), ("tactic", 8, 1), ("four", 4, 1), ("student", 1, 2), ("one_wide_net", 1, 1)],
)
def test_asking_is_counted_and_teachers_are_charged(arm: str, asked: int, windows: int) -> None:
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics
    assert set(metrics) == set(recipe.METRICS)
    assert metrics["asked"] == asked
    assert metrics["training_cpu_s"] == windows * 1.5
    assert metrics["teacher_cpu_s"] == (windows - 1) * 1.5


def test_members_of_a_small_ensemble_are_the_first_of_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = list[Tensor]()
    dense_net = recipe.dense_net

    def kept(*arguments: Tensor, **settings: float) -> nn.Module:
        net = dense_net(*arguments, **settings)  # type: ignore[arg-type]
        trained.append(next(net.parameters()))
        return net

    monkeypatch.setattr(recipe, "dense_net", kept)
    for arm in ("three", "baseline"):
        recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter())
    _, first, second, _, _, *two = trained  # before its members an arm trains a net to set up memory
    assert torch.equal(first, two[0])
    assert torch.equal(second, two[1])
    assert not torch.equal(first, second)
