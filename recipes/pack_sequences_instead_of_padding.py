"""Packing: texts of unlike lengths are trained on one behind the other, not each filled up to the longest.

Record: tactics/pack-sequences-instead-of-padding.yaml. The baseline fills the texts of a step up to the
longest of them. The tactic lays them into a few rows, counts positions anew in each and lets no text see
another; gradients stay those of the baseline. Rivals: texts of like lengths share a step, so that there is
little to fill; and rows without borders, as many train, in which a text sees those before it. All arms train
on the same paragraphs, as many of them a step.

    python -m recipes.pack_sequences_instead_of_padding --arm tactic --seed 0 --preset default

On one processor core an arm takes under a minute with DEFAULT, a second with SMOKE. DEFAULT needs
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
from torch.nn import functional as F

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.model import LanguageModel
from recipes.language.quality import guesses
from recipes.language.texts import Text, language_reference
from recipes.language.training import (
    Batch,
    Tokens,
    bytes_for_gradients,
    fine_tune,
    gradient_error,
    loss_of,
    padded,
    steps_of,
)

TACTIC = "pack-sequences-instead-of-padding"
ARMS = ("baseline", "tactic", "like_lengths", "no_borders")
METRICS: MetricTable = {
    "text_cpu_s": ("s", "lower", "measured", "Processor time of training for each text, all included."),
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


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    texts: int = 32
    """Paragraphs to train on."""
    step: int = 8
    """Texts of one step."""
    longest: int = 96
    """Tokens of a text that count, with the one that ends it."""
    row: int = 192
    """Tokens that a packed row has room for; at least as many as the longest text."""
    rate: float = 1e-3
    """Learning rate."""
    held_out: int = 24
    """Paragraphs that judge."""


SMOKE = Config(net="tiny", texts=32, longest=48, row=96, held_out=8)
DEFAULT = Config()
FULL = Config(texts=448, step=16, longest=256, row=512, held_out=600)

# --- The tactic and its rivals; the baseline is `padded` -------------------------------------------------


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


def of_like_lengths(texts: Sequence[Tokens], size: int, draw: random.Random) -> list[Sequence[Tokens]]:
    """Return steps of texts of like lengths, in random order: else the net would train on long ones last."""
    steps = steps_of(sorted(texts, key=len), size)
    return draw.sample(steps, len(steps))


# --- Run -------------------------------------------------------------------------------------------------


def paragraphs(part: Iterable[Text], model: LanguageModel, longest: int) -> list[Tokens]:
    """Return paragraphs as tokens, each cut and ended."""
    found = [each for text in part for each in re.split(r"\n\s*\n", text.text) if each.strip()]
    return [[*model.encode(each)[: longest - 1], model.end] for each in found]


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
    steps = steps_of(texts, config.step)
    error = gradient_error(net, lay(steps[0][:4]), steps[0][:4])
    # Adam would keep twice the weights beside them
    optimiser: torch.optim.Optimizer = torch.optim.Adafactor(net.parameters(), lr=config.rate)
    with meter.window("training") as training:
        if arm == "like_lengths":
            steps = of_like_lengths(texts, config.step, draw)
        batches = [lay(step) for step in steps]
        losses = fine_tune(net, batches, optimiser)
    largest = max(batches, key=lambda batch: batch.tokens.numel())
    passed = sum(batch.tokens.numel() for batch in batches)
    nats, guessed = guesses(net, held_out)
    metrics = {
        "text_cpu_s": training.cpu_s / len(texts),
        "passed_tokens": passed,
        "filling_fraction": 1 - sum(map(len, texts)) / passed,
        "kept_bytes": bytes_for_gradients(net, lambda: loss_of(net, largest)),
        "gradient_error": error,
        "held_out_nats": nats,
        "guessed_tokens": guessed,
    }
    details: dict[str, Json] = {
        "steps": [
            {"shape": list(batch.tokens.shape), "loss": loss}
            for batch, loss in zip(batches, losses, strict=True)
        ],
        "net": {"name": model.name, "sha256": model.sha256},
    }
    return Outcome(metrics, parts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
