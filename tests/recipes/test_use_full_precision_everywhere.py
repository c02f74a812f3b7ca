"""Formats that are tried before one is taken, images that are widened when read, and what is shipped."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from recipes import use_full_precision_everywhere as recipe
from tests.recipes.fake_meter import FakeMeter


def test_the_cheapest_format_that_loses_too_little_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(time, "process_time", lambda: clock)
    labels = torch.tensor([0, 1, 1, 0])
    images = torch.eye(2)[labels]  # a right answer is the image itself

    def taking(seconds: float, wrong: int) -> recipe.Answer:
        given = 0

        def answer(rows: Tensor) -> Tensor:
            nonlocal clock, given
            clock, given = clock + seconds, given + 1
            return rows.flip(1) if 1 < given <= 1 + wrong else rows  # the first answer warms up

        return answer

    def chosen(tolerance: float) -> str:
        formats = {"32": taking(4, 0), "16": taking(2, 1), "8": taking(1, 2)}  # accuracies 1, 0.75, 0.5
        return recipe.cheapest_sufficient(formats, images, labels, tolerance=tolerance)

    assert [chosen(tolerance) for tolerance in (0.1, 0.25, 0.5)] == ["32", "16", "8"]


def test_short_images_are_widened_to_their_range_and_products_are_short() -> None:
    images = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    read = recipe.AsStored(nn.Identity(), -1.0, 4.0, in_16_bits=False)(images)
    assert read.tolist() == [[-1.0, 0.0, 4.0]]
    net = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(1 + 2**-10)  # nearer to 1 than to the next number in bfloat16
    wide, short = (
        recipe.AsStored(net, -1.0, 4.0, in_16_bits=in_16_bits)(images) for in_16_bits in (False, True)
    )
    assert (wide.item(), short.item()) == (3 * (1 + 2**-10), 3.0)
    assert short.dtype == torch.float32


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_what_is_shipped_and_stored_has_the_bits_of_the_arm(arm: str) -> None:
    pytest.importorskip("onnxruntime")
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    assert meter.names == ["training", "shipping", "answers"]
    assert outcome.metrics["input_bytes"] == 256 * (1 if arm in ("baseline", "inputs_in_8_bits") else 4)
    bits = {"answers_in_16_bits": 16, "answers_in_8_bits": 8}.get(arm, 32)
    if arm == "baseline":
        bits = outcome.details["answer_bits"]
        assert bits in (32, 16, 8)
    assert outcome.details["answer_bits"] == bits
    width = 8 if arm == "half_the_width" else 16
    weights = 9 * (width + (1 * 2 + 2 * 2 + 2 * 4) * width**2) + 4 * width * 10
    filed = outcome.metrics["model_bytes"] - weights * bits / 8
    assert 0 < filed < 40_000  # names of nodes, biases and steps


def test_a_format_of_training_is_taken_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(time, "process_time", lambda: clock)

    def step(in_16_bits: bool, spent_s: tuple[float, float]) -> None:
        nonlocal clock
        clock += spent_s[in_16_bits]

    assert recipe.cheaper_in_16_bits(lambda in_16_bits: step(in_16_bits, (2, 1)))
    assert not recipe.cheaper_in_16_bits(lambda in_16_bits: step(in_16_bits, (1, 2)))
