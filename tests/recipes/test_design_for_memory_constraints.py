"""Parts whose gradients add up, the largest part that fits, and a training that dies of a real limit."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from recipes import design_for_memory_constraints as recipe
from recipes.language.llama import TINY, Llama
from recipes.language.training import Tokens, loss_of, padded
from tests.recipes.fake_meter import FakeMeter

TEXTS = [[1, 2, 3, 4, 5, 6], [7, 8], [9, 10, 11], [12, 13, 14, 15]]


@pytest.mark.parametrize("part_rows", [1, 2, 3])
def test_parts_have_the_gradients_of_the_whole(part_rows: int) -> None:
    torch.manual_seed(0)
    net = Llama(TINY)

    def gradients(rows: int) -> Tensor:
        net.zero_grad()
        recipe.add_up(lambda texts: loss_of(net, padded(texts)), TEXTS, rows)
        return torch.cat([each.grad.flatten() for each in net.parameters() if each.grad is not None])

    torch.testing.assert_close(gradients(part_rows), gradients(4), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("room", "fits"), [(9, 8), (8, 8), (7, 4), (3, 2), (1, 1)])
def test_the_largest_part_that_fits_is_the_batch_in_halves(room: int, fits: int) -> None:
    net = nn.Linear(1, 1)

    def step(texts: Sequence[Tokens]) -> Tensor:
        if len(texts) > room:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.")
        return net.weight.sum()

    assert recipe.largest_that_fits(net, step, [[1]] * 8, 16) == fits
    assert net.weight.grad is None


def test_other_errors_are_no_want_of_memory() -> None:
    def step(_: Sequence[Tokens]) -> Tensor:
        raise RuntimeError("expected scalar type Float")

    with pytest.raises(RuntimeError, match="scalar type"):
        recipe.largest_that_fits(nn.Linear(1, 1), step, [[1]] * 8, 16)
    assert recipe.is_out_of_memory(MemoryError())


def test_layers_that_compute_again_give_the_same_gradients() -> None:
    torch.manual_seed(0)
    net, found = Llama(TINY), list[Tensor]()
    for layers in (list(net.layers), [recipe.Recomputed(layer) for layer in net.layers]):
        net.layers = nn.ModuleList(layers)
        net.zero_grad()
        loss_of(net, padded(TEXTS)).backward()
        assert net.embedding.weight.grad is not None
        found.append(net.embedding.weight.grad.clone())
    torch.testing.assert_close(*found)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit needs Linux")
def test_under_a_limit_the_baseline_dies_and_the_tactic_does_not() -> None:
    found = {
        arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics
        for arm in ("baseline", "tactic")
    }
    assert set(found["tactic"]) == set(recipe.METRICS)
    assert found["tactic"]["attempts"] == 1 < found["baseline"]["attempts"]
    assert 1 <= found["tactic"]["part_rows"] < recipe.SMOKE.rows
    nats = [metrics["held_out_nats"] for metrics in found.values()]
    assert nats[0] == pytest.approx(nats[1], abs=1e-3)
