"""The recipe as a whole: the tactic on a foreign net, its arms, and a run."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes import prune_layers_and_channels_with_gates as recipe
from recipes.common.nets.report import accuracy, macs_per_image
from recipes.common.nets.resnet import ResidualBlock
from recipes.common.run.contract import Outcome
from tests.recipes.fake_meter import FakeMeter


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class ForeignNet(nn.Module):
    """A net with one gateable block among other layers: (batch, 3, 6, 6) to (batch, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 1)
        self.body = nn.ModuleDict({"block": ResidualBlock(5, 12, 5, stride=1)})
        self.last = nn.Linear(5, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.body["block"](self.first(inputs)).mean((2, 3)))


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


def steps(count: int) -> list[tuple[tuple[Tensor, Tensor], float]]:
    return [((torch.randn(16, 3, 6, 6), torch.randint(2, (16,))), 0.01) for _ in range(count)]


def test_the_tactic_prunes_a_foreign_net_to_the_share_wanted() -> None:
    net, inputs = ForeignNet(), torch.randn(4, 3, 6, 6)
    dense_macs = macs_per_image(net.eval(), inputs)
    rows = recipe.prune_with_gates(net, steps(60), loss_of, inputs, macs_fraction=0.5, gate_rate=0.1)
    assert macs_per_image(net, inputs) / dense_macs == pytest.approx(0.5, abs=0.15)
    assert rows[0] == {"step": 0, "open_share_of_macs": 1.0, "body.block": 12}
    assert rows[-1]["step"] == 59
    assert net.body["block"].conv1.out_channels == rows[-1]["body.block"] < 12
    recipe.train(net, steps(2), loss_of)


def test_channels_come_in_multiples_where_that_is_wanted() -> None:
    net, inputs = ForeignNet(), torch.randn(4, 3, 6, 6)
    recipe.prune_with_gates(
        net, steps(60), loss_of, inputs, macs_fraction=0.5, gate_rate=0.1, channel_multiple=4
    )
    assert net.body["block"].conv1.out_channels in (4, 8)


def test_the_tactic_raises_when_it_changed_nothing() -> None:
    with pytest.raises(ValueError, match="no gate has closed: train for longer"):
        recipe.prune_with_gates(ForeignNet(), steps(2), loss_of, torch.randn(4, 3, 6, 6), macs_fraction=0.5)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("checkpoints")))
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_smoke_run_of_each_arm_gives_what_the_record_names(outcomes: dict[str, Outcome]) -> None:
    named = {"macs", "test_accuracy", "parameters", "training_cpu_s", "gate_training_overhead"}
    assert named == set(outcomes["tactic"].metrics)
    for outcome in outcomes.values():
        assert outcome.data.name == "digits"
        assert named - set(outcome.metrics) <= {"gate_training_overhead"}
        assert 0.8 < value(outcome, "test_accuracy") <= 1
        assert value(outcome, "training_cpu_s") == 3.0, "the dense training and what follows"
        json.dumps(outcome.details, allow_nan=False)


def test_all_rivals_are_as_small_as_the_tactic_may_be(outcomes: dict[str, Outcome]) -> None:
    largest = recipe.SMOKE.macs_fraction * value(outcomes["baseline"], "macs")
    for arm in ("thin_distilled", "group_norm", "random_channels"):
        assert 0.6 * largest < value(outcomes[arm], "macs") <= largest
    assert len({value(outcome, "macs") for outcome in outcomes.values()}) == len(recipe.ARMS)
    for arm in ("tactic", "tactic_aligned"):
        assert value(outcomes[arm], "macs") < 0.7 * value(outcomes["baseline"], "macs")


def test_the_aligned_narrow_net_has_the_widths_set(outcomes: dict[str, Outcome]) -> None:
    net = outcomes["thin_aligned"].deployable.model
    assert tuple(net.get_submodule(f"block{i}").conv2.out_channels for i in (1, 2, 3)) == (8, 12, 20)
    assert all(width % recipe.SMOKE.channel_multiple == 0 for width in recipe.SMOKE.aligned_widths)
    assert all(width % recipe.DEFAULT.channel_multiple == 0 for width in recipe.DEFAULT.aligned_widths)


def test_the_gates_are_told_step_by_step_down_to_the_net_that_is_left(outcomes: dict[str, Outcome]) -> None:
    for arm in ("tactic", "tactic_aligned"):
        rows, net = outcomes[arm].details["gates"], outcomes[arm].deployable.model
        assert rows[0]["open_share_of_macs"] == 1.0
        dense_macs = value(outcomes["baseline"], "macs")
        assert rows[-1]["open_share_of_macs"] == pytest.approx(value(outcomes[arm], "macs") / dense_macs)
        for block in ("block1", "block2", "block3"):
            left = getattr(net.get_submodule(block), "conv1", None)
            assert rows[-1][block] == (left.out_channels if left else 0)
            assert arm == "tactic" or rows[-1][block] % recipe.SMOKE.channel_multiple == 0
    assert outcomes["baseline"].details == {}


def test_each_arm_yields_the_net_that_it_reports(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        shipped = outcome.deployable
        found = accuracy(shipped.model, shipped.test_inputs, shipped.test_labels)
        assert found == value(outcome, "test_accuracy")
        assert macs_per_image(shipped.model, shipped.calibration_inputs) == value(outcome, "macs")


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome], tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    again = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter())
    assert {name: metric.value for name, metric in again.metrics.items()} == {
        name: metric.value for name, metric in outcomes["tactic"].metrics.items()
    }
