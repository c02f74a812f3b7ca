"""What a trial promises those who write an arm or bring a net, on the digits and on two files of readers."""

import copy
import importlib
import json
import os
import re
import types
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from greentactics.measure import measuring
from greentactics.measure.runner import Request, _require_unchanged, make_plan
from greentactics.models.results import Scores
from greentactics.text import problems
from recipes.common.run.contract import CannotRun, UserError
from recipes.common.trial import command, harness
from recipes.common.trial.costs import cost_of, live_bytes
from recipes.common.trial.harness import Point, choose, points_of, run_trial, trained
from recipes.common.trial.rivals import distillation, found_from_random, thin_distilled, with_random_weights
from recipes.common.trial.study import (
    StopTraining,
    Study,
    Trained,
    life_of,
    lifetime_examples,
    seed_all,
)
from recipes.common.trial.subject import first_batches, keeps_apart, load_subject, refuse_unfit
from recipes.language.texts import language_reference
from recipes.subjects import digits_cnn, images, tiny_llama
from tests.recipes.fake_meter import FakeMeter

READERS = [
    str(Path(__file__).parents[1] / "examples" / "subjects" / f"{name}.py")
    for name in ("residual", "transformer")
]


@pytest.fixture(autouse=True)
def one_thread_and_a_cache(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    yield
    torch.set_num_threads(threads)


def recipe(*arms, **names):
    """Return a recipe of these arms; the first is called the tactic."""
    made = types.ModuleType("made")
    arms[0].__name__ = "tactic"
    made.COST, made.ARMS = "macs", arms
    vars(made).update(names)
    return made


def study_of(name="digits_cnn", epochs=2):
    subject = load_subject(name)
    inputs = subject.example_inputs()
    study = Study(0, inputs, 0.01, epochs, 1, subject, lambda net: cost_of(net, inputs, "macs"))
    study.dense = trained(study)
    return study


def unchanged(study):
    yield "as it was", study.copy()


def same(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_no_arm_reaches_what_it_is_chosen_or_judged_by():
    refused = []

    def peeks(study):
        itself, net = importlib.import_module("recipes.subjects.digits_cnn"), study.copy()
        for part in ("choice", "test"):
            for work in (
                lambda part=part: itself.evaluate(net, part),
                lambda part=part: study.subject.scores(net, part),
                lambda part=part: images.split("digits", part),
            ):
                with pytest.raises(PermissionError, match=f"the {part} .* sealed"):
                    work()
                refused.append(part)
        yield "as it was", net

    trial = run_trial(recipe(peeks), load_subject("digits_cnn"), 1000, "smoke", FakeMeter())
    assert len(refused) == 6
    assert len(trial.arms["tactic"].test_scores) == 450
    assert digits_cnn.evaluate(trial.arms["tactic"].chosen.net, "test").shape == (
        450,
    )  # open again afterwards


def test_a_readers_file_shows_an_arm_a_quarter_of_its_examples():
    shown = []

    def looks(study):
        shown.append(len(study.subject.module.evaluate(study.copy())))
        yield from unchanged(study)

    trial = run_trial(recipe(looks), load_subject(READERS[0]), 1000, "smoke", FakeMeter())
    assert shown == [149]
    assert (len(trial.arms["tactic"].chosen.scores), len(trial.arms["tactic"].test_scores)) == (149, 299)


@pytest.mark.parametrize(("name", "count"), [("digits_cnn", 225), (READERS[0], 149)])
def test_an_arm_sees_what_a_net_answers_to_the_examples_to_search_with_alone(name, count):
    study = study_of(name)
    outputs, scores = study.answers(study.dense)
    assert (outputs.shape, scores.shape, study.ledger.judged) == ((count, 10), (count,), count)
    assert float(scores.mean()) == study.quality(study.dense)
    held = images.split("digits", "search")[1] if name == "digits_cnn" else study.subject.module.yte
    rows = slice(None) if name == "digits_cnn" else study.subject._parts["search"]
    assert torch.equal(outputs.argmax(1) == held[rows], scores.bool())
    study.subject._evaluate = lambda net, *part: float(len(net(study.inputs)))
    with pytest.raises(UserError, match=r"got \d+ outputs and 1 scores; return"):
        study.answers(study.dense)


def test_the_test_stays_closed_below_the_first_published_seed():
    trial = run_trial(recipe(unchanged), load_subject("digits_cnn"), 999, "smoke", FakeMeter())
    assert all(arm.test_scores is None for arm in trial.arms.values())
    assert "choice_accuracy" in trial.arms["tactic"].metrics
    assert "test_accuracy" not in trial.arms["tactic"].metrics


def greedy(study):
    net = study.copy()
    study.train(net, 2 * study.budget_epochs)
    yield "twice", net


def test_a_net_that_has_seen_more_than_the_baseline_is_refused_unless_it_is_said_why():
    subject = load_subject("digits_cnn")
    # 897 images in batches of 64: 12 epochs are 168 steps, 6 are 84
    with pytest.raises(CannotRun, match=r"at most 16,128 examples .* got 21,504"):
        run_trial(recipe(greedy), subject, 0, "smoke", FakeMeter())
    trial = run_trial(
        recipe(greedy, DRAWS_MORE={"tactic": "to show that it may"}), subject, 0, "smoke", FakeMeter()
    )
    assert lifetime_examples(trial.arms["tactic"].chosen.net) == 21_504


@pytest.mark.parametrize("filled", ["wholly", "by half, and cut"])
def test_a_net_filled_with_trained_weights_has_their_life(filled):
    def sly(study):
        net, trained_on = study.fresh(), study.copy()
        study.train(trained_on, study.budget_epochs)
        net.load_state_dict(trained_on.state_dict())
        if filled != "wholly":
            net.linear1.weight.data[30:].normal_()
            net.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        assert study.epochs_left(net) == pytest.approx(0, abs=0.01)
        study.train(net, study.budget_epochs)
        yield "washed", net

    with pytest.raises(CannotRun, match=r"at most 16,128 examples .* got 21,504"):
        run_trial(recipe(sly), load_subject("digits_cnn"), 0, "smoke", FakeMeter())


def test_random_weights_have_seen_nothing():
    study = study_of()
    study.known = [Trained.of(study.dense)]
    net = study.fresh()
    assert (study.seen_by(net), study.seen_by(study.dense)) == (0, lifetime_examples(study.dense))
    assert study.epochs_left(net) == study.dense_epochs + study.budget_epochs


def test_the_baseline_may_learn_from_the_net_as_given_where_arms_do():
    trial = run_trial(recipe(unchanged, TAUGHT=True), load_subject("digits_cnn"), 0, "smoke", FakeMeter())
    better, other = trial.arms["baseline"].points
    assert {better.label, other.label} == {"whole", "whole, taught"}
    assert trial.arms["baseline"].chosen is better
    assert better.quality >= other.quality


def test_an_arm_has_inputs_of_its_own_and_may_not_spoil_the_subjects():
    def spoils_its_copy(study):
        study.inputs.zero_()
        yield from unchanged(study)

    def spoils(study):
        images.split("digits", "search")[0].zero_()
        study.subject.example_inputs().zero_()
        yield from unchanged(study)

    subject = load_subject("digits_cnn")
    run_trial(recipe(spoils_its_copy), subject, 0, "smoke", FakeMeter())
    try:
        with pytest.raises(CannotRun, match="as they were before the first"):
            run_trial(recipe(spoils), subject, 0, "smoke", FakeMeter())
    finally:
        images._parts.cache_clear()


@pytest.mark.parametrize(
    "error", [KeyError("no such layer"), AttributeError("no weight"), RuntimeError("expected input")]
)
def test_a_rival_that_does_not_fit_is_left_out_with_its_reason(error):
    def rival(study):
        raise error
        yield

    trial = run_trial(recipe(unchanged, rival), load_subject("digits_cnn"), 0, "smoke", FakeMeter())
    assert list(trial.arms) == ["baseline", "as_given", "tactic"]
    assert str(error) in trial.left_out["rival"]


def test_a_rival_whose_net_answers_no_number_is_left_out():
    def rival(study):
        net = study.copy()
        for parameter in net.parameters():
            parameter.data.fill_(float("nan"))
        yield "broken", net

    subject = load_subject("digits_cnn")
    judge = subject._evaluate
    subject._evaluate = lambda net, *part: judge(net, *part) + 0 * net(subject.example_inputs()[:1]).sum()
    trial = run_trial(recipe(unchanged, rival), subject, 0, "smoke", FakeMeter())
    assert "not finite" in trial.left_out["rival"]


def test_training_that_nobody_counts_is_refused():
    def sly(study):
        net = study.copy()
        study.subject.module.train(net, 5.0)
        yield "trained on its own", net

    with pytest.raises(CannotRun, match="outside of it"):
        run_trial(recipe(sly), load_subject("digits_cnn"), 0, "smoke", FakeMeter())


@pytest.mark.parametrize("name", ["digits_cnn", *READERS])
def test_a_seed_gives_the_same_nets_and_an_arm_may_go_on_with_what_it_yielded(name):
    def goes_on(study):
        net = study.copy()
        for _ in range(2):
            study.train(net, 1, **distillation(study.dense))
            yield "the same net, further on", net

    study = study_of(name)
    first, second = (points_of(goes_on, study, recipe(goes_on)) for _ in range(2))
    assert all(same(a.net, b.net) for a, b in zip(first, second, strict=True))
    assert not same(first[0].net, first[1].net)
    assert lifetime_examples(first[0].net) < lifetime_examples(first[1].net)


def test_copies_of_one_age_draw_the_same_batches():
    study = study_of()
    one, other = study.copy(), study.copy()
    study.train(one, 1)
    seed_all(7)
    study.train(other, 1, **distillation(study.dense))
    assert life_of(one).order == life_of(other).order != 0


def test_an_added_loss_has_the_gradient_of_the_sum():
    study = study_of()
    inputs, labels = images.split("digits", "train", 64)
    net, taught = study.fresh(), distillation(study.dense)
    before, wanted = copy.deepcopy(net), copy.deepcopy(net)
    logits = wanted(inputs)
    (taught["own_weight"] * F.cross_entropy(logits, labels) + taught["add"](logits, inputs)).backward()

    def one_step(model, epochs):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        model.train()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()

    study.subject.module = types.SimpleNamespace(train=one_step)
    study.train(net, 1, rate=0.5, **taught)
    for after, was, each in zip(net.parameters(), before.parameters(), wanted.parameters(), strict=True):
        assert torch.allclose(after, was - 0.5 * 0.1 * each.grad, atol=1e-6)


def test_gates_with_an_optimiser_of_their_own_learn_through_an_added_loss():
    study = study_of(READERS[0])
    net, scores = study.copy(), torch.full((16,), 2.0, requires_grad=True)
    gates = torch.optim.Adam([scores], 0.1)
    net[2].register_forward_hook(lambda _, __, outputs: outputs * scores.sigmoid().view(1, -1, 1, 1))

    def after_step():
        gates.step()
        gates.zero_grad()

    study.train(net, 1, add=lambda outputs, inputs: 0.5 * scores.sigmoid().mean(), after_step=after_step)
    assert scores.max() < 2.0
    assert (
        life_of(net).steps == 3 * 19
    )  # 1,200 images in batches of 64, 2 epochs and 1; the gates' steps apart


def test_a_training_can_be_stopped():
    study, left = study_of(READERS[0]), [5]

    def after_step():
        left[0] -= 1
        if not left[0]:
            raise StopTraining

    net = study.copy()
    study.train(net, 3, after_step=after_step)
    assert life_of(net).steps == 2 * 19 + 5
    assert not net.training


def test_a_part_of_an_epoch_is_cut_from_a_whole_one_where_the_loop_takes_no_parts():
    study = study_of(READERS[0])  # 1,200 images in batches of 64: 19 steps an epoch
    net = study.copy()
    study.train(net, 0.25)
    assert life_of(net).examples - life_of(study.dense).examples == 5 * 64
    left = study.epochs_left(net)
    assert left == pytest.approx(1 - 320 / 1200)
    study.train(net, 1.9)
    assert life_of(net).examples - life_of(study.dense).examples == 5 * 64 + 1200


def test_a_loop_may_keep_a_copy_of_the_net():
    study, loop = study_of(), digits_cnn.train

    def with_a_mean(model, epochs, examples=None):
        loop(model, epochs)
        mean = copy.deepcopy(model).train()
        mean(torch.zeros(4, 1, 16, 16)).sum().backward()
        model.load_state_dict(mean.state_dict())

    study.subject.module = types.SimpleNamespace(train=with_a_mean)
    net = study.copy()
    study.train(net, 1, **distillation(study.dense))
    assert life_of(net).examples - life_of(study.dense).examples == 14 * 64


def test_one_number_is_learnt_from_a_teacher_by_its_squared_error():
    taught = distillation(lambda inputs: inputs.sum(1, keepdim=True), teacher_fraction=0.5)
    # outputs 1 and 3 against 3 and 7: squares 4 and 16, mean 10, half of it
    assert taught["add"](torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])) == 5.0


