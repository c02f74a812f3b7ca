"""A habit to avoid: a language model thinks in writing before it answers, whatever it is asked.

Record: tactics/reason-about-every-question.yaml. The questions are of facts in a paragraph that stands before
them. The baseline answers in a sentence. The habit asks for thoughts step by step (Kojima et al., "Large
Language Models are Zero-Shot Reasoners", NeurIPS 2022, arXiv 2205.11916), spends a budget on them, and then
has the model answer behind a cue. Further arms have the cue without thoughts; a quarter of the budget; or
thoughts only where the first answer was unlikely to the model itself, which then reads the question no more.

    python -m recipes.reason_about_every_question --arm tactic --seed 0 --preset default

On one processor core an arm takes under a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, ask other questions than those below.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recipes.answer_briefly_and_stop import first_sentence
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.language import questions, smollm2
from recipes.language.llama import Cache
from recipes.language.model import END, LanguageModel, conversation
from recipes.language.texts import language_reference

TACTIC = "reason-about-every-question"
ARMS = ("baseline", "tactic", "cue_alone", "short_budget", "where_unsure")
METRICS: MetricTable = {
    "answer_cpu_s": ("s", "lower", "measured", "Processor time of an answer, thoughts and reading included."),
    "written_tokens": ("count", "lower", "counted", "Tokens written for an answer, thoughts included."),
    "thought_about": ("fraction", "lower", "counted", "Questions that the model thought about."),
    "facts": (
        "fraction",
        "higher",
        "measured",
        "Answers that hold the fact asked for, by a word set before; thoughts do not count.",
    ),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    questions: int = 8
    """Questions asked, of those about the part."""
    limit: int = 24
    """Tokens of an answer, at most."""
    budget: int = 48
    """Tokens of thoughts, at most."""
    sure: float = 0.5
    """How likely the tokens of an answer must be, in the geometric mean, to be given without thoughts."""


SMOKE = Config(net="tiny", questions=2, limit=8, budget=12)
DEFAULT = Config()
FULL = Config(questions=24, limit=64, budget=512)

# --- The habit and the ways beside it --------------------------------------------------------------------


# --8<-- [start:tactic]
THINK = "Let's think step by step."
FINALLY = "\n\nSo the answer is:"


@torch.inference_mode()
def go_on(
    model: LanguageModel, cache: Cache, tokens: Sequence[int], limit: int, stop: Callable[[str], str | None]
) -> tuple[str, int, float]:
    """Return what the model writes behind tokens, how much that is, and how likely its tokens were.

    Args:
        model: Writes the most likely token each time.
        cache: Holds what was read and written before.
        tokens: What is read first.
        limit: Tokens to write, at most.
        stop: Takes what is written and returns what is kept of it, or None if the model is to go on.

    Returns:
        Text, tokens, and the geometric mean of the likelihoods of these tokens and of the one that ends.
    """
    new, written, logs, kept = list(tokens), list[int](), list[float](), None
    while len(written) < limit and kept is None:
        likelihoods = model.net(torch.tensor([new]), cache=cache, last_only=True)[0, -1].log_softmax(-1)
        best = likelihoods.argmax()  # of (vocabulary,)
        logs.append(float(likelihoods[best]))
        new = [int(best)]
        if new == [model.end]:
            break
        written += new
        kept = stop(model.decode(written))
    return kept or model.decode(written), len(written), math.exp(sum(logs) / len(logs))


def answer(
    model: LanguageModel,
    cache: Cache,
    question: Sequence[int],
    limit: int,
    stop: Callable[[str], str | None],
    *,
    budget: int = 0,
    is_cued: bool = False,
) -> tuple[str, int, float]:
    """Answer, after thoughts if there is a budget for them; return what `go_on` does.

    Args:
        model: Answers.
        cache: Holds nothing, or the question, which is not read again, and an answer, which is dropped.
        question: Tokens of the request, with the beginning of the model's turn.
        limit: Tokens of the answer, at most.
        stop: As `go_on` takes it.
        budget: Tokens of thoughts, at most.
        is_cued: Whether the answer stands behind a cue; behind thoughts it does.
    """
    cache.length = min(cache.length, len(question))
    tokens, thoughts, cue = [*question[cache.length :]], 0, model.encode(FINALLY)
    if budget:
        tokens += model.encode(THINK)  # the model's turn begins with thinking
        _, thoughts, _ = go_on(model, cache, tokens, budget, lambda _: None)
        tokens = cue  # the last thought is left unread
    elif is_cued:
        tokens += cue
    text, count, likely = go_on(model, cache, tokens, limit, stop)
    return text, thoughts + count, likely


# --8<-- [end:tactic]


def answered_by(arm: str, config: Config, model: LanguageModel, request: str) -> tuple[str, int, bool]:
    """Return an arm's answer, the tokens written for it, and whether the model thought about it."""
    question = model.encode(conversation(question=request))
    room = len(question) + config.budget + config.limit + len(model.encode(THINK + FINALLY)) + 2
    cache = Cache(model.net.config, 1, room, model.net.embedding.weight)
    budgets = {"tactic": config.budget, "short_budget": config.budget // 4}
    asked = model, cache, question, config.limit, first_sentence
    if arm in budgets:
        text, written, _ = answer(*asked, budget=budgets[arm])
        return text, written, True
    text, written, likely = answer(*asked, is_cued=arm == "cue_alone")
    if arm == "where_unsure" and likely < config.sure:
        text, more, _ = answer(*asked, budget=config.budget)
        return text, written + more, True
    return text, written, False


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Ask questions about paragraphs that are given with them, one at a time."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts = language_reference()
    part, asked = (texts.test, questions.TEST) if seed >= 1000 else (texts.search, questions.SEARCH)
    chosen = random.Random(seed).sample(asked, config.questions)  # noqa: S311 - not for secrets
    answered_by("tactic", replace(config, budget=2, limit=2), model, "Hello")  # memory and threads are set up
    rows = list[dict[str, Any]]()
    for question in chosen:
        request = f"{question.paragraph(part)}\n\n{question.question}"
        with meter.window(question.topic) as window:
            text, written, thought = answered_by(arm, config, model, request)
        text = text.removesuffix(END)
        row = {"topic": question.topic, "fact": question.answered_by(text), "answer": text}
        rows.append({**row, "cpu_s": window.cpu_s, "written": written, "thought_about": thought})

    def mean(name: str) -> float:
        return float(sum(row[name] for row in rows) / len(rows))

    metrics = {
        "answer_cpu_s": mean("cpu_s"),
        "written_tokens": mean("written"),
        "thought_about": mean("thought_about"),
        "facts": mean("fact"),
    }
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"by_question": rows, "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
