"""Library functions: convolution, layer norm and attention written by hand, and the library's kernels.

Record: tactics/use-built-in-library-functions.yaml. Source: Shanbhag et al., "Towards a Catalog of Energy
Patterns in Deep Learning Development", EASE 2022; the change is that of "Accelerating Large Language Models
with Accelerated Transformers" (PyTorch blog, 2023), there for attention only and on eight GPUs.

The net is a small vision transformer. The baseline is code as a competent developer writes it: whole batches
of tensor operations, with `F.unfold` and one matrix product for a convolution. The tactic swaps these layers
for the library's, with the same weights, and checks that the outputs stay the same. `python_loops` is a straw
man, no rival: loops over pixels, tokens, images and heads. Linear layers, GELU, softmax, the loss and the
optimizer are the library's in all arms.

    python -m recipes.use_built_in_library_functions --arm tactic --seed 0 --preset default

On one processor core an arm takes about 30 s with DEFAULT, `python_loops` 55 s, and up to 5 s with SMOKE.
"""

from __future__ import annotations

import copy
import math
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from recipes.common.nets.checks import fault, in_training, label, wrapped
from recipes.common.nets.data import Images, load_images
from recipes.common.nets.report import bytes_allocated, flops
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome
from recipes.common.timing.protocol import interleave, ratios

TACTIC = "use-built-in-library-functions"
ARMS = ("baseline", "tactic", "python_loops")


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


SMOKE = Config(data=("digits",), steps=25, operation_cap_s=0.01)
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
    if in_training(model):
        raise ValueError(in_training(model))
    replaced = replace_modules(model, replacements)
    difference = largest_difference(model, replaced, example_inputs)
    if tolerance is None:
        kinds = {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
        tolerance = max([1e-4, *(4 * torch.finfo(kind).eps for kind in kinds)])
    if not difference <= tolerance:
        raise ValueError(f"outputs differ by {difference:.2g} of the largest, expected at most {tolerance:g}")
    return replaced


def replace_modules(model: nn.Module, replacements: Replacements) -> nn.Module:
    """Return a copy that shares the weights and has modules of the given types replaced.

    Raises:
        ValueError: The net is compiled or cannot be copied, or no module has one of the types.
    """
    if wrapped(model) or _not_copied(model):
        raise ValueError(wrapped(model) or _not_copied(model))
    found = [module for module in model.modules() if type(module) in replacements]
    if not found:
        names = ", ".join(kind.__name__ for kind in replacements)
        raise ValueError(f"nothing was replaced: the net has no module of type {names}")
    kept = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    new = {id(module): replacements[type(module)](module) for module in found}
    # deepcopy takes what its memo has for an object instead of copying it
    return copy.deepcopy(model, {**kept, **new}).train(model.training)


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


def _not_copied(model: nn.Module) -> str:
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


# --8<-- [end:tactic]
# --- The net, by hand ------------------------------------------------------------------------------------
# A small vision transformer with its convolution, layer norm and attention written by hand, in two ways.
#
# The layers named `Hand` work on whole batches, as a competent developer writes them. Those named `Loop` go
# through pixels, tokens, images and heads in Python; they are the straw man that such layers are often
# compared with.


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


class LoopConvolution(HandConvolution):
    """The same with a product for each output pixel."""

    def forward(self, images: Tensor) -> Tensor:
        """Multiply window by window."""
        kernel, stride = self.weight.shape[-1], self.stride
        padded, weights = F.pad(images, (self.padding,) * 4), self.weight.flatten(1).T
        lines = []
        for top in range(0, padded.shape[2] - kernel + 1, stride):
            lefts = range(0, padded.shape[3] - kernel + 1, stride)
            windows = [padded[:, :, top : top + kernel, left : left + kernel].flatten(1) for left in lefts]
            lines.append(torch.stack([window @ weights + self.bias for window in windows], 2))
        return torch.stack(lines, 2)


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


class LoopLayerNorm(HandLayerNorm):
    """The same token by token, (batch, tokens, width) to the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise one token of all images after the other."""
        return torch.stack([super(LoopLayerNorm, self).forward(token) for token in inputs.unbind(1)], 1)


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


class LoopAttention(HandAttention):
    """The same image by image and head by head."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend in one head of one image after the other."""
        pairs = zip(*(part.flatten(0, 1) for part in (query, key, value)), strict=True)
        return torch.stack([super(LoopAttention, self).attend(*pair) for pair in pairs]).view_as(query)


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
    """Vision transformer on grey images: (batch, 1, side, side) to (batch, 10) logits.

    Weights are drawn from torch's global random state: seed it first.

    Args:
        side: Height and width of the images.
        second_stride: Stride of the second convolution; the first has 2.
        blocks: Transformer blocks.
        width: Channels of a token.
        heads: Heads of each attention.
    """

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


PYTHON_LOOPS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    HandConvolution: lambda hand: LoopConvolution(hand.weight, hand.bias, hand.stride, hand.padding),
    HandLayerNorm: lambda hand: LoopLayerNorm(hand.weight, hand.bias, hand.epsilon),
    HandAttention: lambda hand: LoopAttention(hand.projection, hand.output, hand.heads),
}