def does_nothing(model, epochs):
    model.eval()


def accumulates(model, epochs):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model.train()
    for _ in range(2):
        model(torch.zeros(4, 1, 16, 16)).sum().backward()
    optimizer.step()


def calls_with_keywords(model, epochs):
    model.train()
    model(input=torch.zeros(4, 1, 16, 16)).sum().backward()


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (does_nothing, "got no batch"),
        (accumulates, "several batches a step"),
        (calls_with_keywords, "keywords alone"),
    ],
)
def test_a_loop_that_cannot_be_taken_part_in_is_told_why(train, told):
    study = study_of()
    study.subject.module = types.SimpleNamespace(train=train)
    with pytest.raises(CannotRun, match=told):
        study.train(study.copy(), 1, **distillation(study.dense))


def test_examples_can_be_chosen_where_the_loop_takes_them():
    study, few = study_of(), torch.arange(64)
    net = study.copy()
    study.train(net, 3, examples=few)
    assert life_of(net).examples - life_of(study.dense).examples == 3 * 64
    with pytest.raises(UserError, match="examples=None"):
        study_of(READERS[0]).train(study.copy(), 1, examples=few)


@pytest.mark.parametrize("path", READERS)
def test_three_functions_are_enough(path):
    module = load_subject(path).module
    assert first_batches(module).shape[0] == 4 * 64
    assert first_batches(module).dtype == module.Xtr.dtype


