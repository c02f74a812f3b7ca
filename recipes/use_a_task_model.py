"""Task model: sort e-mails with a linear model of their words, not by asking a language model.

Record: tactics/use-a-task-model.yaml. The baseline asks a general language model whether an e-mail is spam
and takes the answer that it rather expects. The threshold is set on labelled e-mails, as such nets like some
words better whatever they read (Zhao et al., "Calibrate Before Use", ICML 2021, arXiv 2102.09690). The tactic
trains a logistic regression on words. One rival shows the language model examples first (Brown et al.,
"Language Models are Few-Shot Learners", NeurIPS 2020, arXiv 2005.14165); the other trains a net with a hidden
layer on the same words. All read the same beginnings of e-mails, half of them spam, one by one.

    python -m recipes.use_a_task_model --arm tactic --seed 0 --preset default

On one processor core a language model's arm takes about a minute with DEFAULT, which needs `greentactics data
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

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.model import LanguageModel
from recipes.language.texts import Text, e_mails, made_up_e_mails
from recipes.language.yes_or_no import Labelled, YesOrNo

TACTIC = "use-a-task-model"
ARMS = ("baseline", "tactic", "examples_in_prompt", "neural_net")
METRICS: MetricTable = {
    "email_cpu_s": ("s", "lower", "measured", "Processor time of the answer to one e-mail."),
    "setup_cpu_s": ("s", "lower", "measured", "Processor time of training, or of prompt and threshold."),
    "setup_answers": ("count", "lower", "measured", "Answers of the general model that cost the set-up."),
    "model_bytes": ("bytes", "lower", "counted", "Weights in memory, or a trained model as it is saved."),
    "accuracy": ("fraction", "higher", "measured", "Held-out e-mails, half of them spam, sorted rightly."),
}
QUESTION = "Is this e-mail spam? Answer with yes or no."


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, bytes for tokens, and e-mails that are made up."""
    data_dir: Path | None = None
    """Folder that holds weights and e-mails; None searches the usual places."""
    tokens: int = 64
    """Tokens of the language model that are left of each e-mail, from its beginning."""
    labelled: int = 700
    """E-mails that a task model learns from, half of them spam."""
    for_threshold: int = 24
    """How many of them set the threshold of the language model."""
    examples: int = 4
    """How many of them stand in the prompt of a rival."""
    fewer_labels: tuple[int, ...] = (50, 100, 200, 400)
    """How many the tactic learns from as well, outside of what is measured, to see how many it needs."""
    held_out: int = 80
    """E-mails that are answered, half of them spam."""


SMOKE = Config(net="tiny", labelled=60, for_threshold=8, fewer_labels=(20,), held_out=20)
DEFAULT = Config()
FULL = Config(tokens=384, for_threshold=100, held_out=700)

# --- The tactic, its baseline and rivals: each returns what answers, and its bytes -----------------------

Answers = tuple[Callable[[str], bool], int]


# --8<-- [start:tactic]
def task_model(labelled: Labelled) -> Pipeline:
    """Learn which words tell spam: each gets one weight."""
    texts, spam = zip(*labelled, strict=True)
    words = TfidfVectorizer(sublinear_tf=True, min_df=2)
    return make_pipeline(words, LogisticRegression(C=10)).fit(texts, spam)


# --8<-- [end:tactic]


def neural_net(labelled: Labelled, seed: int) -> Pipeline:
    """Train a net with a hidden layer on the same words, until a tenth that is held out gains no more."""
    texts, spam = zip(*labelled, strict=True)
    words = TfidfVectorizer(sublinear_tf=True, min_df=2)
    net = MLPClassifier((32,), batch_size=32, early_stopping=True, random_state=seed)
    return make_pipeline(words, net).fit(texts, spam)


def trained(model: Pipeline) -> Answers:
    """Let a trained model answer; its bytes are those of a file of it, words included."""
    return lambda mail: bool(model.predict([mail])[0]), len(pickle.dumps(model))


def asked(model: LanguageModel, config: Config, labelled: Labelled, examples: Labelled) -> Answers:
    """Let a language model answer, whose threshold labelled e-mails set."""
    general = YesOrNo(model, QUESTION, longest=config.tokens, examples=examples)
    general.set_threshold(labelled[: config.for_threshold])
    return general, sum(weight.numel() * weight.element_size() for weight in model.net.parameters())


# --- Run -------------------------------------------------------------------------------------------------


def drawn(part: Iterable[Text], count: int, cut: Callable[[str], str], draw: random.Random) -> Labelled:
    """Draw e-mails, spam and others in turns, and cut them."""
    kinds = dict[bool, list[str]]({True: [], False: []})
    for mail in part:
        kinds[bool(mail.is_spam)].append(mail.text)
    chosen = {kind: draw.sample(mails, count // 2) for kind, mails in kinds.items()}
    return [(cut(chosen[kind][pair]), kind) for pair in range(count // 2) for kind in (True, False)]


def right(answers: Sequence[bool], labelled: Labelled) -> float:
    """Return the share of right answers."""
    return sum(one == spam for one, (_, spam) in zip(answers, labelled, strict=True)) / len(labelled)


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Set up an arm with labelled e-mails, and let it answer others."""
    tiny = config.net == "tiny"
    model = smollm2.tiny() if tiny else smollm2.load(config.data_dir)
    texts = made_up_e_mails() if tiny else e_mails(config.data_dir)

    def cut(mail: str) -> str:
        beginning = mail[: 20 * config.tokens]  # some e-mails are very long
        return model.decode(model.encode(beginning)[: config.tokens])

    draw = random.Random(seed)  # noqa: S311 - not for secrets
    labelled = drawn(texts.search, config.labelled, cut, draw)
    held_out = drawn(texts.test if seed >= 1000 else texts.choice, config.held_out, cut, draw)
    general = YesOrNo(model, QUESTION, longest=config.tokens)
    general(labelled[0][0])  # memory and threads are set up
    with meter.window("general model") as general_s:
        for mail, _ in labelled[:8]:
            general(mail)
    with meter.window("set-up") as setup:
        if arm == "tactic":
            answer, size = trained(task_model(labelled))
        elif arm == "neural_net":
            answer, size = trained(neural_net(labelled, seed))
        else:
            shown = labelled[-config.examples :] if arm == "examples_in_prompt" else ()
            answer, size = asked(model, config, labelled, shown)
    with meter.window("answers") as answering:
        answers = [answer(mail) for mail, _ in held_out]
    metrics = {
        "email_cpu_s": answering.cpu_s / len(held_out),
        "setup_cpu_s": setup.cpu_s,
        "setup_answers": setup.cpu_s / (general_s.cpu_s / 8),
        "model_bytes": float(size),
        "accuracy": right(answers, held_out),
    }
    details: dict[str, Json] = {"net": {"name": model.name, "sha256": model.sha256}}
    if arm == "tactic":
        fewer = {count: trained(task_model(labelled[:count]))[0] for count in config.fewer_labels}
        details["accuracy_by_labels"] = [
            {"labels": count, "accuracy": right([one(mail) for mail, _ in held_out], held_out)}
            for count, one in fewer.items()
        ]
    return Outcome(metrics, texts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