# --- Counterparts in the library -------------------------------------------------------------------------


class LibraryAttention(HandAttention):
    """The same with the library's kernel."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend without storing the scores."""
        return F.scaled_dot_product_attention(query, key, value)


def library_convolution(hand: HandConvolution) -> nn.Conv2d:
    """Return the library's convolution on the same weights."""
    outputs, inputs, kernel, _ = hand.weight.shape
    layer = nn.Conv2d(inputs, outputs, kernel, stride=hand.stride, padding=hand.padding, device="meta")
    layer.weight, layer.bias = hand.weight, hand.bias
    return layer


def library_layer_norm(hand: HandLayerNorm) -> nn.LayerNorm:
    """Return the library's layer norm on the same weights."""
    layer = nn.LayerNorm(len(hand.weight), eps=hand.epsilon, device="meta")
    layer.weight, layer.bias = hand.weight, hand.bias
    return layer


LIBRARY: Replacements = {
    HandConvolution: library_convolution,
    HandLayerNorm: library_layer_norm,
    HandAttention: lambda hand: LibraryAttention(hand.projection, hand.output, hand.heads),
}

# --- Train and evaluate ----------------------------------------------------------------------------------


def train(model: nn.Module, images: Images, config: Config, seed: int) -> None:
    """Train in place; the learning rate rises for a fifth of the steps, then falls to zero."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    generator, count = torch.Generator().manual_seed(seed), len(images.train_images)
    epochs = range(1 + 64 * config.steps // count)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in epochs])
    model.train()
    for step in range(config.steps):
        triangle = min((step + 1) / (0.2 * config.steps), (config.steps - step) / (0.8 * config.steps))
        optimizer.param_groups[0]["lr"] = config.learning_rate * triangle
        chosen = order[64 * step : 64 * (step + 1)]
        optimizer.zero_grad()
        backward(model, images.train_images[chosen], images.train_labels[chosen])
        optimizer.step()
    model.eval()


def backward(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Compute the loss and its gradients."""
    F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images whose label the net predicts."""
    batches = (model(images[first : first + 250]) for first in range(0, len(images), 250))
    return float((torch.cat([logits.argmax(1) for logits in batches]) == labels).double().mean())


# --- Operation by operation ------------------------------------------------------------------------------


def operation_rows(
    hand: nn.Module, library: nn.Module, images: Tensor, cap_s: float
) -> list[dict[str, Json]]:
    """Return one row an operation and shape: processor time by hand over the library's, both passes."""
    rows = list[dict[str, Json]]()
    for name, inputs in operation_inputs(hand, images):
        by_hand, by_library = hand.get_submodule(name), library.get_submodule(name)
        layers = {"baseline": by_hand, "tactic": by_library}
        cells = {arm: partial(gradients, layer, inputs) for arm, layer in layers.items()}
        readings = interleave(cells, order_seed=0, cell_s=cap_s / 100, least_rounds=8, cap_s=cap_s)
        ratio = ratios(readings.cpu_ms)["tactic"]
        rows.append(
            {
                "operation": type(by_hand).__name__.removeprefix("Hand"),
                "input": " x ".join(map(str, inputs.shape)),
                "cpu_ms_by_hand": statistics.median(readings.cpu_ms["baseline"]),
                "times_lower_by_library": ratio.value,
                "low_end": ratio.low,
                "high_end": ratio.high,
                "largest_output_difference": largest_difference(by_hand, by_library, inputs),
            }
        )
    return rows