def test_the_file_on_the_page_about_running_is_a_subject_of_right_and_wrong_answers(tmp_path):
    page = Path(__file__).parents[2] / "catalogue" / "pages" / "how-to" / "run" / "index.md"
    code = re.search(r'```python title="mine.py"\n(.*?)```', page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mine.py").write_text(code.group(1), encoding="utf-8")
    study = study_of(str(tmp_path / "mine.py"))
    assert study.subject.quality == "accuracy"
    assert study.quality(study.dense) > 0.7


def test_a_file_that_lacks_a_function_or_shuffles_is_told(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def build_model(): ...\n")
    with pytest.raises(UserError, match="got none called train, evaluate"):
        load_subject(str(path))
    path.write_text(
        "import torch\ndef build_model(): return torch.nn.Linear(1, 1)\ndef train(model, epochs): ...\n"
        "def evaluate(model): return torch.rand(9)\ndef example_inputs(): return torch.zeros(9, 1)\n"
    )
    with pytest.raises(UserError, match="do not shuffle or draw"):
        load_subject(str(path))
    with pytest.raises(UserError, match="one of digits_cnn, "):
        load_subject("no_such_net")


def test_the_chosen_net_is_the_cheapest_whose_loss_is_within_by_its_upper_end():
    def point(wrong, macs):
        scores = torch.ones(400, dtype=torch.float64)
        scores[:wrong] = 0
        return Point(str(wrong), nn.Identity(), scores, {"macs": macs}, {})

    # lost 4 of 400: mean 0.01, deviation 0.0996, upper end 0.01 + 1.96 * 0.0996 / 20 = 0.0198
    points = [point(0, 100.0), point(4, 50.0), point(40, 10.0)]
    assert choose(points, point(0, 100.0), "macs", 0.0199) == (points[1], True)
    assert choose(points, point(0, 100.0), "macs", 0.0197) == (points[0], True)
    assert choose(points[1:], point(0, 100.0), "macs", 0.01) == (points[1], False)  # none: the best


def test_live_bytes_of_a_worked_example():
    # weights 4 x (8 x 4 + 4 x 2); in the second layer its input of 4 and its output of 2 live, before it 4
    # and 4
    net = nn.Sequential(nn.Linear(8, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False)).eval()
    assert live_bytes(net, torch.zeros(1, 8)) == 4 * (32 + 8) + 4 * (4 + 4)


@pytest.mark.filterwarnings("ignore:Unwrapped parameters")  # torch-pruning's word on the positions
@pytest.mark.parametrize("name", ["digits_cnn", *READERS])
def test_rivals_that_any_recipe_may_list_fit_any_net(name):
    study = study_of(name)
    study.found = study.copy()
    for rival in (found_from_random, thin_distilled):
        ((_, net),) = rival(study)
        assert study.cost(net) <= study.cost(study.found)
        assert lifetime_examples(net) <= 1.02 * 3 * life_of(study.dense).examples / 2
    fresh = with_random_weights(study.found, study)
    assert [each.shape for each in fresh.parameters()] == [each.shape for each in study.found.parameters()]
    assert not same(fresh, study.found)


MINE = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
inputs, labels = torch.rand(128, 6), torch.arange(128) % 3

def build_model():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

def train(model, epochs):
    model.train()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(epochs):
        for chosen in torch.randperm(64).split(16):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()

def evaluate(model):
    model.eval()
    with torch.no_grad():
        return model(inputs[64:]).argmax(1) == labels[64:]
"""


ANSWER = "model(inputs[64:]).argmax(1) == labels[64:]"
LEFT_TRAINING = f"        scores = {ANSWER}\n    model.train()\n    return scores"


def loaded(tmp_path, *changes, more="", name="mine.py"):
    """Return the subject of a reader's file with changes, pairs of old and new text."""
    text = MINE + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / name).write_text(text)
    subject = load_subject(str(tmp_path / name))
    refuse_unfit(subject)
    return subject


TIME_FIRST = (
    ("nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))", "Net()"),
    ("def build_model", """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 3)
    def forward(self, series):
        return self.rnn(series)[0][-1]

def build_model"""),
    ("inputs[chosen]", "inputs[chosen].T[:, :, None]"),
    ("inputs[64:]", "inputs[64:].T[:, :, None]"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("evaluate(model)", "evaluate(model, verbose=False)", r"got evaluate\(model, verbose\); take"),
        ("train(model, epochs)", "train(model)", r"got train\(model\); take"),
        ("build_model()", "build_model(width)", r"got build_model\(width\); give"),
        ("", "BETTER = 'less'", 'BETTER: expected "higher" or "lower", got \'less\''),
        ("", "QUALITY = None", "QUALITY: expected a name"),
        ("", "TOLERANCE = '1%'", "TOLERANCE: expected a number from 0"),
        ("", "EPOCHS = {'smoke': 3}", "EPOCHS: expected by preset"),
        ("    model.eval()", "    model.train()", r"got other 1\.running_mean afterwards"),
        (f"        return {ANSWER}", LEFT_TRAINING, "got it in training mode afterwards"),
        (ANSWER, "torch.ones(9)", "got no call of it"),
        ("return model(", "return model(input=", "without a tensor in first place"),
        ("entropy(model(", "entropy(model(input=", "got keywords alone; wrap"),
        ("entropy(model(", "entropy(build_model()(", "got no call of it; train"),
        ("        return ", "        left = ", "got NoneType; return a row"),
        (ANSWER, f"0.5, 0.7, {ANSWER}", "got tuple; return a row"),
        ("== labels[64:]", "/ 0", "with 64 that are not finite"),
        ("== labels[64:]", "+ 100_000", "tell apart, got some from 1e.05 to 1e.05; scale or shift"),
        ("nn.Linear(6, 8)", "nn.LazyLinear(8)", "waits for a first batch"),
        ("nn.Linear(6, 8)", "nn.utils.weight_norm(nn.Linear(6, 8))", r"that copy\.deepcopy can copy"),
        ("", "def example_inputs(): return inputs[:1]", r"two training inputs or more, .*shape \(1, 6\)"),
        ("", "def example_inputs(): return inputs[:9, :3]", r"to take 1 of .*, of shape \(1, 3\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.weight_norm")
def test_a_file_whose_figures_would_be_wrong_is_refused(old, new, told, tmp_path):
    with pytest.raises(UserError, match=told):
        loaded(tmp_path, *([(old, new)] if old else []), more="" if old else new)


def test_a_net_in_bfloat16_is_told(tmp_path):
    coarse = ("nn.Linear(8, 3))", "nn.Linear(8, 3)).bfloat16()"), ("rand(128, 6)", "rand(128, 6).bfloat16()")
    with pytest.raises(UserError, match=r"expected weights in float32, got 0\.weight in torch\.bfloat16"):
        loaded(tmp_path, *coarse)


def test_examples_behind_another_axis_are_told(tmp_path):
    with pytest.raises(UserError, match="got 16 rows of outputs for one example input and for two"):
        loaded(tmp_path, *TIME_FIRST)


def test_a_file_may_not_pass_for_a_subject_of_the_project(tmp_path):
    assert loaded(tmp_path).name == "mine"
    with pytest.raises(UserError, match="got digits_cnn; rename the file"):
        loaded(tmp_path, name="digits_cnn.py")


def test_fewer_than_four_scores_are_not_kept_apart(tmp_path):
    assert keeps_apart(load_subject("digits_cnn"))
    assert keeps_apart(loaded(tmp_path))
    assert not keeps_apart(loaded(tmp_path, ("64:", "125:")))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    model.train()\n", "    {}['rate']\n", "mine.py, line 12, in train: KeyError: 'rate'"),
        ("torch.manual_seed(0)", "raise SystemExit(0)", "mine.py, line 5, in <module>: SystemExit: 0"),
        ("[64:]", "[125:]", "expected a score for each of 4 held-out examples or more, got 3"),
    ],
)
def test_an_error_in_a_readers_file_is_told_in_one_line(old, new, told, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace(old, new) + "def example_inputs(): return inputs[:64]\n")
    arguments = ["--subject", str(path), "--preset", "smoke", "--seed", "1000", "--cap-s", "0"]
    assert command.main(recipe(unchanged, TACTIC="made"), arguments) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_scores_are_packed_as_the_file_gave_them(tmp_path):
    scores = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    rewards = types.SimpleNamespace(sign=1, name="mine")
    packed = Scores(**command.compact(scores, rewards))
    assert (packed.kind, packed.unpacked().tolist()) == ("float16", [-1, 1, 1])
    errors = types.SimpleNamespace(sign=-1, name="mine")
    assert Scores(**command.compact(-scores.abs(), errors)).kind == "bits"
    with pytest.raises(UserError, match=r"expected scores up to 65,504, got 7e.04; scale"):
        command.compact(torch.tensor([7e4], dtype=torch.float64), rewards)


def test_an_arm_that_peeks_is_refused_in_one_line(capsys):
    def peeks(study):
        images.split("digits", "test")
        yield from unchanged(study)

    arguments = ["--subject", "digits_cnn", "--preset", "smoke", "--cap-s", "0"]
    assert command.main(recipe(peeks, TACTIC="made"), arguments) == 1
    assert capsys.readouterr().err.startswith("error: PermissionError: the test images are sealed")


def test_seeds_of_a_file_without_a_tolerance_have_equal_conditions(tmp_path, monkeypatch):
    monkeypatch.setenv("GREENTACTICS_METER", "none")
    runs = []
    for seed in ("1", "2"):
        arguments = ["--subject", READERS[0], "--preset", "smoke", "--cap-s", "0", "--seed", seed]
        assert (
            command.main(recipe(unchanged, TACTIC="made"), [*arguments, "--out", str(tmp_path / seed)]) == 0
        )
        runs.append(json.loads((tmp_path / seed).read_text(encoding="utf-8"))["runs"][0])
    one, other = runs
    assert one["config"] == other["config"]
    assert one["config"]["tolerance"] == "1% of what training gains"
    assert one["details"]["tolerance"] != other["details"]["tolerance"]


def test_a_readers_file_that_was_edited_is_measured_anew(tmp_path, monkeypatch):
    path, notes = tmp_path / "mine.py", []
    path.write_text(MINE)
    request = Request(Path.cwd(), "prune-without-retraining", "smoke", (), 1, subject=str(path))
    plan = make_plan(request)
    _require_unchanged(request, plan)
    path.write_text(MINE + "# edited")
    with pytest.raises(problems.UserError, match=r"mine\.py: expected a file that stays as it is"):
        _require_unchanged(request, plan)
    stored = sorted(Path("recipes/results/prune-without-retraining").glob("*.json"))[0]
    monkeypatch.setattr(measuring, "_older_file", lambda *_: stored)
    destination = measuring.Destination(tmp_path, measuring.Existing.IF_NEEDED)
    told = types.SimpleNamespace(note=notes.append)
    assert measuring._reusable(request, destination, (), told) is None
    assert "whether the subject's file is as it was" in notes[0]


# --- Nets that come trained, on tokens ---------------------------------------------------------------------


def test_a_net_that_comes_trained_is_judged_by_its_loss_in_nats(monkeypatch):
    monkeypatch.setattr(harness, "MOST_PARAMETERS_KEPT", 1000)

    def tries(study):
        better, worse = study.copy(), study.copy()
        with torch.no_grad():
            better.embedding.weight.mul_(0.5)  # a random net is least wrong where it says least
            worse.embedding.weight.mul_(2)
        assert study.quality(better) > study.quality(study.copy()) > study.quality(worse)
        yield "worse", worse
        yield "better", better

    subject = load_subject("tiny_llama")
    trial = run_trial(recipe(tries, RETRAINS=False), subject, 1000, "smoke", FakeMeter())
    whole, found = trial.arms["baseline"], trial.arms["tactic"]
    assert (whole.chosen.net is not found.chosen.net, whole.chosen.costs["seen_examples"]) == (True, 0)
    assert (found.chosen.label, found.is_within, trial.tolerance) == ("better", True, 0.05)
    assert not list(found.points[0].net.parameters())  # let go of
    for part in ("choice", "test"):
        told = found.metrics[f"{part}_loss"]
        assert (told.unit, told.better) == ("nats", "lower")
        assert 0 < told.value < whole.metrics[f"{part}_loss"].value
    assert found.test_scores.mean() == -found.metrics["test_loss"].value
    assert not list(Path(os.environ["GREENTACTICS_CACHE"]).iterdir())


def test_seeds_of_a_net_that_comes_trained_calibrate_on_other_texts_to_search_with():
    subject = load_subject("tiny_llama")
    first, second = subject.example_inputs(0), subject.example_inputs(1)
    assert first.shape == second.shape == (16, 32)
    assert torch.equal(first, subject.example_inputs(0))
    assert not torch.equal(first, second)
    searched = "".join(text.text for text in language_reference().search).encode()
    assert all(bytes(piece.tolist()) in searched for piece in (*first, *second))
    with subject.sealed(), pytest.raises(PermissionError, match="the test texts are sealed"):
        tiny_llama.MODEL.evaluate(subject.build_model(), "test")


def test_what_a_net_that_comes_trained_cannot_do_is_told(tmp_path, capsys):
    made = recipe(unchanged, TACTIC="made-up", SUBJECTS={})
    asked = ["--subject", "tiny_llama", "--preset", "smoke", "--out", str(tmp_path / "out.json")]
    assert command.main(made, asked) == 1
    assert (
        "error: tiny_llama: expected a subject with epochs, as made-up trains nets" in capsys.readouterr().err
    )
    made.RETRAINS = False
    assert command.main(made, asked) == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert set(written["not_timed"].values()) == {tiny_llama.NOT_TIMED}
    assert "energy_batch_1" in written["runs"][0]["details"]["missing"]
