"""The recipe as a whole: the tactic on a foreign net, its arms, and a run."""

from __future__ import annotations

import copy
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from greentactics.evidence.wording import plain_label
from recipes import consider_energy_aware_pruning as recipe
from recipes.common.nets import models
from recipes.common.nets.data import load_images
from recipes.common.pruning.weights import (
    masks_of,
    prunable_layers,
    prune_global_magnitude,
)
from recipes.common.run.contract import Outcome
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_nets import GroupedNet, agreement_with

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_the_tactic_prunes_a_foreign_net_with_groups_within_the_allowed_loss() -> None:
    net, inputs = GroupedNet().eval(), torch.randn(300, 2, 6, 6)
    evaluate = agreement_with(copy.deepcopy(net), inputs)
    masks = recipe.prune_energy_aware(net, inputs, evaluate=evaluate, largest_loss=0.2)
    assert evaluate(net) >= 0.8
    assert set(masks) == {"first", "grouped", "output"}
    assert all(torch.equal(masks[name], layer.weight != 0) for name, layer in prunable_layers(net).items())
    assert sum(int(mask.sum()) for mask in masks.values()) < 0.9 * sum(
        mask.numel() for mask in masks.values()
    )


def test_the_order_of_the_layers_follows_the_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs, seen = GroupedNet().eval(), torch.randn(50, 2, 6, 6), []
    real = recipe.sample_moments

    def spy(dense, pruned, name, *arguments, **keywords):
        seen.append(name)
        return real(dense, pruned, name, *arguments, **keywords)

    monkeypatch.setattr(recipe, "sample_moments", spy)
    costs = {"first": 1.0, "grouped": 3.0, "output": 2.0}
    recipe.prune_energy_aware(
        net,
        inputs,
        evaluate=agreement_with(copy.deepcopy(net), inputs),
        largest_loss=0.5,
        cost_by_layer=costs,
    )
    assert seen == ["grouped", "output", "first"]


def test_the_tactic_raises_when_it_changed_nothing() -> None:
    net = GroupedNet().eval()
    before = copy.deepcopy(net.state_dict())
    qualities = itertools.chain([1.0], itertools.repeat(0.0))
    with pytest.raises(ValueError, match="nothing could be removed"):
        recipe.prune_energy_aware(
            net, torch.randn(40, 2, 6, 6), evaluate=lambda _: next(qualities), largest_loss=0.01
        )
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("checkpoints")))
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_smoke_run_of_each_arm_gives_an_outcome(outcomes: dict[str, Outcome]) -> None:
    common = set.intersection(*(set(outcome.metrics) for outcome in outcomes.values()))
    assert common >= {
        "test_accuracy", "nonzero_weights", "effective_macs", "energy_batch_1", "energy_batch_48",
    }  # fmt: skip
    for arm, outcome in outcomes.items():
        assert outcome.data.name == "digits"
        assert 0.8 < value(outcome, "test_accuracy") <= 1
        assert ("tactic_cpu_s" in outcome.metrics) == (arm != "baseline")
        json.dumps(outcome.details, allow_nan=False)


def test_the_arms_really_differ(outcomes: dict[str, Outcome]) -> None:
    assert value(outcomes["baseline"], "nonzero_weights") == 13_460
    for arm in recipe.ARMS[1:]:
        assert value(outcomes[arm], "nonzero_weights") < 0.7 * 13_460
        assert value(outcomes[arm], "tactic_cpu_s") == 1.5
        for metric in ("energy_batch_1", "energy_batch_48", "effective_macs"):
            assert value(outcomes[arm], metric) < value(outcomes["baseline"], metric)
    assert len({value(outcome, "energy_batch_1") for outcome in outcomes.values()}) == len(recipe.ARMS)


def test_before_any_gradient_step_the_tactic_beats_magnitude_at_the_same_energy(
    outcomes: dict[str, Outcome],
) -> None:
    tactic = outcomes["tactic"]
    assert value(tactic, "accuracy_before_fine_tuning") > value(
        tactic, "magnitude_accuracy_before_fine_tuning"
    )


