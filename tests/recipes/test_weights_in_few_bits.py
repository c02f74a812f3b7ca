"""Products of a language model with weights in few bits."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from recipes import weights_in_few_bits as recipe
from recipes.language import smollm2
from recipes.language.llama import Cache
from recipes.language.products import NetOfProducts
from tests.recipes.fake_meter import FakeMeter

NET = smollm2.tiny().net
TOKENS = torch.randint(0, 256, (2, 9), generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_the_net_of_products_gives_what_the_net_gives() -> None:
    net = NetOfProducts(NET, recipe.float32, recipe.float32)
    padding = torch.tensor([0, 3])
    caches = [Cache(NET.config, 2, 9, NET.embedding.weight) for _ in range(2)]
    for part in (TOKENS[:, :8], TOKENS[:, 8:]):  # the second is one token, behind eight
        found, wanted = (
            each(part, cache=cache, padding=padding) for each, cache in zip((net, NET), caches, strict=True)
        )
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    caches = [Cache(NET.config, 2, 9, NET.embedding.weight) for _ in range(2)]
    for part in (TOKENS[:, :8], TOKENS[:, 8:]):
        found, wanted = (each(part, cache=cache) for each, cache in zip((net, NET), caches, strict=True))
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(net(TOKENS, last_only=True), NET(TOKENS, last_only=True), rtol=0, atol=1e-4)


def test_weights_of_sixteen_steps_come_back() -> None:
    steps = torch.arange(16).repeat(2)  # of one group; offset and scale have few bits of their own
    weights = torch.stack([0.25 * steps - 2, 0.5 * steps.flip(0) + 1] * 8)  # (16, 32)
    x = torch.eye(32)[:5]
    wanted = F.linear(x, weights)
    assert recipe.four_bits(weights).multiply(x).tolist() == wanted.tolist()
    assert recipe.four_bits(weights).multiply(x.repeat(10, 1)).tolist() == wanted.repeat(10, 1).tolist()


@pytest.mark.parametrize("rows", [1, 5, recipe.MANY_ROWS[8], recipe.MANY_ROWS[4]])
@pytest.mark.parametrize(
    ("pack", "most"),
    [
        (recipe.four_bits, 0.1),
        (recipe.eight_bits, 0.012),
        (recipe.bfloat16, 0.006),
        (recipe.onnx_runtime, 0.1),
        (partial(recipe.onnx_runtime, bits=8), 0.012),
    ],
    ids=["four_bits", "eight_bits", "bfloat16", "onnx_runtime", "onnx_runtime_8"],
)
def test_an_error_is_as_small_as_the_bits_allow(pack, most, rows) -> None:
    generator = torch.Generator().manual_seed(0)
    weights, x = torch.randn(50, 96, generator=generator), torch.randn(rows, 96, generator=generator)
    wanted = F.linear(x, weights)
    error = (pack(weights).multiply(x) - wanted).norm() / wanted.norm()
    assert most / 8 < error < most


def test_the_recipe_counts_bytes_and_shares_time_among_tokens() -> None:
    config = recipe.Config(net="tiny", prompt=40, new_tokens=5, batch=2, texts=3)
    found = recipe.run(config, arm="baseline", seed=0, meter=FakeMeter())
    assert set(found.metrics) == set(recipe.METRICS)
    # two layers of 48 x (80 + 48 + 192) and 96 x 48 weights, and the read-out of 259 x 48, 4 bytes each
    assert found.metrics["weight_bytes"] == 4 * (2 * (48 * (80 + 48 + 192) + 96 * 48) + 259 * 48)
    assert found.metrics["token_cpu_ms"] == 2 * found.metrics["batch_token_cpu_ms"]
    nats = found.details["nats_by_text"]
    assert found.metrics["held_out_nats"] == pytest.approx(sum(nats) / 3)
    halved = recipe.run(config, arm="bfloat16", seed=0, meter=FakeMeter()).metrics
    assert halved["weight_bytes"] == found.metrics["weight_bytes"] / 2