def operation_inputs(model: nn.Module, images: Tensor) -> list[tuple[str, Tensor]]:
    """Return a module of each replaced type and shape, with its input; attention at 4x the tokens too."""
    found = dict[tuple[type[nn.Module], torch.Size], tuple[str, Tensor]]()

    def note(name: str, module: nn.Module, inputs: tuple[Tensor]) -> None:
        shapes = [inputs[0], inputs[0].repeat(1, 4, 1)] if isinstance(module, HandAttention) else inputs
        for tensor in shapes:
            detached = tensor.detach().requires_grad_(tensor.requires_grad)
            found.setdefault((type(module), tensor.shape), (name, detached))

    modules = [(name, module) for name, module in model.named_modules() if type(module) in LIBRARY]
    hooks = [module.register_forward_pre_hook(partial(note, name)) for name, module in modules]
    model(images)
    for hook in hooks:
        hook.remove()
    return list(found.values())


def gradients(module: nn.Module, inputs: Tensor) -> None:
    """Compute outputs and gradients, those of the inputs only where training needs them."""
    wanted = [*module.parameters(), *([inputs] if inputs.requires_grad else [])]
    outputs = module(inputs)
    torch.autograd.grad(outputs, wanted, torch.ones_like(outputs))


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images(config.data, config.data_dir)
    first, labels = images.train_images[:64], images.train_labels[:64]
    torch.manual_seed(seed)
    hand = HandVisionTransformer(images.train_images.shape[-1], config.second_stride, config.blocks).eval()
    net: nn.Module = hand
    with meter.window("training") as window:
        if arm == "tactic":
            net = use_library_functions(hand, LIBRARY, first)
        elif arm == "python_loops":
            net = replace_modules(hand, PYTHON_LOOPS)
        train(net, images, config, seed)
    allocated = bytes_allocated(partial(backward, net, first, labels))
    rows = operation_rows(hand, net, first, config.operation_cap_s) if arm == "tactic" else []
    test = images.test_images[:2000], images.test_labels[:2000]
    # nobody ships the loops, and unrolled they take minutes to quantise
    shipped = None if arm == "python_loops" else Deployable(net, images.train_images[:256], *test)
    metrics = costs(window.cpu_s, allocated, flops(net, first[:1]))
    found = accuracy(net, images.test_images, images.test_labels)
    right = "Fraction of the test images classified correctly."
    metrics["test_accuracy"] = Metric(found, "fraction", "higher", "measured", right)
    if net is not hand:
        difference = largest_difference(hand.eval(), net, test[0])  # they share their weights
        what = "Largest difference of a logit from the hand-written net's, over its largest logit."
        metrics["largest_output_difference"] = Metric(difference, "ratio", "lower", "measured", what)
    return Outcome(metrics, images.used, {"operations": rows} if rows else {}, deployable=shipped)


def costs(training_cpu_s: float, allocated: int, operations: int) -> dict[str, Metric]:
    """Return the costs as metrics."""
    time = "Processor time of training; the tactic's own part, replacing layers, is in it."
    memory = "Bytes of tensors allocated by the forward and backward pass of a training step of 64 images."
    work = "Floating-point operations of matrix products, convolutions and attention, one image."
    return {
        "training_cpu_s": Metric(training_cpu_s, "s", "lower", "measured", time),
        "step_allocated_bytes": Metric(float(allocated), "bytes", "lower", "counted", memory),
        "forward_flops": Metric(float(operations), "count", "lower", "counted", work),
    }


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
