"""Packing: texts of unlike lengths are trained on one behind the other, not each filled up to the longest.

Record: tactics/pack-sequences-instead-of-padding.yaml. The baseline fills the texts of a step up to the
longest of them. The tactic lays them into a few rows, counts positions anew in each and lets no text see
another; gradients stay those of the baseline. Rivals: texts of like lengths share a step, so that there is
little to fill; and rows without borders, as many train, in which a text sees those before it. All arms train
on the same paragraphs, as many of them a step.

    python -m recipes.pack_sequences_instead_of_padding --arm tactic --seed 0 --preset default

On one processor core an arm takes one to two minutes with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, are judged on other texts than those below.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.llama import Llama, rotary_turns, visible
from recipes.language.model import LanguageModel
from recipes.language.texts import Text, language_reference
from recipes.language.training import bytes_for_gradients

TACTIC = "pack-sequences-instead-of-padding"
ARMS = ("baseline", "tactic", "like_lengths", "no_borders")
METRICS: MetricTable = {
    "text_cpu_s": ("s", "lower", "measured", "Processor time of training for each text, all included."),
    "update_cpu_s": ("s", "lower", "measured", "The part of it that the optimiser takes."),
    "passed_tokens": ("count", "lower", "counted", "Tokens that went through the net, filling included."),
    "filling_fraction": ("fraction", "lower", "counted", "Share of them that only fill up."),
    "kept_bytes": ("bytes", "lower", "counted", "Kept for gradients by the largest step, weights aside."),
    "gradient_error": (
        "fraction",
        "lower",
        "measured",
        "Distance of a first gradient from that of the same texts one by one, over its length.",
    ),
    "held_out_nats": ("nats", "lower", "measured", "Loss of a held-out token after training."),
    "guessed_tokens": ("fraction", "higher", "measured", "Held-out tokens that the net expects most."),
}
Tokens = list[int]


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    texts: int = 80
    """Paragraphs to train on."""
    step: int = 8
    """Texts of one step."""
    longest: int = 96
    """Tokens of a text that count, with the one that ends it."""
    row: int = 192
    """Tokens that a packed row has room for; at least as many as the longest text."""
    rate: float = 3e-3
    """Learning rate."""
    held_out: int = 64
    """Paragraphs that judge."""


SMOKE = Config(net="tiny", texts=32, longest=48, row=96, held_out=8)
DEFAULT = Config()
FULL = Config(texts=448, step=16, longest=256, row=512, held_out=600)

# --- The tactic, its baseline and a rival: each lays the texts of a step out -----------------------------


@dataclass(frozen=True)
class Batch:
    """Texts as a net passes over them."""

    tokens: Tensor
    """(rows, length)"""
    targets: Tensor
    """The token to guess behind each, (rows, length); -100 where there is none."""
    positions: Tensor
    """(rows or 1, length)"""
    mask: Tensor
    """Whether a token may look at another, (rows or 1, 1, length, length)."""


def padded(texts: Sequence[Tokens]) -> Batch:
    """Lay each text into a row of its own, filled up behind its end, where none of its tokens looks."""
    longest = max(map(len, texts))
    tokens = [text + [0] * (longest - len(text)) for text in texts]
    targets = [text[1:] + [-100] * (longest - len(text) + 1) for text in texts]
    mask = visible(0, longest, None, torch.device("cpu"))
    return Batch(torch.tensor(tokens), torch.tensor(targets), torch.arange(longest)[None], mask)


# --8<-- [start:tactic]
def packed(texts: Sequence[Tokens], room: int) -> Batch:
    """Lay several texts into each row, as if each stood alone."""
    rows = in_rows(texts, room)
    whole = padded([list(chain(*row)) for row in rows])
    begins = torch.zeros_like(whole.tokens, dtype=torch.bool)  # (rows, length)
    for row, firsts in zip(rows, begins, strict=True):
        firsts[list(accumulate(map(len, row[:-1]), initial=0))] = True
    first = (whole.positions * begins).cummax(1).values  # place where the text of each token begins
    same = first[:, None, :, None] == first[:, None, None, :]  # (rows, 1, length, length)
    behind_ends = F.pad(begins[:, 1:], (0, 1))  # the next token is of another text: nothing to guess
    targets = whole.targets.masked_fill(behind_ends, -100)
    return Batch(whole.tokens, targets, whole.positions - first, whole.mask & same)


def in_rows(texts: Sequence[Tokens], room: int) -> list[list[Tokens]]:
    """Share texts out among as few rows as hold them, the longest first, each into the emptiest row."""
    for count in range(-(-sum(map(len, texts)) // room), len(texts) + 1):
        rows: list[list[Tokens]] = [[] for _ in range(count)]
        for text in sorted(texts, key=len, reverse=True):
            min(rows, key=lambda row: sum(map(len, row))).append(text)
        if max(sum(map(len, row)) for row in rows) <= room:
            return rows
    raise ValueError(f"a text of {max(map(len, texts))} tokens does not fit a row of {room}")


# --8<-- [end:tactic]


def without_borders(texts: Sequence[Tokens], room: int) -> Batch:
    """Lay several texts into each row as if they were one."""
    return padded([list(chain(*row)) for row in in_rows(texts, room)])


# --- Training --------------------------------------------------------------------------------------------


def steps_of(texts: Sequence[Tokens], size: int) -> list[list[Tokens]]:
    """Return the texts of each step, in the order given."""
    return [list(texts[start : start + size]) for start in range(0, len(texts), size)]


def of_like_lengths(texts: Sequence[Tokens], size: int, draw: random.Random) -> list[list[Tokens]]:
    """Return steps of texts of like lengths, in random order: else the net would train on long ones last."""
    steps = steps_of(sorted(texts, key=len), size)
    return draw.sample(steps, len(steps))


def loss_of(net: Llama, batch: Batch) -> Tensor:
    """Return the mean negative log likelihood of the tokens to guess; tokens count alike in all layouts."""
    turns = rotary_turns(batch.positions, net.config)
    x = net.embedding(batch.tokens)  # (rows, length, width)
    for number, layer in enumerate(net.layers):
        x = layer(x, turns, batch.mask, number, None)
    logits = F.linear(net.norm(x), net.embedding.weight)  # (rows, length, vocabulary)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())


def gradient_error(net: Llama, batch: Batch, texts: Sequence[Tokens]) -> float:
    """Compare the gradient of a batch with that of its texts one by one, in the first layer.

    All that goes wrong in later layers comes down to it.
    """
    weights = list(net.layers[0].parameters())
    guesses = sum(len(text) - 1 for text in texts)
    alone = sum((loss_of(net, padded([text])) * (len(text) - 1) / guesses for text in texts), torch.zeros(()))
    found, right = (
        torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights)])
        for loss in (loss_of(net, batch), alone)
    )
    return float((found - right).norm() / right.norm())


# --- Run -------------------------------------------------------------------------------------------------


def paragraphs(part: Iterable[Text], model: LanguageModel, longest: int) -> list[Tokens]:
    """Return paragraphs as tokens, each cut and ended."""
    found = [each for text in part for each in re.split(r"\n\s*\n", text.text) if each.strip()]
    return [[*model.encode(each)[: longest - 1], model.end] for each in found]


@torch.inference_mode()
def judged(net: Llama, texts: Sequence[Tokens]) -> tuple[float, float]:
    """Return the loss of a token in nats, and the share of tokens that the net expects most."""
    surprise, guessed, count = 0.0, 0, sum(len(text) - 1 for text in texts)
    for text in texts:
        targets = torch.tensor(text[1:])
        logits = net(torch.tensor([text[:-1]]))[0]  # (tokens - 1, vocabulary)
        surprise += float(F.cross_entropy(logits, targets, reduction="sum"))
        guessed += int((logits.argmax(1) == targets).sum())
    return surprise / count, guessed / count


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train on paragraphs, step by step, and judge the net by others."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    net, parts, draw = model.net, language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    texts = draw.sample(paragraphs(parts.search, model, config.longest), config.texts)
    part = parts.test if seed >= 1000 else parts.choice
    held_out = draw.sample(paragraphs(part, model, config.longest), config.held_out)
    lay: Callable[[Sequence[Tokens]], Batch] = {
        "tactic": lambda step: packed(step, config.row),
        "no_borders": lambda step: without_borders(step, config.row),
    }.get(arm, padded)
    before = judged(net, held_out)
    steps = steps_of(texts, config.step)
    error = gradient_error(net, lay(steps[0][:4]), steps[0][:4])
    # Adam would keep twice the weights beside them
    optimiser: torch.optim.Optimizer = torch.optim.Adafactor(net.parameters(), lr=config.rate)
    rows, passing_s, updating_s = list[dict[str, Json]](), 0.0, 0.0
    with meter.window("laying out") as laying:
        if arm == "like_lengths":
            steps = of_like_lengths(texts, config.step, draw)
        batches = [lay(step) for step in steps]
    for number, batch in enumerate(batches):
        with meter.window(f"passes {number}") as passes:
            loss = loss_of(net, batch)
            loss.backward()  # type: ignore[no-untyped-call]
        with meter.window(f"update {number}") as update:
            optimiser.step()
            optimiser.zero_grad()
        passing_s, updating_s = passing_s + passes.cpu_s, updating_s + update.cpu_s
        rows.append({"tokens": list(batch.tokens.shape), "loss": loss.item(), "passes_cpu_s": passes.cpu_s})
    largest = max(batches, key=lambda batch: batch.tokens.numel())
    passed = sum(batch.tokens.numel() for batch in batches)
    nats, guessed = judged(net, held_out)
    metrics = {
        "text_cpu_s": (laying.cpu_s + passing_s + updating_s) / len(texts),
        "update_cpu_s": updating_s / len(texts),
        "passed_tokens": passed,
        "filling_fraction": 1 - sum(map(len, texts)) / passed,
        "kept_bytes": bytes_for_gradients(net, lambda: loss_of(net, largest)),
        "gradient_error": error,
        "held_out_nats": nats,
        "guessed_tokens": guessed,
    }
    untrained: dict[str, Json] = dict(zip(("held_out_nats", "guessed_tokens"), before, strict=True))
    of_net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, parts.used, {"by_step": rows, "untrained": untrained, "net": of_net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
