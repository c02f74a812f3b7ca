"""Weights in few bits: a language model reads each weight for each token, so that fewer bits are read sooner.

Record: tactics/weights-in-few-bits.yaml. The tactic keeps 4 bits for each weight, with a scale and an offset
for 32 of one row, and 8 bits in the read-out, as the file of the model does. Rivals keep 8 bits with a scale
for each row, or bfloat16, half the bytes of the baseline's float32; another has the bits of the tactic in
products of ONNX Runtime. Reading weights is not the limit for many rows at a time: those with few bits are
widened then, and arithmetic in bfloat16 does the rest.

The weights had 4 bits already, in the same groups: rounding to these gives them back, so that the quality
lost is that of scales and inputs in fewer bits, and not that of rounding a model that was trained in 16.

    python -m recipes.weights_in_few_bits --arm tactic --seed 0 --preset default

On one processor core an arm takes about half a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`, and the arm `onnx_runtime` the extra `onnx`. Published seeds, from 1000,
read other texts than those below.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.llama import Cache, Llama
from recipes.language.products import NetOfProducts, Product
from recipes.language.quality import surprises
from recipes.language.texts import language_reference

TACTIC = "weights-in-few-bits"
ARMS = ("baseline", "tactic", "eight_bits", "bfloat16", "onnx_runtime")
METRICS: MetricTable = {
    "token_cpu_ms": ("ms", "lower", "measured", "Processor time of a new token of one request."),
    "token_wall_ms": ("ms", "lower", "measured", "Time of a new token of one request."),
    "batch_token_cpu_ms": ("ms", "lower", "measured", "Processor time of a new token in a batch."),
    "reading_cpu_ms": ("ms", "lower", "measured", "Processor time of a token of a prompt that is read."),
    "packing_cpu_s": ("s", "lower", "measured", "Processor time of bringing weights into their form, once."),
    "weight_bytes": ("bytes", "lower", "counted", "All forms of the weights in products."),
    "held_out_nats": (
        "nats",
        "lower",
        "measured",
        "Mean over texts, drawn by the seed, of the loss of a token.",
    ),
}
MANY_ROWS = {4: 48, 8: 12}
"""From so many rows on, by bits, widening the weights first takes less than the kernel for few rows.

