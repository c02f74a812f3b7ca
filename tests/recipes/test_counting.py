from __future__ import annotations

import pytest
import torch
from torch import nn

from recipes.common.nets.report import bytes_allocated, flops

X = torch.zeros(3, 10)
IMAGES = torch.zeros(1, 2, 8, 8)


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (nn.Linear(10, 5), X, 2 * 3 * 10 * 5),
        (nn.Conv2d(2, 4, 3), IMAGES, 2 * (4 * 6 * 6) * (2 * 3 * 3)),
        (nn.Conv2d(2, 4, 3, groups=2), IMAGES, 2 * (4 * 6 * 6) * (1 * 3 * 3)),
        (nn.ReLU(), X, 0),
        (nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 2)), X, 2 * 3 * (10 * 5 + 5 * 2)),
    ],
)
def test_flops_are_two_a_multiply_accumulate(model, inputs, expected) -> None:
    assert flops(model, inputs) == expected


class Attention(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


class LastOfLstm(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (Attention(), torch.zeros(1, 1, 4, 8), 2 * (4 * 4 * 8) + 2 * (4 * 4 * 8)),
        (LastOfLstm(8, 16), torch.zeros(3, 1, 8), 2 * 3 * (4 * 16) * (8 + 16)),
        (
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(),
            torch.zeros(1, 4, 8),
            2 * 4 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * (2 * 4 * 4 * 8),
        ),
    ],
)
def test_flops_of_layers_with_fused_kernels(model, inputs, expected) -> None:
    before = (torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled())
    assert flops(model, inputs) == expected
    assert (torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()) == before


def test_flops_leave_no_graph_behind() -> None:
    layer = nn.Linear(10, 5)
    flops(layer, X)
    assert layer.weight.grad is None


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: torch.empty(6), 6 * 4),
        (lambda: torch.relu(X), 30 * 4),
        (lambda: nn.functional.relu(torch.ones(3, 10), inplace=True), 30 * 4),
        (lambda: X.add_(0), 0),
        (lambda: X.view(10, 3), 0),
        (lambda: X.t(), 0),
        (lambda: X[1:], 0),
        (lambda: X.split(1), 0),
        (lambda: X.contiguous(), 0),
        (lambda: X.t().contiguous(), 30 * 4),
        (lambda: X.half(), 30 * 2),
        (lambda: torch.nn.functional.linear(X, torch.zeros(5, 10)), (50 + 15) * 4),
        (lambda: torch.empty(4).resize_(6), 4 * 4 + 2 * 4),
        (lambda: [torch.relu(X) for _ in range(3)], 3 * 30 * 4),
        (lambda: torch.max(X, dim=1), 3 * 4 + 3 * 8),
        (lambda: None, 0),
    ],
)
def test_bytes_allocated(call, expected: int) -> None:
    assert bytes_allocated(call) == expected


def test_storage_that_is_freed_and_made_again_counts_each_time() -> None:
    def call() -> None:
        for _ in range(4):
            torch.empty(100)

    assert bytes_allocated(call) == 4 * 400


def test_a_failing_call_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        bytes_allocated(lambda: 1 / 0)
    assert bytes_allocated(lambda: torch.empty(1)) == 4
