"""Labels of a language model: a small task model learns from them, and answers instead of it.

Record: tactics/distil-from-language-model-labels.yaml. A few e-mails are labelled by hand, half of them spam.
From these the language model learns to tell spam by the mean of its last states; as the baseline, it then
answers all. The tactic lets it label further e-mails once, and a linear model of words learns from both kinds
of labels. One rival labels by asking the language model, with a threshold set on the labels by hand. Two do
without it: the task model learns from the labels by hand alone, or labels the further e-mails by itself first
(self-training, one round, all labels taken; Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling
Supervised Methods", ACL 1995).

    python -m recipes.distil_from_language_model_labels --arm tactic --seed 0 --preset default

On one processor core an arm takes up to one and a half minutes with DEFAULT, which needs `greentactics data
fetch smollm2` and `greentactics data fetch spam`. SMOKE has a random net and e-mails that are made up.
Published seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.model import LanguageModel
from recipes.language.texts import e_mails, made_up_e_mails
from recipes.language.yes_or_no import Labelled, YesOrNo
from recipes.use_a_task_model import QUESTION, drawn, mean_state, read_out, right

TACTIC = "distil-from-language-model-labels"
ARMS = ("baseline", "tactic", "asked_labels", "self_training", "by_hand_only")
METRICS: MetricTable = {
    "email_cpu_s": ("s", "lower", "measured", "Processor time of the answer to one e-mail."),
    "setup_cpu_s": ("s", "lower", "measured", "Processor time of labelling by a model and of learning."),
    "setup_answers": ("count", "lower", "measured", "Answers of the language model that cost as much."),
    "wrong_labels_fraction": ("fraction", "lower", "measured", "Wrong ones among the labels learned from."),
    "model_bytes": ("bytes", "lower", "counted", "Weights in memory, or a trained model as it is saved."),
    "accuracy": ("fraction", "higher", "measured", "Held-out e-mails, half of them spam, sorted rightly."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, bytes for tokens, and e-mails that are made up."""
    data_dir: Path | None = None
    """Folder that holds weights and e-mails; None searches the usual places."""
    tokens: int = 48
    """Tokens of the language model that are left of each e-mail, from its beginning."""
    by_hand: int = 60
    """E-mails that are labelled by hand, half of them spam."""
    unlabelled: int = 200
    """Further e-mails that are labelled by a model, half of them spam."""
    fewer: tuple[int, ...] = (50, 100)
    """How many of them are learned from as well, outside of what is measured, to see how many are needed."""
    held_out: int = 120
    """E-mails that are answered, half of them spam."""


SMOKE = Config(net="tiny", by_hand=20, unlabelled=40, fewer=(20,), held_out=20)
DEFAULT = Config()
FULL = Config(tokens=384, by_hand=100, unlabelled=600, held_out=700)

# --- The tactic -------------------------------------------------------------------------------------------

Learned = TypeVar("Learned")


# --8<-- [start:tactic]
def distilled(
    by_hand: Sequence[tuple[str, bool]],
    unlabelled: Iterable[str],
    teacher: Callable[[str], bool],
    learn: Callable[[Sequence[tuple[str, bool]]], Learned],
) -> tuple[Learned, list[tuple[str, bool]]]:
    """Learn from labels by hand and from those of a teacher.

    Returns:
        What was learned, and the examples with their labels; those by hand come first.
    """
    labelled = [*by_hand, *((example, teacher(example)) for example in unlabelled)]
    return learn(labelled), labelled


def word_model(labelled: Sequence[tuple[str, bool]]) -> Pipeline:
    """Learn which words tell spam; words of one e-mail count too, as labels by hand are few."""
    texts, spam = zip(*labelled, strict=True)
    return make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10)).fit(texts, spam)


# --8<-- [end:tactic]
# --- Run --------------------------------------------------------------------------------------------------

Answer = Callable[[str], bool]


def reading(model: LanguageModel, by_hand: Labelled) -> Answer:
    """Return the language model's answer; how to read it out of the states, labels by hand teach."""

    def state(mail: str) -> Tensor:
        return mean_state(model.net, model.encode(mail))  # (width,)

    reader = read_out([(state(mail), spam) for mail, spam in by_hand])
    return lambda mail: bool(reader.predict(state(mail)[None].numpy())[0])


def asking(model: LanguageModel, by_hand: Labelled, longest: int) -> Answer:
    """Return the language model's answer to a question; labels by hand set the threshold."""
    asked = YesOrNo(model, QUESTION, longest=longest)
    asked.set_threshold(by_hand)
    return asked


def of_words(words: Pipeline) -> Answer:
    """Return the answer of a task model."""
    return lambda mail: bool(words.predict([mail])[0])


def set_up(
    arm: str, config: Config, model: LanguageModel, by_hand: Labelled, unlabelled: Sequence[str]
) -> tuple[Answer, int, Labelled]:
    """Return what an arm answers with, its bytes in memory or in a file, and the labels it learned from."""
    if arm == "baseline":
        weights = sum(weight.numel() * weight.element_size() for weight in model.net.parameters())
        return reading(model, by_hand), weights, by_hand
    if arm == "by_hand_only":
        words, labelled = word_model(by_hand), by_hand
    else:
        teacher = {
            "tactic": lambda: reading(model, by_hand),
            "asked_labels": lambda: asking(model, by_hand, config.tokens),
            "self_training": lambda: of_words(word_model(by_hand)),
        }[arm]()
        words, labelled = distilled(by_hand, unlabelled, teacher, word_model)
    return of_words(words), len(pickle.dumps(words)), labelled


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Set up an arm with labels by hand and further e-mails, and let it answer others."""
    tiny = config.net == "tiny"
    model = smollm2.tiny() if tiny else smollm2.load(config.data_dir)
    texts = made_up_e_mails() if tiny else e_mails(config.data_dir)

    draw = random.Random(seed)  # noqa: S311 - not for secrets
    true = drawn(texts.search, config.by_hand + config.unlabelled, model, config.tokens, draw)
    held_out = drawn(
        texts.test if seed >= 1000 else texts.choice, config.held_out, model, config.tokens, draw
    )
    by_hand, unlabelled = true[: config.by_hand], [mail for mail, _ in true[config.by_hand :]]
    answer = reading(model, by_hand[:2])  # memory and threads are set up
    with meter.window("reading") as one_by_one:
        for mail, _ in held_out[:8]:
            answer(mail)

    with meter.window("set-up") as setup:
        answer, size, labelled = set_up(arm, config, model, by_hand, unlabelled)
    with meter.window("answers") as answering:
        answers = [answer(mail) for mail, _ in held_out]
    metrics = {
        "email_cpu_s": answering.cpu_s / len(held_out),
        "setup_cpu_s": setup.cpu_s,
        "setup_answers": setup.cpu_s / (one_by_one.cpu_s / 8),
        "wrong_labels_fraction": 1 - right([label for _, label in labelled], true[: len(labelled)]),
        "model_bytes": float(size),
        "accuracy": right(answers, held_out),
    }

    def accuracy(labels: Labelled) -> float:
        learned = of_words(word_model(labels))
        return right([learned(mail) for mail, _ in held_out], held_out)

    rows = list[Json]()
    for given in (*config.fewer, config.unlabelled) if arm == "tactic" else ():
        count = config.by_hand + given
        by_model, all_by_hand = accuracy(labelled[:count]), accuracy(true[:count])
        rows.append({"labels": count, "accuracy": by_model, "accuracy_all_by_hand": all_by_hand})
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"accuracy_by_labels": rows, "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
