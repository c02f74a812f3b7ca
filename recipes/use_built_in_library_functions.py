"""Library functions: layers put together from tensor operations, and the library's kernels in their place.

Record: tactics/use-built-in-library-functions.yaml. Source: Shanbhag et al., "Towards a Catalog of Energy
Patterns in Deep Learning Development", EASE 2022; the change is that of "Accelerating Large Language Models
with Accelerated Transformers" (PyTorch blog, 2023), there for attention only and on eight GPUs.

The net is a small vision transformer. The baseline is code as a competent developer writes it: whole batches
of tensor operations, with `F.unfold` and one matrix product for a convolution. The tactic swaps convolution,
layer norm and attention for the library's, with the same weights, and checks that the outputs stay the same.
The rival `compiled` leaves the code as it is and has torch.compile fuse it; its training pays for compiling,
C++ compiler included, with no cache from before. Everything else is the library's in all arms.

    python -m recipes.use_built_in_library_functions --arm tactic --seed 0 --preset default
"""

from __future__ import annotations

import atexit
import copy
import math
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import is_in_torch_dispatch_mode
from torch.utils._pytree import tree_leaves

from recipes.common.nets.checks import fault, in_training, label, wrapped
from recipes.common.nets.data import Images, load_images
from recipes.common.nets.report import bytes_allocated, flops
from recipes.common.run import cli
from recipes.common.run.contract import CannotRun, Deployable, Json, Meter, MetricTable, Outcome
from recipes.common.timing.protocol import interleave, ratios

