"""Values in a few bits: what is stored, what is read again, and what each arm takes."""

from __future__ import annotations

import pytest
import torch

from recipes import use_input_quantization as recipe
from recipes.use_input_quantization import pack_values, read_values
from tests.recipes.fake_meter import FakeMeter


def test_two_bits_are_packed_four_to_a_byte() -> None:
    rows = torch.tensor([[0.0, 1.2, 1.8, 3.0, 9.0, -4.0]])
    packed = pack_values(rows, bits=2, low=0.0, high=3.0)
    assert packed.tolist() == [[0b00011011, 0b11000000]]  # steps 0, 1, 2, 3, and 3, 0 behind the ends
    assert read_values(packed, 6, bits=2, low=0.0, high=3.0).tolist() == [[0, 1, 2, 3, 3, 0]]


@pytest.mark.parametrize("bits", range(1, 9))
def test_nothing_is_off_by_more_than_half_a_step(bits: int) -> None:
    rows = torch.rand(20, 13, generator=torch.Generator().manual_seed(bits)) * 5 - 2
    steps: recipe.Steps = {"bits": bits, "low": -2.0, "high": 3.0}
    packed = pack_values(rows, **steps)
    assert packed.shape == (20, -(-13 * bits // 8))
    read = read_values(packed, 13, **steps)
    assert float((read - rows).abs().max()) <= 5 / (2**bits - 1) / 2 + 1e-6
    assert (pack_values(read, **steps) == packed).all()  # nothing more is lost


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_bytes_are_those_that_are_stored(arm: str) -> None:
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics
    assert set(metrics) == set(recipe.METRICS)
    expected = {
        "baseline": 1024,
        "tactic": 64,
        "tactic_with_three_bits": 96,
        "eight_bits": 256,
        "tactic_with_one_bit": 32,
    }
    expected["fewer_pixels"] = 64
    if arm in expected:
        assert metrics["input_bytes"] == expected[arm]
    elif arm == "compressed":  # rows and columns of the digits stand twice
        assert metrics["input_bytes"] < 128
        eight = recipe.run(recipe.SMOKE, arm="eight_bits", seed=0, meter=FakeMeter()).metrics
        assert metrics["test_accuracy"] == eight["test_accuracy"]
