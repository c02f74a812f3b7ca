"""A teacher that is asked once, what is charged to whom, and what the arms yield."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from recipes import consider_knowledge_distillation as recipe
from recipes.common.trial.harness import Trial, run_trial
from recipes.common.trial.rivals import distillation
from recipes.common.trial.study import lifetime_examples
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter


class Doubles(nn.Module):
    """Doubles what it is given, and counts the examples."""

    asked = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.asked += len(inputs)
        return 2 * inputs


def test_each_example_is_asked_about_once_and_answers_keep_their_order() -> None:
    net, rows = Doubles(), torch.arange(12.0).view(6, 2)
    teacher = recipe.RememberedTeacher(net)
    for chosen in ([0, 3, 1], [3, 4, 0], [5, 1, 2]):
        assert torch.equal(teacher(rows[chosen]), 2 * rows[chosen])
    assert net.asked == len(teacher.answers) == 6


def test_a_remembered_teacher_teaches_what_the_net_itself_does() -> None:
    torch.manual_seed(0)
    net, inputs, outputs = nn.Linear(5, 3), torch.randn(7, 5), torch.randn(7, 3)
    teacher = recipe.RememberedTeacher(net)
    teacher(inputs[:4])
    losses = [distillation(each, temperature=2.0)["add"](outputs, inputs) for each in (net, teacher)]
    torch.testing.assert_close(*losses)


def test_training_is_repaid_by_what_answers_save() -> None:
    assert recipe.answers_to_repay(6_000.0, 100.0, 40.0) == 100
    assert recipe.answers_to_repay(6_000.0, 100.0, 100.0) == math.inf


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("nets")))
        return run_trial(recipe, load_subject("digits_cnn"), 0, "smoke", FakeMeter())


def test_who_needs_a_teacher_is_charged_with_it(trial: Trial) -> None:
    assert not trial.left_out
    given = trial.arms["as_given"].chosen
    for name, arrived in trial.arms.items():
        for point in arrived.points:
            if name in ("baseline", "as_given"):
                assert point.extra == {}
                continue
            whole, alone = (point.extra[f"break_even_{of}"].value for of in ("answers", "teacher_there"))
            saved = given.costs["macs"] - point.costs["macs"]
            teacher = 3 * given.costs["macs"] * lifetime_examples(given.net)
            needs = name in ("tactic", "tactic_with_temperature_1", "cut_teacher")
            assert (whole - alone) * saved == pytest.approx(teacher if needs else 0, rel=1e-6)


def test_students_of_all_arms_are_alike_but_for_what_they_learn_from(trial: Trial) -> None:
    found, others = (
        trial.arms["tactic"].chosen,
        ("tactic_with_temperature_1", "labels_alone", "smoothed_labels"),
    )
    for name in others:
        point = trial.arms[name].chosen
        assert point.costs["macs"] == found.costs["macs"]
        assert point.costs["seen_examples"] == found.costs["seen_examples"]
        assert point.net._life.order == found.net._life.order
    longer = trial.arms["labels_for_the_whole_cost"].chosen
    spent = vars(longer.net)["_spent"], vars(found.net)["_spent"]
    # whole batches end a training
    assert spent[0].own == pytest.approx(spent[1].own + spent[1].teacher, rel=0.01)
