"""Brief answers: a language model is asked for one sentence, and stopped where the first one ends.

Record: tactics/answer-briefly-and-stop.yaml. Each token written costs a pass through the net, so that
whatever nobody needs can be left unwritten. The baseline goes on to the model's own end of the answer, or to
a high limit. One rival asks for brevity and leaves the end to the model; the other asks for nothing and stops
the answer. Asking makes the request longer, and its reading is part of each cost.

    python -m recipes.answer_briefly_and_stop --arm tactic --seed 0 --preset default

On one processor core an arm takes about a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, ask other questions than those below.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.language import questions, smollm2
from recipes.language.llama import Cache
from recipes.language.model import LanguageModel, conversation
from recipes.language.texts import language_reference

TACTIC = "answer-briefly-and-stop"
ARMS = ("baseline", "tactic", "asked_only", "stopped_only")
METRICS: MetricTable = {
    "answer_cpu_s": ("s", "lower", "measured", "Processor time of an answer, with reading the request."),
    "written_tokens": ("count", "lower", "counted", "Tokens written for an answer."),
    "read_tokens": ("count", "lower", "counted", "Tokens of a request, with what asks for brevity."),
    "facts": (
        "fraction",
        "higher",
        "measured",
        "Answers that hold the fact asked for, by a word set before.",
    ),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    questions: int = 12
    """Questions asked, of those about the part."""
    most_tokens: int = 64
    """Tokens of an answer that nothing else ends."""
    limit: int = 32
    """Tokens of an answer that is stopped, at most."""


SMOKE = Config(net="tiny", questions=2, most_tokens=24, limit=12)
DEFAULT = Config()
FULL = Config(questions=24, most_tokens=512)

# --- The tactic, its baseline and rivals: they differ in request, limit and stop rule --------------------


# --8<-- [start:tactic]
BRIEFLY = " Answer in one short sentence."


def first_sentence(text: str) -> str | None:
    """Return the first sentence of a text, or None while it may go on: a space shows that its mark ends it.

    A mark behind one letter or digit ends none, as in `e.g.` and `1.`, nor does one within `3.11`.
    """
    found = re.match(r"\s*\S.*?(?<!\b\w)[.!?][`\"')*]*(?=\s)", text, re.DOTALL)
    return found and found[0]


@torch.inference_mode()
def answer(
    model: LanguageModel, request: str, limit: int, stop: Callable[[str], str | None] = lambda _: None
) -> tuple[str, int]:
    """Return the answer to a request and how many tokens were written for it.

    Args:
        model: Writes the most likely token each time.
        request: With all marks of a conversation.
        limit: Tokens of the answer, at most.
        stop: Takes the answer so far and returns what is kept of it, or None if the model is to go on.
    """
    new = model.encode(request)
    cache = Cache(model.net.config, 1, len(new) + limit, like=model.net.embedding.weight)
    written = list[int]()
    while len(written) < limit:
        new = model.net(torch.tensor([new]), cache=cache, last_only=True)[0].argmax(-1).tolist()
        written += new
        if new == [model.end]:
            break
        if (kept := stop(model.decode(written))) is not None:
            return kept, len(written)
    return model.decode(written), len(written)


# --8<-- [end:tactic]


def answered_by(arm: str, config: Config, model: LanguageModel, question: str) -> tuple[str, int, int]:
    """Return an arm's answer to a question, the tokens it read and those it wrote."""
    briefly = BRIEFLY if arm in ("tactic", "asked_only") else ""
    request = conversation(question=question + briefly)
    if arm in ("tactic", "stopped_only"):
        text, written = answer(model, request, config.limit, first_sentence)
    else:
        text, written = answer(model, request, config.most_tokens)
    return text, len(model.encode(request)), written


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Ask questions about paragraphs that are given with them, one at a time."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts = language_reference()
    part, asked = (texts.test, questions.TEST) if seed >= 1000 else (texts.search, questions.SEARCH)
    chosen = random.Random(seed).sample(asked, config.questions)  # noqa: S311 - not for secrets
    answer(model, conversation(question="Hello"), 2)  # memory and threads are set up
    rows = list[dict[str, Any]]()
    for question in chosen:
        request = f"{question.paragraph(part)}\n\n{question.question}"
        with meter.window(question.topic) as window:
            text, read, written = answered_by(arm, config, model, request)
        row = {"topic": question.topic, "fact": question.answered_by(text), "answer": text}
        rows.append({**row, "cpu_s": window.cpu_s, "read": read, "written": written})

    def mean(name: str) -> float:
        return float(sum(row[name] for row in rows) / len(rows))

    metrics = {
        "answer_cpu_s": mean("cpu_s"),
        "written_tokens": mean("written"),
        "read_tokens": mean("read"),
        "facts": mean("fact"),
    }
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"by_question": rows, "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
