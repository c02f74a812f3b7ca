"""Speculative decoding by look-up in the prompt: one pass of the model checks several guessed tokens.

Record: tactics/speculate-and-verify.yaml. The guess is what followed the same few tokens earlier: Saxena,
"Prompt Lookup Decoding", 2023; the check is that of Leviathan et al., "Fast Inference from Transformers via
Speculative Decoding", ICML 2023 (arXiv 2211.17192). All arms keep keys and values. The baseline writes one
token a pass. One rival guesses that the last tokens come again; the other keeps guesses unchecked. Requests
are of two kinds: to repeat a passage of the prompt, and to explain a topic freely, where little is found.

    python -m recipes.speculate_and_verify --arm tactic --seed 0 --preset default

On one processor core an arm takes half a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, read other texts than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome, UserError
from recipes.language import smollm2
from recipes.language.llama import Cache, Llama
from recipes.language.model import conversation
from recipes.language.quality import as_likely
from recipes.language.texts import language_reference

TACTIC = "speculate-and-verify"
ARMS = ("baseline", "tactic", "recent_tokens", "unchecked")
METRICS: MetricTable = {
    "copied_token_cpu_ms": ("ms", "lower", "measured", "Processor time of a further token, copying."),
    "free_token_cpu_ms": ("ms", "lower", "measured", "Processor time of a further token, explaining."),
    "copied_tokens_per_pass": ("count", "higher", "counted", "Tokens from a pass after the first, copying."),
    "free_tokens_per_pass": ("count", "higher", "counted", "Tokens from a pass after the first, explaining."),
    "passed_tokens": ("count", "lower", "counted", "Tokens in those passes for each one that they give."),
    "same_tokens": ("fraction", "higher", "measured", "Tokens that a pass without cache and guesses gives."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    requests: int = 2
    """Requests of each kind."""
    passage_characters: int = 360
    """Characters of the passage to repeat, at most 400."""
    new_tokens: int = 48
    """Tokens of an answer, at most."""
    guesses: int = 8
    """Tokens guessed for a pass, at most."""
    matched: int = 3
    """Last tokens of the text that are looked up in it."""


SMOKE = Config(net="tiny", requests=2, passage_characters=80, new_tokens=24)
DEFAULT = Config()
FULL = Config(requests=8, new_tokens=96)

# --- The tactic, its baseline and rivals: each pass of the net gives some new tokens ----------------------

Guess = Callable[[list[int], int], list[int]]
"""Takes the text and how many tokens are wanted at most."""


# --8<-- [start:tactic]
def look_up(text: list[int], count: int, *, matched: int) -> list[int]:
    """Return what followed the last tokens of a text when they stood in it before, or nothing."""
    ending = text[-matched:]
    for start in range(len(text) - matched - 1, -1, -1):
        if text[start : start + matched] == ending:
            return text[start + matched : start + matched + count]
    return []


@torch.inference_mode()
def speculating(
    net: Llama, text: list[int], count: int, guess: Guess, guesses: int, *, check: bool = True
) -> Iterator[list[int]]:
    """Go on from a text by guesses that the net checks; without a check all are kept."""
    cache = Cache(net.config, 1, len(text) + count, like=net.embedding.weight)
    new = net(torch.tensor([text]), cache=cache, last_only=True)[0].argmax(-1).tolist()  # one token
    text = [*text, *new]
    yield new
    count -= 1
    while count > 0:
        guessed = guess(text, min(guesses, count - 1))
        held = cache.length
        best = net(torch.tensor([[text[-1], *guessed]]), cache=cache)[0].argmax(-1).tolist()  # 1 + guessed
        right = len(guessed)
        if check:
            right = next((i for i, token in enumerate(guessed) if token != best[i]), right)
        cache.length = held + 1 + right  # keys and values of rejected guesses are written over
        new = [*guessed[:right], best[right]]
        text += new
        count -= len(new)
        yield new


# --8<-- [end:tactic]


def recent(text: list[int], count: int) -> list[int]:
    """Return the last tokens of a text, as if they came again."""
    return text[-count:] if count else []


def nothing(_text: list[int], _count: int) -> list[int]:
    """Guess nothing, so that each pass gives one token."""
    return []


# --- Run -------------------------------------------------------------------------------------------------


def written_by(arm: str, config: Config, net: Llama, text: list[int]) -> Iterator[list[int]]:
    """Return what gives the new tokens of an arm, pass by pass."""
    looked_up = partial(look_up, matched=config.matched)
    guess = {"baseline": nothing, "recent_tokens": recent}.get(arm, looked_up)
    return speculating(net, text, config.new_tokens, guess, config.guesses, check=arm != "unchecked")


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Answer requests of both kinds, one at a time."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts = language_reference()
    part = texts.test if seed >= 1000 else texts.search
    chosen = random.Random(seed).sample(part, 2 * config.requests)  # noqa: S311 - not for secrets
    list(islice(written_by(arm, config, model.net, model.encode("a b a b")), 4))  # memory is set up
    same, rows, passed = list[bool](), list[dict[str, Any]](), list[int]()
    model.net.register_forward_pre_hook(lambda _, inputs: passed.append(inputs[0].shape[1]))
    for number, passage in enumerate(chosen):
        kind, question = "free", f"Explain in your own words: {passage.name} in Python"
        if number < config.requests:
            kind, question = "copied", f"Repeat word for word:\n\n{passage.text[: config.passage_characters]}"
        text = model.encode(conversation(question=question))
        steps = written_by(arm, config, model.net, text)
        new = [*next(steps)]  # reading the request costs all arms the same
        passed.clear()
        with meter.window(f"writing {number}") as writing:
            while len(new) < config.new_tokens and model.end not in new:
                new += next(steps)
        new = new[: (*new, model.end).index(model.end) + 1]
        row = {"tokens": len(new) - 1, "passes": len(passed), "passed_tokens": sum(passed)}
        rows.append({"kind": kind, **row, "cpu_s": writing.cpu_s, "answer": model.decode(new)})
        same += as_likely(model.net, text, torch.tensor(new)).tolist()
    metrics = {"same_tokens": sum(same) / len(same)}
    for kind in ("copied", "free"):
        of_kind = [row for row in rows if row["kind"] == kind]
        tokens = sum(row["tokens"] for row in of_kind)
        if not tokens:
            raise UserError(
                f"seed {seed}: expected {kind} answers of two tokens or more, got none; take another seed"
            )
        metrics[f"{kind}_token_cpu_ms"] = 1000 * sum(row["cpu_s"] for row in of_kind) / tokens
        metrics[f"{kind}_tokens_per_pass"] = tokens / sum(row["passes"] for row in of_kind)
    metrics["passed_tokens"] = sum(row["passed_tokens"] for row in rows) / sum(row["tokens"] for row in rows)
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"by_request": rows, "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
