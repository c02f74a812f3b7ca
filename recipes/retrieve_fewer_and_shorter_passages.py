"""Fewer and shorter passages: a language model reads the sentences of a manual that match, not ten passages.

Record: tactics/retrieve-fewer-and-shorter-passages.yaml. Questions about Python are answered from passages
of its language reference that BM25 finds (Robertson and Zaragoza, "The Probabilistic Relevance Framework:
BM25 and Beyond", 2009, DOI 10.1561/1500000019). The baseline sends the best ten, or as many as fit. The
tactic sends the best-matching sentences of the best few. One rival sends these few whole; two controls send
passages drawn by chance, as long as what the tactic sends, and none. All answers end with a first sentence.

    python -m recipes.retrieve_fewer_and_shorter_passages --arm tactic --seed 0 --preset default

On one processor core an arm takes under a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, ask other questions, about other texts.
"""

from __future__ import annotations

import math
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.answer_briefly_and_stop import answer, first_sentence
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.language import questions, smollm2
from recipes.language.model import LanguageModel, conversation
from recipes.language.texts import Text, language_reference

TACTIC = "retrieve-fewer-and-shorter-passages"
ARMS = ("baseline", "tactic", "fewer_only", "random_passages", "no_passage")
METRICS: MetricTable = {
    "answer_cpu_s": ("s", "lower", "measured", "Processor time of an answer: finding, reading and writing."),
    "finding_cpu_ms": ("ms", "lower", "measured", "Processor time of finding what is sent for a question."),
    "index_cpu_s": (
        "s",
        "lower",
        "measured",
        "Processor time of building the index, for all questions.",
    ),
    "read_tokens": ("count", "lower", "counted", "Tokens of a request, with the passages."),
    "written_tokens": ("count", "lower", "counted", "Tokens written for an answer."),
    "facts_sent": ("fraction", "higher", "measured", "Questions whose fact stands in what is sent."),
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
    questions: int = 9
    """Questions asked, of those about the part."""
    many: int = 10
    """Passages that the baseline sends, at most."""
    room: int = 500
    """Tokens of passages that it sends, at most."""
    few: int = 2
    """Passages that the tactic takes sentences from."""
    around: int = 1
    """Sentences before and behind the best one of a passage that are sent with it."""
    limit: int = 24
    """Tokens of an answer, at most."""


SMOKE = Config(net="tiny", questions=2, many=3, limit=4)
DEFAULT = Config()
FULL = Config(questions=24, room=2000)

# --- The tactic, its baseline and rivals: each returns what is sent for a question -----------------------


# --8<-- [start:tactic]
def words(text: str) -> list[str]:
    """Return the words of a text in lower case; `__init__` is one."""
    return re.findall(r"\w+", text.lower())


class Index:
    """Finds passages by BM25: words count more the rarer they are, less the more often, and by length."""

    def __init__(self, passages: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        self.passages, self.k1, self.b = passages, k1, b
        counts = [Counter(words(passage)) for passage in passages]
        mean = sum(map(Counter.total, counts)) / len(counts)
        self.relative_lengths = [count.total() / mean for count in counts]
        self.postings = defaultdict[str, list[tuple[int, int]]](list)  # word: passages with it, how often
        for number, count in enumerate(counts):
            for word, times in count.items():
                self.postings[word].append((number, times))

    def rarity(self, word: str) -> float:
        """Return ln(1 + (N - n + 0.5) / (n + 0.5)) of a word in n of N passages."""
        having = len(self.postings.get(word, ()))
        return math.log1p((len(self.passages) - having + 0.5) / (having + 0.5))

    def best(self, question: str, count: int) -> list[str]:
        """Return the passages with the highest sums of rarity x f (k1 + 1) / (f + k1 (1 - b + b length))."""
        scores = defaultdict[int, float](float)
        for word in set(words(question)):
            for number, times in self.postings.get(word, ()):
                damped = times + self.k1 * (1 - self.b + self.b * self.relative_lengths[number])
                scores[number] += self.rarity(word) * times * (self.k1 + 1) / damped
        return [self.passages[number] for number in sorted(scores, key=lambda each: -scores[each])[:count]]


def matching_sentences(passage: str, question: str, index: Index, around: int) -> str:
    """Return the sentence of a passage whose words match best, with some before and behind it.

    A mark behind one letter or digit ends no sentence, as in `e.g.` and `1.`.
    """
    sentences = re.split(r"(?<=[.!?])(?<!\b\w.)\s+", passage)
    asked = set(words(question))
    matches = [sum(map(index.rarity, asked & set(words(sentence)))) for sentence in sentences]
    best = matches.index(max(matches))
    return " ".join(sentences[max(best - around, 0) : best + around + 1])


# --8<-- [end:tactic]


def fitting(passages: Sequence[str], room: int, tokens: Callable[[str], Sequence[int]]) -> list[str]:
    """Return the first passage and those after it that fit into so many tokens."""
    kept, used = list[str](), 0
    for passage in passages:
        used += len(tokens(passage))
        if kept and used > room:
            break
        kept.append(passage)
    return kept


def sent_with(
    question: str, arm: str, config: Config, index: Index, model: LanguageModel, draw: random.Random
) -> str:
    """Return what an arm sends with a question."""
    if arm == "no_passage":
        return ""
    if arm == "baseline":
        return "\n\n".join(fitting(index.best(question, config.many), config.room, model.encode))
    found = index.best(question, config.few)
    if arm == "fewer_only":
        return "\n\n".join(found)
    short = "\n\n".join(matching_sentences(passage, question, index, config.around) for passage in found)
    if arm == "random_passages":
        others, length = list[int](), len(model.encode(short))
        while len(others) < length:
            others += model.encode(f"{draw.choice(index.passages)}\n\n")
        return model.decode(others[:length])
    return short


# --- Run -------------------------------------------------------------------------------------------------


def passages_of(texts: Sequence[Text]) -> list[str]:
    """Return the paragraphs of all texts, each in one line."""
    return [" ".join(paragraph.split()) for text in texts for paragraph in text.text.split("\n\n")]


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Ask questions about a manual, one at a time."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts, draw = language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    part, asked = (texts.test, questions.TEST) if seed >= 1000 else (texts.search, questions.SEARCH)
    chosen = draw.sample(asked, config.questions)
    answer(model, conversation(question="Hello"), 2)  # memory and threads are set up
    with meter.window("index") as building:
        index = Index(passages_of(part))
    rows = list[dict[str, Any]]()
    for question in chosen:
        with meter.window("finding") as finding:
            sent = sent_with(question.question, arm, config, index, model, draw)
        request = conversation(question=f"{sent}\n\n{question.question}".lstrip())
        with meter.window(question.topic) as answering:
            text, written = answer(model, request, config.limit, first_sentence)
        row = {"topic": question.topic, "fact": question.answered_by(text), "answer": text}
        row |= {"finding_cpu_s": finding.cpu_s, "cpu_s": finding.cpu_s + answering.cpu_s}
        row |= {"sent": question.answered_by(sent), "read": len(model.encode(request)), "written": written}
        rows.append(row)

    def mean(name: str) -> float:
        return float(sum(row[name] for row in rows) / len(rows))

    metrics = {
        "answer_cpu_s": mean("cpu_s"),
        "finding_cpu_ms": 1000 * mean("finding_cpu_s"),
        "index_cpu_s": building.cpu_s if arm != "no_passage" else 0.0,
        "read_tokens": mean("read"),
        "written_tokens": mean("written"),
        "facts_sent": mean("sent"),
        "facts": mean("fact"),
    }
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"by_question": rows, "passages": len(index.passages), "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
