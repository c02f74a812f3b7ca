"""Layers of a language model scored, removed, and the rest trained."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from recipes import remove_whole_layers_and_heal as recipe
from recipes.language import smollm2
from recipes.language.texts import Text
from tests.recipes.fake_meter import FakeMeter

ROWS = [[1, 2, 3, 4], [9, 8, 7, 6]]
WINDOWS = torch.tensor(ROWS)


class Turn(nn.Module):
    """Turns the state by an angle in the plane of its first two entries, and makes it twice as long."""

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.angle = torch.deg2rad(torch.tensor(degrees))

    def forward(self, x, *_):
        cosine, sine = self.angle.cos(), self.angle.sin()
        first, second = x[..., :1], x[..., 1:2]
        return 2 * torch.cat((cosine * first - sine * second, sine * first + cosine * second), dim=-1)


def test_a_layer_counts_by_how_far_it_turns_a_state_and_not_by_its_length() -> None:
    net = smollm2.tiny().net
    net.embedding = nn.Embedding(259, 2)
    net.layers, net.norm = nn.ModuleList(map(Turn, (60.0, 0.0, 180.0, 90.0))), nn.Identity()
    assert recipe.influences(net, WINDOWS).tolist() == pytest.approx([0.5, 0, 2, 1], abs=1e-6)
    assert not any(layer._forward_hooks for layer in net.layers)
    config = recipe.Config(removed=2, scored=2)
    assert recipe.removed_by("tactic", net, config, ROWS, random.Random(0)) == [1, 0]
    assert recipe.removed_by("not_healed", net, config, ROWS, random.Random(0)) == [1, 0]
    assert recipe.removed_by("last_layers", net, config, ROWS, random.Random(0)) == [2, 3]
    assert recipe.removed_by("baseline", net, config, ROWS, random.Random(0)) == []
    pairs = {
        tuple(recipe.removed_by("random_layers", net, config, ROWS, random.Random(n))) for n in range(99)
    }
    assert len(pairs) == 4 * 3


def test_a_layer_that_adds_nothing_can_go_and_the_rest_stays_in_order() -> None:
    model, other = smollm2.tiny(), smollm2.tiny()
    for idle in (model.net.layers[0].attention.output, model.net.layers[0].down):
        nn.init.zeros_(idle.weight)
    with torch.inference_mode():
        expected = model.net(WINDOWS)
        assert float(recipe.influences(model.net, WINDOWS)[0]) == pytest.approx(0, abs=1e-6)
        recipe.remove(model.net, {0})
        assert model.net(WINDOWS).equal(expected)
    assert model.net.config.layers == len(model.net.layers) == 1
    assert model.net.layers[0].up.weight.equal(other.net.layers[1].up.weight)


def test_a_cut_net_writes_with_a_cache_of_its_own_layers() -> None:
    net = smollm2.tiny().net
    recipe.remove(net, {0})
    cache = recipe.Cache(net.config, 2, 4, like=net.embedding.weight)
    with torch.inference_mode():
        parts = [net(WINDOWS[:, :3], cache=cache), net(WINDOWS[:, 3:], cache=cache)]
        assert torch.allclose(torch.cat(parts, dim=1), net(WINDOWS), atol=1e-5)
    assert recipe.cache_bytes_per_token(net) == 128  # half of the whole net's, see test_language


def test_healing_lowers_the_loss_and_reaches_every_weight() -> None:
    net = smollm2.tiny().net
    recipe.remove(net, {1})
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    losses = recipe.heal(net, ROWS * 20, 2, 0.03)
    assert len(losses) == 20
    assert losses[-1] < losses[0] - 1
    assert not any(weight.equal(before[name]) for name, weight in net.named_parameters())


def test_windows_share_no_token_and_stay_within_a_text() -> None:
    model = smollm2.tiny()
    texts = [Text("a", "0123456789"), Text("b", "abc"), Text("c", "pqrstu")]
    found = recipe.drawn(texts, model, 3, 6, random.Random(1))
    assert sorted(map(model.decode, found)) == ["012", "345", "678", "abc", "pqr", "stu"]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_recipe_charges_scoring_and_training_and_counts_what_is_left(arm: str) -> None:
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    found, is_whole, is_trained = (
        outcome.metrics,
        arm in {"baseline", "untrained"},
        arm not in {"not_healed", "untrained"},
    )
    assert set(found) == set(recipe.METRICS)
    timed = ["reading", "writing"]
    assert meter.names == [*timed, "choosing layers", *["training"] * is_trained, *timed]
    assert found["healing_cpu_s"] == 1.5 * (1 + is_trained)
    assert found["token_cpu_ms"] == 1500 / 4
    assert found["reading_cpu_ms"] == 1500 / 32
    layer = (52_608 - 259 * 48 - 48) // 2
    assert found["weight_bytes"] == 4 * (52_608 - (0 if is_whole else layer))
    assert found["token_cache_bytes"] == (256 if is_whole else 128)
    assert len(outcome.details["losses"]) == 2 * is_trained
    assert outcome.details["new_tokens_until_paid"] is None  # every token takes this meter as long