def test_each_arm_yields_the_net_that_it_reports(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        shipped = outcome.deployable
        nonzero = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(shipped.model).values())
        assert nonzero == value(outcome, "nonzero_weights")
        assert recipe.accuracy(shipped.model, shipped.test_inputs, shipped.test_labels) == value(
            outcome, "test_accuracy"
        )
        assert len(shipped.calibration_inputs) == 256


def test_details_are_flat_tables_that_add_up(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        rows = outcome.details["layers"]
        assert len(rows) == 8
        for batch_size in (1, 48):
            energy = sum(row["energy"] for row in rows if row["batch_size"] == batch_size)
            assert energy == pytest.approx(value(outcome, f"energy_batch_{batch_size}"))


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    again = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter())
    for name in again.metrics:
        assert value(again, name) == value(outcomes["tactic"], name), name


def test_zeros_are_held_through_fine_tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    config = replace(recipe.SMOKE, dense_examples=640, fine_tune_examples=640)
    images = load_images(("digits",))
    dense, reference = recipe.trained_nets(config, images, seed=0)
    assert not torch.equal(dense.conv1.weight, reference.conv1.weight)
    net = copy.deepcopy(dense)
    prune_global_magnitude(net, 0.2)
    masks = masks_of(net)
    recipe.train(net, config, images, 0, recipe.logits_of(dense, images.train_images), masks)
    for name, layer in prunable_layers(net).items():
        assert not layer.weight[~masks[name]].any()
        assert layer.weight[masks[name]].all()


def test_where_no_net_is_accurate_enough_the_dense_net_is_reported(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    hopeless = replace(recipe.SMOKE, accuracy_budget=-1.0, dense_examples=1280, fine_tune_examples=128)
    outcome = recipe.run(hopeless, arm="magnitude", seed=0, meter=FakeMeter())
    assert value(outcome, "nonzero_weights") == 13_460
    first, second = (row["allowed_loss_before_fine_tuning"] for row in outcome.details["curve"])
    assert second == first / 2


def test_each_arm_shows_its_curve_under_the_names_of_the_metrics(outcomes: dict[str, Outcome]) -> None:
    for arm, outcome in outcomes.items():
        rows = outcome.details["curve"]
        assert len(rows) == (1 if arm == "baseline" else recipe.SMOKE.depths)
        assert {"validation_accuracy", "energy_batch_1", "energy_batch_48", "nonzero_weights"} <= set(rows[0])
        built = value(outcome, "energy_batch_1")
        assert arm == "baseline" or built in {row["energy_batch_1"] for row in rows} | {
            value(outcomes["baseline"], "energy_batch_1")
        }


def test_the_metrics_that_the_record_names_are_there(outcomes: dict[str, Outcome]) -> None:
    record = yaml.safe_load(Path("tactics/consider-energy-aware-pruning.yaml").read_text())["recipe"]
    names = {record["cost_metric"], record["quality_metric"], *record["also_metrics"]}
    assert names <= set(outcomes["tactic"].metrics)


@pytest.mark.parametrize(("channels", "size", "weights"), [(1, 28, 522_016), (3, 32, 867_680)])
def test_the_full_preset_takes_grey_and_colour_images(channels: int, size: int, weights: int) -> None:
    net = models.for_images(recipe.FULL.model, channels, size)
    assert net(torch.zeros(2, channels, size, size)).shape == (2, 10)
    assert sum(mask.numel() for mask in masks_of(net).values()) == weights


def test_a_net_that_cannot_take_the_images_is_refused() -> None:
    with pytest.raises(ValueError, match="no net 'lenet' for images of 3 x 32 x 32"):
        models.for_images("lenet", 3, 32)


def test_the_tutorial_shows_the_table_that_it_prints(outcomes: dict[str, Outcome]) -> None:
    page = (ROOT / "catalogue" / "pages" / "tutorial" / "index.md").read_text(encoding="utf-8")
    cells = [re.split(r"\s*│\s*", line)[1] for line in page.splitlines() if line.startswith("│")]
    shown = dict(zip(cells[::2], cells[1::2], strict=True))
    metrics = outcomes["baseline"].metrics | outcomes["tactic"].metrics
    assert shown == {plain_label(name): metric.provenance for name, metric in metrics.items()}
    used = outcomes["tactic"].data
    assert f"data: digits ({used.train_count} training, {used.validation_count} validation, " in page
