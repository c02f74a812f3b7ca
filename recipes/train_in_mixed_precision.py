"""Mixed precision: products of a training step are computed in 16 bits, weights and their sums kept in 32.

Record: tactics/train-in-mixed-precision.yaml. A language model goes on learning from rows of text. The
baseline computes in float32. The tactic runs the forward pass under `torch.autocast`, so that products and
what they leave for gradients are in bfloat16 (Kalamkar et al., "A Study of BFLOAT16 for Deep Learning
Training", 2019, arXiv 1905.12322), with float32 weights (Micikevicius et al., "Mixed Precision Training",
ICLR 2018, arXiv 1710.03740). Rivals: all weights in bfloat16, to which small updates are lost; and one line
that lets each product round its inputs, while all that is stored stays in float32.

    python -m recipes.train_in_mixed_precision --arm tactic --seed 0 --preset default

On one processor core an arm takes about half a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. The saving depends on units for bfloat16, such as AMX or AVX-512 BF16:
without them the short numbers are widened for each product, which costs more, not less.
Published seeds, from 1000, are judged on other texts than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.llama import Llama
from recipes.language.model import LanguageModel
from recipes.language.quality import guesses
from recipes.language.texts import Text, language_reference
from recipes.language.training import Batch, Tokens, bytes_for_gradients, bytes_of, loss_of, padded, steps_of

TACTIC = "train-in-mixed-precision"
ARMS = ("baseline", "tactic", "all_in_bfloat16", "short_products")
METRICS: MetricTable = {
    "token_cpu_ms": ("ms", "lower", "measured", "Processor time of training for each token, all included."),
    "update_cpu_ms": ("ms", "lower", "measured", "The part of it in which weights are updated."),
    "training_bytes": ("bytes", "lower", "counted", "Weights, moments, and gradients or what they need."),
    "kept_bytes": ("bytes", "lower", "counted", "Kept by a step until its gradients are known."),
    "gradient_error": (
        "fraction",
        "lower",
        "measured",
        "Distance of a first gradient from that in float32, over its length.",
    ),
    "held_out_nats": (
        "nats",
        "lower",
        "measured",
        "Loss of a held-out token after training, judged in float32.",
    ),
    "guessed_tokens": ("fraction", "higher", "measured", "Held-out tokens that the net expects most."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    row: int = 96
    """Tokens of a row of text."""
    rows: int = 12
    """Rows to learn from, each once."""
    step: int = 4
    """Rows of one step."""
    rate: float = 1e-3
    """Learning rate; of four, the best one with seeds 0 and 1."""
    bfloat16_rate: float = 1e-3
    """The same where the weights are in bfloat16."""
    held_out: int = 10
    """Rows that judge."""


SMOKE = Config(net="tiny", row=64, rows=16, held_out=4)
DEFAULT = Config()
FULL = Config(row=512, rows=256, step=8, held_out=100)

# --- The tactic and its rivals: the precision of a step --------------------------------------------------


# --8<-- [start:tactic]
def in_mixed_precision(loss: Callable[[], Tensor], device: str = "cpu") -> Tensor:
    """Compute a loss with products in bfloat16; what adds up over layers, and the loss itself, stay float32.

    Weights stay as they are, and with them gradients and updates. The backward pass belongs outside; it takes
    the formats of the forward pass. The range of bfloat16 is that of float32, so that no loss is scaled.
    """
    with torch.autocast(device, torch.bfloat16):
        return loss()


# --8<-- [end:tactic]


@contextmanager
def short_products() -> Iterator[None]:
    """Let products of float32 numbers round them to bfloat16 first, forwards and backwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def loss_by(arm: str, net: Llama, batch: Batch) -> Tensor:
    """Return the loss of a token, computed as an arm does."""
    if arm == "tactic":
        return in_mixed_precision(lambda: loss_of(net, batch))
    return loss_of(net, batch)


def gradient_by(arm: str, net: Llama, batch: Batch) -> Tensor:
    """Return the gradient of the first layer, to which all errors of later ones come down, as float32."""
    gradients = torch.autograd.grad(loss_by(arm, net, batch), list(net.layers[0].parameters()))
    return torch.cat([each.flatten().float() for each in gradients])


# --- Run -------------------------------------------------------------------------------------------------


def rows_of(part: Iterable[Text], model: LanguageModel, length: int) -> list[Tokens]:
    """Return texts one behind the other, each ended, cut into rows of tokens."""
    tokens = list(chain.from_iterable([*model.encode(text.text), model.end] for text in part))
    return [tokens[start : start + length] for start in range(0, len(tokens) - length + 1, length)]


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train on rows of text, step by step, and judge the net by others in float32."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    net, parts, draw = model.net, language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    rows = draw.sample(rows_of(parts.search, model, config.row), config.rows)
    part = parts.test if seed >= 1000 else parts.choice
    held_out = draw.sample(rows_of(part, model, config.row), config.held_out)
    batches = [padded(step) for step in steps_of(rows, config.step)]
    exact = gradient_by("baseline", net, padded(rows[:1]))
    rate = config.rate
    if arm == "all_in_bfloat16":
        net.bfloat16()
        rate = config.bfloat16_rate
    # Adam would keep twice the weights; the floor of bfloat16 for variances, 2^-7, would swamp its updates
    optimiser: torch.optim.Optimizer = torch.optim.Adafactor(
        net.parameters(), rate, eps=(torch.finfo(torch.float32).eps, 1e-3)
    )
    losses, updating_cpu_s = list[float](), 0.0
    with short_products() if arm == "short_products" else nullcontext():
        found = gradient_by(arm, net, padded(rows[:1]))  # sets up memory and threads as well
        with meter.window("training") as training:
            for batch in batches:
                loss = loss_by(arm, net, batch)
                loss.backward()  # type: ignore[no-untyped-call]
                with meter.window("update") as update:
                    optimiser.step()
                    optimiser.zero_grad()
                updating_cpu_s += update.cpu_s
                losses.append(loss.item())
        kept_bytes = bytes_for_gradients(net, lambda: loss_by(arm, net, batches[0]))
    weight_bytes = sum(map(bytes_of, net.parameters()))  # gradients take as many
    moments = [each for state in optimiser.state.values() for each in state.values() if each.ndim]
    nats, guessed = guesses(net.float(), held_out)
    tokens_per_ms = config.rows * config.row / 1000
    metrics = {
        "token_cpu_ms": training.cpu_s / tokens_per_ms,
        "update_cpu_ms": updating_cpu_s / tokens_per_ms,
        "training_bytes": weight_bytes + sum(map(bytes_of, moments)) + max(weight_bytes, kept_bytes),
        "kept_bytes": kept_bytes,
        "gradient_error": float((found - exact).norm() / exact.norm()),
        "held_out_nats": nats,
        "guessed_tokens": guessed,
    }
    details: dict[str, Json] = {"losses": losses, "net": {"name": model.name, "sha256": model.sha256}}
    return Outcome(metrics, parts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
