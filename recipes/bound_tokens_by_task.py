"""Budgets of tokens: each kind of request gets the limit that was enough for others of its kind.

Record: tactics/bound-tokens-by-task.yaml. Requests want a yes or no about an e-mail, a fact of a paragraph or
a sentence about it. The model answers requests of each kind without a limit; the one set for the kind is that
within which most useful answers were complete. The baseline has none but a high one. One rival has one limit
for all kinds, the least that keeps as many of those answers. The other seeks nothing beforehand: a rule for
each kind tells when the answer is there, as in `recipes/answer_briefly_and_stop.py`.

    python -m recipes.bound_tokens_by_task --arm tactic --seed 0 --preset default

On one processor core an arm takes about a minute with DEFAULT, which needs `greentactics data fetch smollm2`
and `greentactics data fetch spam`. SMOKE has a random net and e-mails that are made up. All seeds seek limits
on searching texts; published seeds, from 1000, answer requests about other texts than those below.
"""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recipes.answer_briefly_and_stop import answer, first_sentence
from recipes.batch_requests import write_together
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import questions, smollm2
from recipes.language.model import END, LanguageModel, conversation
from recipes.language.texts import Text, e_mails, language_reference, made_up_e_mails
from recipes.use_a_task_model import QUESTION, drawn