Read from times of both with 8 to 256 rows, on a processor with AVX-512 and AMX.
"""


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    prompt: int = 128
    """Tokens read before those written."""
    new_tokens: int = 32
    """Tokens written behind the prompt."""
    batch: int = 8
    """Requests of a batch."""
    texts: int = 16
    """Texts that judge."""
    longest: int = 96
    """Tokens of a text that count there."""


SMOKE = Config(net="tiny", prompt=40, new_tokens=4, batch=2, texts=4)
DEFAULT = Config()
FULL = Config(prompt=512, new_tokens=128, batch=16, texts=64, longest=512)

# --- The tactic, its baseline and rivals: products that hold weights (outputs, inputs) -------------------


# --8<-- [start:tactic]
def in_few_bits(net: Llama) -> NetOfProducts:
    """Return the net with layers in 4 bits and the embedding, which reads out, in 8."""
    return NetOfProducts(net, four_bits, eight_bits)


def four_bits(weights: Tensor, group: int = 32) -> Product:
    """Keep weights in 4 bits, those of a row in groups that share a scale and an offset."""
    outputs, more = len(weights), -weights.shape[1] % group
    filled = F.pad(weights, (0, more, 0, -outputs % 16))  # sizes that the kernel takes
    grouped = filled.view(len(filled), -1, group)  # (outputs, groups, group)
    lowest, highest = grouped.aminmax(dim=2, keepdim=True)
    scale = ((highest - lowest) / 15).clamp(min=1e-12)
    codes = ((grouped - lowest) / scale).round().to(torch.uint8)  # 0 to 15
    # a weight is (code - 8) scale + offset; (groups, outputs, 2)
    scales = torch.cat((scale, lowest + 8 * scale), 2).bfloat16().transpose(0, 1).contiguous()
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.flatten(1).int(), 2)
    # again in an order known here, outputs last: long rows to widen; (groups, group / 2, outputs)
    first, second = codes.permute(1, 2, 0).contiguous().chunk(2, dim=1)
    pairs = first | second << 4

    def widened() -> Tensor:
        codes = torch.cat((pairs & 15, pairs >> 4), dim=1).view(torch.int8).sub_(8)
        scale, offset = (each[:, None].contiguous() for each in scales.unbind(2))  # (groups, 1, outputs)
        return torch.addcmul(offset, codes.bfloat16(), scale).flatten(0, 1)  # (inputs, outputs)

    def multiply(x: Tensor) -> Tensor:
        x = (F.pad(x, (0, more)) if more else x).bfloat16()
        if len(x) < MANY_ROWS[4]:
            product = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group, scales)
        else:
            product = x @ widened()
        wanted: Tensor = product[:, :outputs].float()
        return wanted

    return Product(multiply, (pairs, scales, packed))


def eight_bits(weights: Tensor) -> Product:
    """Keep weights in 8 bits, with a scale for each row."""
    scale = weights.abs().amax(1).clamp(min=1e-12) / 127  # (outputs,)
    codes, short = (weights / scale[:, None]).round().to(torch.int8), scale.bfloat16()

    def multiply(x: Tensor) -> Tensor:
        if len(x) < MANY_ROWS[8]:
            return torch._weight_int8pack_mm(x.bfloat16(), codes, short).float()
        return F.linear(x.bfloat16(), codes.bfloat16()).float() * short

    return Product(multiply, (codes, short))


# --8<-- [end:tactic]


def bfloat16(weights: Tensor) -> Product:
    """Keep weights in bfloat16; one row has a kernel of its own, which does not rearrange them first."""
    short = weights.bfloat16()

    def multiply(x: Tensor) -> Tensor:
        x = x.bfloat16()
        return (torch.mv(short, x[0])[None] if len(x) == 1 else F.linear(x, short)).float()

    return Product(multiply, (short,))


def onnx_runtime(weights: Tensor, bits: int = 4, group: int = 32) -> Product:
    """Keep weights in 4 or 8 bits as ONNX Runtime does, which multiplies 8-bit inputs by them as integers."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.capi import _pybind_state as kernels

    outputs, inputs = weights.shape
    groups = -(-inputs // group)
    codes = np.zeros((outputs, groups, group * bits // 8), np.uint8)
    scales = np.zeros(outputs * groups, np.float32)
    zeros = np.zeros(outputs * -(-groups * bits // 8), np.uint8)  # code of a weight of nothing
    quantise = {4: kernels.quantize_matmul_4bits, 8: kernels.quantize_matmul_8bits}[bits]
    by_input = np.ascontiguousarray(weights.T.numpy())
    is_symmetric = False
    quantise(codes, by_input, scales, zeros, group, outputs, inputs, is_symmetric)
    node = helper.make_node(
        "MatMulNBits",
        ["x", "codes", "scales", "zeros"],
        ["product"],
        domain="com.microsoft",
        K=inputs,
        N=outputs,
        bits=bits,
        block_size=group,
        accuracy_level=4,
    )
    held: dict[str, npt.NDArray[Any]] = {"codes": codes, "scales": scales, "zeros": zeros}
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", inputs])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["rows", outputs])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return Product(
        lambda x: torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0]),
        tuple(map(torch.from_numpy, held.values())),
    )


def float32(weights: Tensor) -> Product:
    """Keep weights as they are."""
    return Product(lambda x: F.linear(x, weights), (weights,))


# --- Run -------------------------------------------------------------------------------------------------


def net_of(arm: str, net: Llama) -> NetOfProducts:
    """Return the net with the weights of an arm."""
    if arm == "tactic":
        return in_few_bits(net)
    if arm == "onnx_runtime":
        return NetOfProducts(net, onnx_runtime, partial(onnx_runtime, bits=8))
    pack = {"baseline": float32, "eight_bits": eight_bits, "bfloat16": bfloat16}[arm]
    return NetOfProducts(net, pack, pack)


@torch.inference_mode()
def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Pack the weights; read a prompt and go on from it alone and in a batch; judge other texts."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts, draw = language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    part = [model.encode(text.text) for text in (texts.test if seed >= 1000 else texts.search)]
    prompts = torch.tensor(
        [
            draw.choice([text for text in part if len(text) >= config.prompt])[: config.prompt]
            for _ in range(config.batch)
        ]
    )
    with meter.window("packing") as packing:
        net = net_of(arm, model.net)
    spent = {}
    for name, rows in (("one", prompts[:1]), ("batch", prompts)):
        cache = Cache(model.net.config, len(rows), config.prompt + config.new_tokens + 1, net.embedding)
        net(rows[:, :2], cache=cache, last_only=True)  # memory and threads are set up
        net(rows[:, :1], cache=cache, last_only=True)
        cache.length = 0
        with meter.window(f"reading {name}") as reading:
            new = net(rows, cache=cache, last_only=True).argmax(-1)  # (requests, 1)
        with meter.window(f"writing {name}") as writing:
            for _ in range(config.new_tokens):
                new = net(new, cache=cache, last_only=True).argmax(-1)
        spent[name] = reading, writing
    judged = [text[: config.longest] for text in draw.sample(part, config.texts)]
    found = surprises(net, judged)  # (texts,)
    written = 1000 / config.new_tokens
    metrics = {
        "token_cpu_ms": written * spent["one"][1].cpu_s,
        "token_wall_ms": written * spent["one"][1].duration_s,
        "batch_token_cpu_ms": written * spent["batch"][1].cpu_s / config.batch,
        "reading_cpu_ms": 1000 * spent["one"][0].cpu_s / config.prompt,
        "packing_cpu_s": packing.cpu_s,
        "weight_bytes": net.held_bytes,
        "held_out_nats": float(found.mean()),
    }
    details: dict[str, Json] = {
        "nats_by_text": found.tolist(),
        "net": {"name": model.name, "sha256": model.sha256},
    }
    return Outcome(metrics, texts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