TACTIC = "use-built-in-library-functions"
ARMS = ("baseline", "tactic", "compiled")
METRICS: MetricTable = {
    "training_cpu_s": ("s", "lower", "measured",
        "Processor time of training, with replacing the layers or compiling them."),
    "compile_cpu_s": ("s", "lower", "measured",
        "Part of the processor time of training that compiling takes: the first forward and backward pass."),
    "test_accuracy": ("fraction", "higher", "measured", "Fraction of the test images classified correctly."),
    "largest_output_difference": ("ratio", "lower", "measured",
        "Largest difference of a logit from the hand-written net's, over its largest logit."),
    "step_allocated_bytes": ("bytes", "lower", "counted",
        "Bytes of tensors allocated by the forward and backward pass of a training step of 64 images."),
    "forward_flops": ("count", "lower", "counted",
        "Floating-point operations of matrix products, convolutions and attention, one image."),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    second_stride: int = 2
    """Stride of the second convolution: with 2, a 28x28 image becomes 49 tokens, with 1, 196."""
    blocks: int = 2
    """Transformer blocks."""
    steps: int = 300
    """Training steps of 64 images; 860 are one epoch of Fashion-MNIST."""
    learning_rate: float = 4e-3
    """Peak of the learning rate, chosen on validation images among 1, 2, 4 and 8 thousandths."""
    operation_cap_s: float = 2.0
    """Longest time for which one operation is timed."""
    compiler: str = "inductor"
    """Backend of torch.compile; `aot_eager` traces the net as `inductor` does, but compiles nothing."""


SMOKE = Config(data=("digits",), steps=25, operation_cap_s=0.01, compiler="aot_eager")
DEFAULT = Config()
FULL = Config(second_stride=1, blocks=4, steps=860)

# --- The tactic ------------------------------------------------------------------------------------------

Replacements = Mapping[type[nn.Module], Callable[[Any], nn.Module]]


# --8<-- [start:tactic]
def use_library_functions(
    model: nn.Module, replacements: Replacements, example_inputs: Tensor, *, tolerance: float | None = None
) -> nn.Module:
    """Return the net with its hand-written modules replaced by library ones that share their weights.

    Training either net trains the other. Modules of other types are copied, and the net given stays whole.

    Args:
        model: Net in evaluation mode; returns tensors, alone or in tuples, lists and dictionaries.
        replacements: By type of a hand-written module, a function that takes such a module and returns one
            that computes the same with library functions, on the same parameter objects.
        example_inputs: Inputs like those of use, (examples, ...), on which the outputs are compared.
        tolerance: Largest difference of an output, as a share of the largest number in it. Unless told, one
            ten-thousandth, or four roundings of the coarsest weight, which are 0.031 in bfloat16.

    Raises:
        ValueError: The net is in training mode, compiled, or cannot be copied; no module has one of the
            types; or the outputs differ.
    """
    if not isinstance(example_inputs, Tensor):
        raise ValueError(f"example_inputs: expected one tensor, got {type(example_inputs).__name__}")
    if reason := in_training(model) or wrapped(model) or computed(model):
        raise ValueError(reason)
    found = [module for module in model.modules() if type(module) in replacements]
    if not found:
        names = ", ".join(kind.__name__ for kind in replacements)
        raise ValueError(f"nothing was replaced: the net has no module of type {names}")
    kept = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    new = {id(module): replacements[type(module)](module).train(module.training) for module in found}
    # deepcopy takes what its memo has for an object instead of copying it
    replaced = copy.deepcopy(model, {**kept, **new})
    difference = largest_difference(model, replaced, example_inputs)
    if tolerance is None:
        kinds = {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
        tolerance = max([1e-4, *(4 * torch.finfo(kind).eps for kind in kinds)])
    if not difference <= tolerance:
        raise ValueError(f"outputs differ by {difference:.2g} of the largest, expected at most {tolerance:g}")
    return replaced


# --8<-- [end:tactic]
# --- What the tactic looks at ----------------------------------------------------------------------------


@torch.no_grad()
def largest_difference(model: nn.Module, other: nn.Module, inputs: Tensor) -> float:
    """Return the largest difference of an output, as a share of the largest number in it of the first net.

    Both nets draw the same where they draw at random, and get copies of the inputs.

    Returns:
        That of the output that differs most; infinity where one is not a number.

    Raises:
        ValueError: The nets return no tensors, or such of other shapes or types.
    """
    wanted, found = _tensors(model, inputs), _tensors(other, inputs)
    forms = [[(tuple(tensor.shape), tensor.dtype) for tensor in tensors] for tensors in (wanted, found)]
    if forms[0] != forms[1] or not wanted:
        raise ValueError(f"expected tensors as outputs, the same of both nets, got {forms[0]} and {forms[1]}")
    differences = [0.0]
    for one, another in zip(wanted, found, strict=True):
        if not torch.equal(one, another):  # equal ones may be zero, with no largest number to divide by
            apart = float((another.double() - one.double()).abs().max() / one.double().abs().max())
            differences.append(math.inf if math.isnan(apart) else apart)
    return max(differences)


def _tensors(net: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Return the tensors among a net's outputs; torch's random state is put back."""
    with torch.random.fork_rng(devices=[]):
        leaves = tree_leaves(net(inputs.clone()))
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def computed(model: nn.Module) -> str:
    """Return which tensor is computed from others, so that it can neither be copied nor shared."""
    for name, module in model.named_modules():
        for part, value in vars(module).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                where, cure = (
                    f"{label(name, module)}, {part}",
                    "torch.nn.utils.remove_weight_norm, or detach it",
                )
                return fault(where, "a parameter or buffer", "what was computed from others", f"use {cure}")
    return ""


# --- The net by hand, and its counterparts in the library ------------------------------------------------


class HandConvolution(nn.Module):
    """Convolution as one matrix product: (batch, channels, height, width) to the same, by im2col."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter, stride: int, padding: int) -> None:
        super().__init__()
        self.weight, self.bias, self.stride, self.padding = weight, bias, stride, padding

    def forward(self, images: Tensor) -> Tensor:
        """Unfold the windows into columns and multiply; the kernel is square."""
        kernel = self.weight.shape[-1]
        height, width = ((side + 2 * self.padding - kernel) // self.stride + 1 for side in images.shape[2:])
        columns = F.unfold(images, kernel, padding=self.padding, stride=self.stride)
        outputs = self.weight.flatten(1) @ columns + self.bias[:, None]
        return outputs.view(*outputs.shape[:2], height, width)


def library_convolution(hand: HandConvolution) -> nn.Conv2d:
    """Return the library's convolution on the same weights."""
    outputs, inputs, kernel, _ = hand.weight.shape
    layer = nn.Conv2d(inputs, outputs, kernel, stride=hand.stride, padding=hand.padding, device="meta")
    layer.weight, layer.bias = hand.weight, hand.bias
    return layer


class HandLayerNorm(nn.Module):
    """Layer norm over the last dimension, (..., width) to the same."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias, self.epsilon = weight, bias, epsilon

    def forward(self, inputs: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation."""
        mean = inputs.mean(-1, keepdim=True)
        variance = inputs.var(-1, correction=0, keepdim=True)
        return (inputs - mean) / torch.sqrt(variance + self.epsilon) * self.weight + self.bias


def library_layer_norm(hand: HandLayerNorm) -> nn.LayerNorm:
    """Return the library's layer norm on the same weights."""
    layer = nn.LayerNorm(len(hand.weight), eps=hand.epsilon, device="meta")
    layer.weight, layer.bias = hand.weight, hand.bias
    return layer


class HandAttention(nn.Module):
    """Self-attention with several heads: (batch, tokens, width) to the same."""

    def __init__(self, projection: nn.Linear, output: nn.Linear, heads: int) -> None:
        super().__init__()
        self.projection, self.output, self.heads = projection, output, heads

    def forward(self, tokens: Tensor) -> Tensor:
        """Project to queries, keys and values, attend within each head, and project back."""
        parts = self.projection(tokens).chunk(3, -1)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.output(self.attend(query, key, value).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend, (batch, heads, tokens, channels) to the same."""
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        return scores.softmax(-1) @ value


class LibraryAttention(HandAttention):
    """The same with the library's kernel, which does not store the scores."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend, (batch, heads, tokens, channels) to the same."""
        return F.scaled_dot_product_attention(query, key, value)


LIBRARY: Replacements = {
    HandConvolution: library_convolution,
    HandLayerNorm: library_layer_norm,
    HandAttention: lambda hand: LibraryAttention(hand.projection, hand.output, hand.heads),
}


class Block(nn.Module):
    """Transformer block with normalisation first: (batch, tokens, width) to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.perceptron_norm = hand_layer_norm(width), hand_layer_norm(width)
        self.attention = HandAttention(nn.Linear(width, 3 * width), nn.Linear(width, width), heads)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Add what attention and the perceptron find."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.perceptron(self.perceptron_norm(tokens))  # type: ignore[no-any-return]


class HandVisionTransformer(nn.Module):
    """Vision transformer, grey images (batch, 1, side, side) to (batch, 10) logits; seed torch first."""

    def __init__(self, side: int, second_stride: int, blocks: int, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.stem1 = hand_convolution(1, width // 2, stride=2)
        self.stem2 = hand_convolution(width // 2, width, stride=second_stride)
        tokens = math.ceil(math.ceil(side / 2) / second_stride) ** 2
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.head = hand_layer_norm(width), nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Make tokens by two convolutions, transform them, and classify their mean."""
        tokens = self.stem2(self.stem1(images).relu()).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))  # type: ignore[no-any-return]


def hand_convolution(inputs: int, outputs: int, stride: int) -> HandConvolution:
    """Return a 3x3 convolution with a border of 1 and random weights."""
    weight = nn.init.kaiming_uniform_(torch.empty(outputs, inputs, 3, 3), nonlinearity="relu")
    return HandConvolution(nn.Parameter(weight), nn.Parameter(torch.zeros(outputs)), stride, padding=1)


def hand_layer_norm(width: int) -> HandLayerNorm:
    """Return a layer norm that scales by 1 and shifts by 0."""
    return HandLayerNorm(nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)))


# --- The rival -------------------------------------------------------------------------------------------


class Compiled(nn.Module):
    """A net under torch.compile, which compiles at the first call with inputs of a shape.

    It is saved as the net it holds, and compiles anew where it is loaded. Exported or
    counted, it is that net: a runtime does not take code that inductor has made, and counters do not see it.

    Raises:
        CannotRun: There is no C++ compiler, which inductor needs.
    """

    def __init__(self, net: nn.Module, compiler: str) -> None:
        super().__init__()
        cxx = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if compiler == "inductor" and shutil.which(cxx) is None:
            raise CannotRun(f"torch.compile: expected the C++ compiler {cxx}, found none; install g++")
        self.net, self.compiler, self.training = net, compiler, net.training
        # one thread compiles in this process, whose children's time is counted; workers' would not be
        options: dict[str, str | int | bool | Callable[..., object]] = {"compile_threads": 1}
        self.call = torch.compile(
            net.forward, backend=compiler, dynamic=False, options=options if compiler == "inductor" else None
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return what the net does."""
        plain = torch.compiler.is_compiling() or is_in_torch_dispatch_mode()
        return self.net(images) if plain else self.call(images)  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[type[Compiled], tuple[nn.Module, str]]:
        """Leave what was compiled behind."""
        return Compiled, (self.net, self.compiler)


def forget_compiled_code() -> None:
    """Have inductor write to an empty folder, so that code of an earlier run spares this one nothing."""
    folder = os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


# --- Run -------------------------------------------------------------------------------------------------


def train(model: nn.Module, images: Images, config: Config, seed: int) -> None:
    """Train in place; the learning rate rises for a fifth of the steps, then falls to zero."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=config.steps,
        pct_start=0.2,
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    generator, count = torch.Generator().manual_seed(seed), len(images.train_images)
    model.train()
    for chosen in torch.randint(count, (config.steps, 64), generator=generator):
        optimizer.zero_grad()
        backward(model, images.train_images[chosen], images.train_labels[chosen])
        optimizer.step()
        rate.step()
    model.eval()


def backward(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Compute the loss and its gradients."""
    F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]


def operation_rows(
    hand: HandVisionTransformer, library: nn.Module, images: Tensor, cap_s: float
) -> list[dict[str, Json]]:
    """Return a row for each operation and shape: processor time by hand over the library's, both passes."""
    tokens, between = torch.randn(len(images), *hand.positions.shape), hand.stem1(images).relu()
    wide = tokens.repeat(1, 4, 1)  # attention gains by the number of tokens
    attention = "blocks.0.attention"
    rows = list[dict[str, Json]]()
    for name, given in (
        ("stem1", images), ("stem2", between), ("norm", tokens), (attention, tokens), (attention, wide)
    ):  # fmt: skip
        inputs = given.detach().requires_grad_(name != "stem1")
        layers = {"baseline": hand.get_submodule(name), "tactic": library.get_submodule(name)}
        cells = {arm: partial(gradients, layer, inputs) for arm, layer in layers.items()}
        readings = interleave(cells, order_seed=0, cell_s=cap_s / 100, least_rounds=8, cap_s=cap_s)
        ratio = ratios(readings.cpu_ms)["tactic"]
        rows.append({
            "operation": type(layers["baseline"]).__name__.removeprefix("Hand"),
            "input": " x ".join(map(str, inputs.shape)),
            "cpu_ms_by_hand": statistics.median(readings.cpu_ms["baseline"]),
            "times_lower_by_library": ratio.value,
            "low_end": ratio.low,
            "high_end": ratio.high,
            "largest_output_difference": largest_difference(layers["baseline"], layers["tactic"], inputs),
        })  # fmt: skip
    return rows


def gradients(module: nn.Module, inputs: Tensor) -> None:
    """Compute outputs and gradients, those of the inputs only where training needs them."""
    outputs = module(inputs)
    wanted = [*module.parameters(), *([inputs] if inputs.requires_grad else [])]
    torch.autograd.grad(outputs, wanted, torch.ones_like(outputs))


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images(config.data, config.data_dir)
    first = images.train_images[:64], images.train_labels[:64]
    torch.manual_seed(seed)
    hand = HandVisionTransformer(images.train_images.shape[-1], config.second_stride, config.blocks).eval()
    net: nn.Module = hand
    metrics = dict[str, float]()
    if arm == "compiled":
        forget_compiled_code()
    before = os.times()
    with meter.window("training") as window:
        if arm == "tactic":
            net = use_library_functions(hand, LIBRARY, first[0])
        elif arm == "compiled":
            net = Compiled(hand, config.compiler).train()
            backward(net, *first)
            metrics["compile_cpu_s"] = sum(os.times()[:4]) - sum(before[:4])
        train(net, images, config, seed)
    compilers_cpu_s = sum(os.times()[2:4]) - sum(before[2:4])  # the window has this process's time alone
    metrics["training_cpu_s"] = window.cpu_s + compilers_cpu_s
    metrics["forward_flops"] = flops(net, first[0][:1])
    if arm != "compiled":  # of which the counter would see the code as it was written
        metrics["step_allocated_bytes"] = bytes_allocated(partial(backward, net, *first))
    rows = operation_rows(hand, net, first[0], config.operation_cap_s) if arm == "tactic" else []
    batches = torch.split(images.test_images, 50)  # of one size, so that code for it is compiled once
    with torch.no_grad():
        found = torch.cat([net(batch).argmax(1) for batch in batches])
    metrics["test_accuracy"] = float((found == images.test_labels).double().mean())
    if net is not hand:  # they share their weights
        hand.eval()
        differences = (largest_difference(hand, net, batch) for batch in batches[:40])
        metrics["largest_output_difference"] = max(differences)
    shipped = Deployable(net, images.train_images[:256], images.test_images[:2000], images.test_labels[:2000])
    return Outcome(metrics, images.used, {"operations": rows} if rows else {}, deployable=shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
