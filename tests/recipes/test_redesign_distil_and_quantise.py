"""Branches that fold, the recipe's arms, and what a run reports of the quantised nets."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes import redesign_distil_and_quantise as recipe
from recipes.common.nets.data import load_images
from recipes.common.nets.report import accuracy, macs_per_image
from recipes.common.pruning.channels import cut_channels
from recipes.common.run.contract import Outcome, UserError
from recipes.common.timing.engines import Form
from recipes.redesign_distil_and_quantise import FoldingBlock, fold
from tests.recipes.fake_meter import FakeMeter

METRICS = {
    "test_accuracy", "float_test_accuracy", "relative_int8_time_batch_64", "relative_int8_time_batch_1",
    "int8_batch_64_cpu_ms", "int8_batch_1_cpu_ms", "macs", "parameters", "training_cpu_s",
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def with_statistics(block: FoldingBlock) -> FoldingBlock:
    """Give the branches scales, offsets and statistics as after a training."""
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, -1, 2)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 3)
    return block.eval()


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2), (6, 6, 2)])
def test_a_folded_block_computes_the_same(inputs: int, outputs: int, stride: int) -> None:
    block = with_statistics(FoldingBlock(inputs, outputs, stride=stride))
    images = torch.randn(5, inputs, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(block.folded()(images), block(images), rtol=1e-5, atol=1e-5)
    assert (block.identity_bn is not None) == (inputs == outputs and stride == 1)


def test_the_branches_add_up_by_hand() -> None:
    block = FoldingBlock(1, 1).eval()
    nn.init.constant_(block.wide.weight, 1)
    nn.init.constant_(block.narrow.weight, 10)
    for norm in (block.wide_bn, block.narrow_bn, block.identity_bn):
        norm.running_var.fill_(1 - norm.eps)
    block.wide_bn.running_mean.fill_(2)
    block.identity_bn.bias.data.fill_(5)
    layer = block.folded()[0]
    wanted = torch.ones(3, 3)
    wanted[1, 1] = 1 + 10 + 1
    torch.testing.assert_close(layer.weight[0, 0], wanted)
    assert layer.bias.item() == pytest.approx(5 - 2)


def test_folding_replaces_every_block_of_a_copy() -> None:
    net = nn.Sequential(FoldingBlock(2, 4), nn.Sequential(FoldingBlock(4, 4))).eval()
    folded = fold(net)
    assert not any(isinstance(module, FoldingBlock) for module in folded.modules())
    assert sum(isinstance(module, FoldingBlock) for module in net.modules()) == 2
    assert not folded.training


def test_folding_raises_where_nothing_folds_or_statistics_still_change() -> None:
    with pytest.raises(ValueError, match="nothing to fold"):
        fold(nn.Sequential(nn.Conv2d(1, 1, 3)).eval())
    with pytest.raises(ValueError, match="evaluation mode"):
        fold(nn.Sequential(FoldingBlock(1, 1)))


def small_problem() -> tuple[Tensor, Tensor, Tensor]:
    images, labels = torch.randn(256, 1, 6, 6), torch.arange(256) % 2
    images += labels[:, None, None, None]
    return 4.0 * nn.functional.one_hot(labels, 2)[None].float(), images, labels


def test_the_tactic_trains_a_foreign_net_and_folds_it() -> None:
    net = nn.Sequential(FoldingBlock(1, 4), nn.Flatten(), nn.Linear(144, 2))
    teacher_logits, images, labels = small_problem()
    folded = recipe.distil_and_fold(net, teacher_logits, images, labels, examples=1280)
    assert not any(isinstance(module, FoldingBlock) for module in folded.modules())
    assert accuracy(folded, images, labels) > 0.9


def test_the_tactic_raises_before_any_training_when_nothing_folds() -> None:
    net = nn.Linear(3, 2)
    before = net.weight.clone()
    with pytest.raises(ValueError, match="nothing to fold"):
        recipe.distil_and_fold(net, *small_problem(), examples=128)
    assert torch.equal(net.weight, before)


def test_images_are_mirrored_only_where_the_teacher_saw_them_mirrored(monkeypatch) -> None:
    seen: list[Tensor] = []

    class Spy(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            seen.append(inputs.detach())
            return super().forward(inputs.flatten(1))

    images = torch.arange(2.0).expand(128, 1, 1, 2)
    teacher_logits = torch.stack([torch.zeros(128, 2), torch.ones(128, 2)])
    told: list[Tensor] = []
    real = recipe.distillation_loss

    def spy(logits: Tensor, teacher: Tensor, *arguments, **keywords) -> Tensor:
        told.append(teacher)
        return real(logits, teacher, *arguments, **keywords)

    monkeypatch.setattr(recipe, "distillation_loss", spy)
    for views, mirrored_share in ((1, 0.0), (2, 0.5)):
        recipe.distil(Spy(2, 2), teacher_logits[:views], images, torch.zeros(128).long(), 128, 0.1, 0)
        mirrored = seen.pop()[:, 0, 0, 0] == 1
        assert mirrored.double().mean().item() == pytest.approx(mirrored_share, abs=0.15)
        assert torch.equal(told.pop()[:, 0] == 1, mirrored)


def test_accuracy_counts_every_image_once_however_the_last_batch_falls() -> None:
    form = Form(lambda batch: nn.functional.one_hot(batch[:, 0].long(), 5), lambda: None, 0)
    images, labels = torch.arange(5.0)[:, None], torch.tensor([0, 1, 2, 3, 0])
    for batch_size in (1, 2, 3, 5):
        assert recipe.accuracy_of(form, images, labels, batch_size=batch_size) == pytest.approx(0.8)


def test_a_missing_extra_is_named_before_any_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "missing_extra", lambda engine: f"{engine}: install the extra onnx")
    with pytest.raises(UserError, match="install the extra onnx"):
        recipe.run(recipe.SMOKE, arm="baseline", seed=0, meter=FakeMeter())


def test_pruning_leaves_multiples_of_16_and_at_most_the_macs_asked_for() -> None:
    net, images = recipe.NETS["group_norm_aligned"](1).eval(), torch.randn(1, 1, 28, 28)
    net = cut_channels(net, images, partial(macs_per_image, images=images), 1_400_000, multiple=16)
    widths = [layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert all(width % 16 == 0 for width in widths)
    assert macs_per_image(net, images) <= 1_400_000


QUANTISED_ARMS = ("baseline", "tactic")  # exporting and quantising the other nets too would take long


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    quick = replace(recipe.SMOKE, timing_cap_s=0.01)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("checkpoints")))
        for arm in recipe.ARMS:
            if arm not in QUANTISED_ARMS:
                patch.setattr(recipe, "int8_metrics", lambda *nets, cap_s: {})
            found[arm] = recipe.run(quick, arm=arm, seed=0, meter=FakeMeter())
    return found


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_smoke_run_of_each_arm_gives_all_metrics(outcomes: dict[str, Outcome]) -> None:
    for arm, outcome in outcomes.items():
        of_int8 = {name for name in METRICS if "int8" in name or name == "test_accuracy"}
        assert set(outcome.metrics) == (METRICS if arm in QUANTISED_ARMS else METRICS - of_int8)
        assert all(math.isfinite(metric.value) for metric in outcome.metrics.values())
        assert outcome.data.name == "digits"
        json.dumps(outcome.details, allow_nan=False)


def test_the_8_bit_net_is_nearly_as_accurate_as_the_one_it_came_from(outcomes: dict[str, Outcome]) -> None:
    for arm, outcome in outcomes.items():
        assert value(outcome, "float_test_accuracy") > (0.6 if arm == "depthwise" else 0.85), arm
    for arm in QUANTISED_ARMS:
        assert value(outcomes[arm], "test_accuracy") > value(outcomes[arm], "float_test_accuracy") - 0.05, arm


def test_the_arms_are_the_nets_they_say(outcomes: dict[str, Outcome]) -> None:
    macs = {arm: value(outcome, "macs") for arm, outcome in outcomes.items()}
    assert macs["depthwise"] == min(macs.values())
    assert all(macs[arm] < macs["baseline"] for arm in recipe.ARMS[1:])
    tactic = outcomes["tactic"].deployable.model
    assert not any(isinstance(module, FoldingBlock) for module in tactic.modules())
    assert not tactic.training


def test_macs_stand_beside_the_time_of_each_shape(outcomes: dict[str, Outcome]) -> None:
    rows = outcomes["baseline"].details["macs_and_time_of_untrained_nets"]
    assert [row["net"] for row in rows] == ["baseline", "tactic", "thin", "unaligned", "depthwise"]
    macs = {arm: value(outcome, "macs") for arm, outcome in outcomes.items()}
    for row in rows:
        assert row["relative_macs"] == pytest.approx(macs[row["net"]] / macs["baseline"])
        for batch_size in (1, 64):
            time = row[f"relative_int8_time_batch_{batch_size}"]
            assert time == 1 if row["net"] == "baseline" else time > 0
    assert "macs_and_time_of_untrained_nets" not in outcomes["tactic"].details


def test_the_teacher_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    images = load_images(("digits",))
    config = replace(recipe.SMOKE, teacher_examples=256)
    first = recipe.load_teacher_logits(config, images)
    assert first.shape == (1, len(images.train_images), 10)
    monkeypatch.setattr(recipe, "logits_of", None)  # what a second training would need
    assert torch.equal(recipe.load_teacher_logits(config, images), first)