TACTIC = "bound-tokens-by-task"
ARMS = ("baseline", "tactic", "one_limit", "stop_rules")
METRICS: MetricTable = {
    "answer_cpu_s": ("s", "lower", "measured", "Processor time of an answer, with reading the request."),
    "written_tokens": ("count", "lower", "counted", "Tokens written for an answer."),
    "setup_cpu_s": ("s", "lower", "measured", "Processor time of finding the limits, in batches."),
    "useful": (
        "fraction",
        "higher",
        "measured",
        "Answers that hold the right word first, the fact, or one whole sentence, as their kind demands.",
    ),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, bytes for tokens, and e-mails that are made up."""
    data_dir: Path | None = None
    """Folder that holds weights and e-mails; None searches the usual places."""
    for_limits: int = 8
    """Requests of each kind that the limits are sought with."""
    requests: int = 3
    """Requests of each kind that are answered; of e-mails, half of which are spam, one fewer if it is odd."""
    tokens: int = 64
    """Tokens that are left of each e-mail, from its beginning."""
    most_tokens: int = 48
    """Tokens of an answer that nothing else ends."""
    share: float = 0.9
    """Useful answers that a limit has to leave complete."""


SMOKE = Config(net="tiny", for_limits=2, requests=2, tokens=16, most_tokens=12)
DEFAULT = Config()
FULL = Config(for_limits=16, requests=10, tokens=384, most_tokens=512)

# --- What requests of each kind want ---------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One request."""

    kind: str
    """A key of `STOPS`."""
    text: str
    wanted: str = ""
    """Word that a useful answer holds, where one is known."""

    def served_by(self, written: str) -> bool:
        """Whether an answer is useful, be it complete or not."""
        found = STOPS[self.kind](f"{written.removesuffix(END)}\n")  # nothing follows: a mark ends a sentence
        if self.kind == "fact":
            return self.wanted.lower() in written.lower()
        return found == self.wanted if self.kind == "yes_or_no" else found is not None


def yes_or_no(text: str) -> str | None:
    """Return the first yes or no of a text, or None while there is none."""
    found = re.search(r"\b(yes|no)\b", text.lower())
    return found and found[0]


STOPS = {"yes_or_no": yes_or_no, "fact": first_sentence, "sentence": first_sentence}
"""Rule by kind of request that ends an answer: what it returns is kept."""


def requests_about(
    asked: Sequence[questions.Question], part: tuple[Text, ...], mails: Sequence[tuple[str, bool]]
) -> list[Request]:
    """Return requests of each kind: two about each question's paragraph, one about each e-mail."""
    return [
        *(Request("yes_or_no", f"{mail}\n\n{QUESTION}", "yes" if spam else "no") for mail, spam in mails),
        *(Request("fact", f"{one.paragraph(part)}\n\n{one.question}", one.fact) for one in asked),
        *(Request("sentence", f"{one.paragraph(part)}\n\nExplain this in one sentence.") for one in asked),
    ]


# --- The tactic and the limit of a rival -----------------------------------------------------------------


# --8<-- [start:tactic]
def limits_by_kind(ends: Mapping[str, Sequence[int]], share: float, most: int) -> dict[str, int]:
    """Return for each kind the least limit that leaves a share of useful answers complete.

    Args:
        ends: For each kind, after how many tokens useful answers were complete.
        share: How many of them have to be complete, above 0 and at most 1.
        most: Limit where no answer was useful.
    """
    return {
        kind: sorted(tokens)[math.ceil(share * len(tokens)) - 1] if tokens else most
        for kind, tokens in ends.items()
    }


# --8<-- [end:tactic]


def one_limit(ends: Mapping[str, Sequence[int]], limits: Mapping[str, int], most: int) -> int:
    """Return the least limit for all kinds that leaves as many useful answers complete as those by kind."""
    complete = sum(end <= limits[kind] for kind, tokens in ends.items() for end in tokens)
    return sorted(end for tokens in ends.values() for end in tokens)[complete - 1] if complete else most


def useful_end(model: LanguageModel, request: Request, written: Sequence[int]) -> int | None:
    """Return after how many tokens of an answer it is useful, None if it never is."""
    for count, token in enumerate(written, 1):
        if request.served_by(model.decode(written[:count])):
            return count
        if token == model.end:
            break
    return None


def useful_ends(model: LanguageModel, requests: Sequence[Request], most: int) -> dict[str, list[int]]:
    """Return for each kind after how many tokens the answers were useful that ever were.

    All requests of a kind are answered in one batch, which costs less than one by one.
    """
    ends = dict[str, list[int]]()
    for kind in dict.fromkeys(request.kind for request in requests):
        group = [request for request in requests if request.kind == kind]
        prompts = [model.encode(conversation(question=request.text)) for request in group]
        rows = torch.cat([*write_together(model.net, prompts, most)], dim=1).tolist()
        found = (useful_end(model, request, row) for request, row in zip(group, rows, strict=True))
        ends[kind] = [end for end in found if end is not None]
    return ends


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Set the limits of an arm with some requests, and answer others one at a time."""
    tiny = config.net == "tiny"
    model = smollm2.tiny() if tiny else smollm2.load(config.data_dir)
    texts, mails = language_reference(), made_up_e_mails() if tiny else e_mails(config.data_dir)
    draw, published = random.Random(seed), seed >= 1000  # noqa: S311 - not for secrets
    shuffled = draw.sample(questions.SEARCH, config.for_limits + config.requests)
    for_limits, others = shuffled[: config.for_limits], shuffled[config.for_limits :]
    known = requests_about(
        for_limits, texts.search, drawn(mails.search, config.for_limits, model, config.tokens, draw)
    )
    asked = draw.sample(questions.TEST, config.requests) if published else others
    part, inbox = (texts.test, mails.test) if published else (texts.search, mails.choice)
    new = requests_about(asked, part, drawn(inbox, config.requests, model, config.tokens, draw))
    answer(model, conversation(question="Hello"), 2)  # memory and threads are set up
    limits = dict.fromkeys(STOPS, config.most_tokens)
    with meter.window("set-up") as setup:
        if arm in ("tactic", "one_limit"):
            ends = useful_ends(model, known, config.most_tokens)
            limits = limits_by_kind(ends, config.share, config.most_tokens)
        if arm == "one_limit":
            limits = dict.fromkeys(STOPS, one_limit(ends, limits, config.most_tokens))
    rows = list[dict[str, Any]]()
    for request in new:
        stop = STOPS[request.kind] if arm == "stop_rules" else lambda _: None
        with meter.window(request.kind) as window:
            text, count = answer(model, conversation(question=request.text), limits[request.kind], stop)
        row = {"kind": request.kind, "useful": request.served_by(text), "written": count}
        rows.append({**row, "cpu_s": window.cpu_s})

    def mean(name: str) -> float:
        return float(sum(row[name] for row in rows) / len(rows))

    metrics = {
        "answer_cpu_s": mean("cpu_s"),
        "written_tokens": mean("written"),
        "setup_cpu_s": setup.cpu_s,
        "useful": mean("useful"),
    }
    details: dict[str, Json] = {"by_request": rows, "limits": limits, "e_mails": mails.used.sha256}
    return Outcome(metrics, texts.used, details | {"net": {"name": model.name, "sha256": model.sha256}})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
