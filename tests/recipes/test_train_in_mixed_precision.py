"""Training steps in float32, in bfloat16, and in both."""

from __future__ import annotations

import pytest
import torch

from recipes import train_in_mixed_precision as recipe
from recipes.language import smollm2
from recipes.language.training import padded
from tests.recipes.fake_meter import FakeMeter

BATCH = padded([[*range(20, 52)], [*range(90, 122)]])


@pytest.fixture
def net():
    return smollm2.tiny().net


def test_products_are_short_while_weights_gradients_and_loss_are_not(net) -> None:
    seen = list[torch.dtype]()
    net.layers[0].up.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    loss = recipe.loss_by("tactic", net, BATCH)
    loss.backward()
    assert seen == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}
    assert {weight.grad.dtype for weight in net.parameters()} == {torch.float32}


def test_an_update_below_half_a_step_of_bfloat16_is_lost_without_longer_weights() -> None:
    # behind 1 the next number of bfloat16 is 1 + 2^-7
    for dtype, expected in ((torch.float32, 1.0 + 100 * 2**-9), (torch.bfloat16, 1.0)):
        weight = torch.ones(1, dtype=dtype)
        for _ in range(100):
            weight += 2**-9
        assert weight.item() == expected


@pytest.mark.parametrize("arm", ["tactic", "all_in_bfloat16"])
def test_gradients_differ_by_about_the_rounding_of_bfloat16(arm, net) -> None:
    exact = recipe.gradient_by("baseline", net, BATCH)
    found = recipe.gradient_by(arm, net.bfloat16() if arm == "all_in_bfloat16" else net, BATCH)
    assert 2**-9 < (found - exact).norm() / exact.norm() < 0.05


def test_the_precision_of_products_is_put_back() -> None:
    before = torch.get_float32_matmul_precision()
    with recipe.short_products():
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == before


def test_rows_hold_all_tokens_in_order_but_the_last_few() -> None:
    model = smollm2.tiny()
    texts = [recipe.Text("a", "abc"), recipe.Text("b", "de")]  # 3 + 1 + 2 + 1 tokens
    assert recipe.rows_of(texts, model, 3) == [[97, 98, 99], [258, 100, 101]]


def test_weights_gradients_and_moments_are_charged() -> None:
    found = {
        arm: recipe.run(recipe.SMOKE, arm=arm, seed=3, meter=FakeMeter()).metrics
        for arm in ("baseline", "tactic", "all_in_bfloat16")
    }
    assert found["baseline"]["gradient_error"] == 0
    assert found["baseline"]["token_cpu_ms"] == pytest.approx(1500 / (16 * 64))
    kept = [metrics["kept_bytes"] for metrics in found.values()]
    assert kept == sorted(kept, reverse=True)
    beside = [metrics["training_bytes"] - metrics["kept_bytes"] for metrics in found.values()]
    assert beside[0] == beside[1] == 2 * beside[2]  # weights and moments; gradients are fewer than kept
