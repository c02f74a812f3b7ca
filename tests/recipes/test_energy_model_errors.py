"""What `estimate` refuses: each message says where, what was expected, what came, and the cure."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from recipes.common.energy.model import EYERISS, estimate


@pytest.mark.parametrize(
    ("example_input", "got"),
    [
        ([[1.0]], "got list; pass one batch of inputs"),
        (torch.ones(1, 4, dtype=torch.int64), r"got torch.int64; pass one batch"),
        (torch.ones(4), r"got \[4\]; add a batch axis"),
        (torch.ones(0, 4), r"got \[0, 4\]; add a batch axis"),
    ],
)
def test_example_input(example_input, got):
    with pytest.raises(ValueError, match=rf"^example_input: expected .*{got}"):
        estimate(nn.Linear(4, 2), example_input, batch_size=1)


@pytest.mark.parametrize("batch_size", [0, -3, 1.5, True, "8"])
def test_batch_size(batch_size):
    with pytest.raises(ValueError, match=rf"^batch_size: expected .* got {batch_size!r}; pass the number"):
        estimate(nn.Linear(4, 2), torch.ones(1, 4), batch_size=batch_size)


def test_model_without_layers():
    with pytest.raises(ValueError, match=r"^Sequential: expected a call .* got none; pass the model"):
        estimate(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4)), torch.ones(1, 4), batch_size=1)


def test_every_unknown_layer_is_named_with_its_type():
    model = nn.Sequential()
    model.fine = nn.Conv2d(1, 1, 3)
    model.norm = nn.LayerNorm([2, 2])
    model.decode = nn.ConvTranspose2d(1, 1, 2)
    model.words = nn.Embedding(5, 4)
    model.inner = nn.Sequential(nn.LSTM(4, 4), nn.PReLU(3))
    model.attention = nn.MultiheadAttention(4, 1)
    refused = (
        r"got decode \(ConvTranspose2d\), words \(Embedding\), inner.0 \(LSTM\), "
        r"attention \(MultiheadAttention\); estimate the parts without"
    )
    with pytest.raises(ValueError, match=refused):
        estimate(model, torch.ones(1, 1, 4, 4), batch_size=1)


def test_unknown_model_without_a_name():
    with pytest.raises(ValueError, match=r"got the model itself \(ConvTranspose1d\)"):
        estimate(nn.ConvTranspose1d(1, 1, 1), torch.ones(1, 1, 4), batch_size=1)


def test_products_outside_of_layers():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = nn.Linear(4, 4)

        def forward(self, tokens):
            query = self.query(tokens)
            return torch.softmax(query @ query.transpose(1, 2), -1).matmul(query) + nn.functional.conv1d(
                tokens, torch.ones(3, 3, 1)
            )

    with pytest.raises(
        ValueError, match=r"^Attention: expected all products .* got conv1d, matmul outside of"
    ):
        estimate(Attention(), torch.ones(1, 3, 4), batch_size=1)


@pytest.mark.filterwarnings("ignore:torch.chain_matmul", "ignore:Sparse")
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x, w: torch.linalg.matmul(x, w), "linalg_matmul"),
        (lambda x, w: torch.linalg.multi_dot([x, w, w]), "linalg_multi_dot"),
        (lambda x, w: torch.chain_matmul(x, w, w), "chain_matmul"),
        (lambda x, w: torch.linalg.vecdot(x[:, None], w[None]), "linalg_vecdot"),
        (lambda x, w: torch.sparse.mm(w.to_sparse(), x.T).T, "_sparse_mm"),
        (lambda x, w: torch.cdist(x, w), "cdist"),
        (lambda x, w: torch.conv_tbc(x[:, None], w[None], torch.zeros(8)), "conv_tbc"),
        (lambda x, w: torch.linalg.solve(w, x.T).T, "linalg_solve"),
        (lambda x, w: w.clone().addmm_(w, w), "addmm_"),
        (lambda x, w: torch.fft.rfft(x).abs(), "fft_rfft"),
    ],
)
def test_rarer_products_outside_of_layers(function, name):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.register_buffer("matrix", torch.eye(8))

        def forward(self, inputs):
            return function(self.layer(inputs), self.matrix)

    with pytest.raises(ValueError, match=f"^{name}: expected all products inside .*; put its work in such"):
        estimate(Net(), torch.rand(4, 8), batch_size=1)


def test_a_vector_norm_is_no_product():
    class Net(nn.Sequential):
        def forward(self, inputs):
            outputs = super().forward(inputs)
            return outputs / torch.linalg.vector_norm(outputs, dim=1, keepdim=True)

    assert estimate(Net(nn.Linear(8, 8)), torch.rand(4, 8), batch_size=1).dense_macs == 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_modules_are_not_taken_for_free():
    floating = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    quantised = torch.ao.quantization.quantize_dynamic(floating, {"2"}, dtype=torch.qint8)
    with pytest.raises(ValueError, match="got linear_dynamic outside of them"):
        estimate(quantised, torch.ones(1, 4), batch_size=1)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Flatten(0, 1), nn.Linear(4, 2)), (2, 3, 4)),
        (nn.Sequential(nn.Flatten(0), nn.Linear(8, 2)), (2, 4)),
        (nn.Sequential(nn.Conv2d(2, 2, 1)), (2, 4, 4)),
    ],
)
def test_batch_axis_that_is_lost(model, shape):
    expected = r"^[01]: expected input of shape \[2, ...\] .* got \[.*\]; keep the batch axis first"
    with pytest.raises(ValueError, match=expected):
        estimate(model, torch.ones(shape), batch_size=1)


def test_buffer_too_small_for_one_row():
    hardware = replace(EYERISS, buffer_bytes=2 * (9 + 3 * 5 + 3 - 1))
    with pytest.raises(
        ValueError, match=r"^0: expected one output row .* 52 bytes, got input rows of 5 .* use"
    ):
        estimate(nn.Sequential(nn.Conv2d(1, 1, 3)), torch.ones(1, 1, 5, 5), batch_size=1, hardware=hardware)


@pytest.mark.parametrize("field", ["rows", "weight_bits", "dram_energy"])
def test_hardware_without_a_part(field):
    with pytest.raises(ValueError, match=rf"^Hardware.{field}: expected more than 0, got 0; see EYERISS"):
        replace(EYERISS, **{field: 0})
