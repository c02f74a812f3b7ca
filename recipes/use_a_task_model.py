"""Task model: sort e-mails with a linear model of their words, not with a language model.

Record: tactics/use-a-task-model.yaml. The baseline has a general language model read each e-mail, and learns
from labels to tell spam by the mean of its last states. The tactic learns from the same labels which words
tell spam. One rival trains a small transformer on such words, from scratch. The other asks the language
model and takes the answer that it rather expects; labels set the threshold, as such nets like some words
better whatever they read (Zhao et al., "Calibrate Before Use", ICML 2021, arXiv 2102.09690). All read the
same beginnings of e-mails, half of them spam, one by one.

    python -m recipes.use_a_task_model --arm tactic --seed 0 --preset default

On one processor core the baseline takes one and a half minutes with DEFAULT, which needs `greentactics data
fetch smollm2` and `greentactics data fetch spam`. SMOKE has a random net and e-mails that are made up.
Published seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2, word_transformer
from recipes.language.llama import Llama
from recipes.language.model import LanguageModel
from recipes.language.texts import Text, e_mails, made_up_e_mails
from recipes.language.yes_or_no import Labelled, YesOrNo

TACTIC = "use-a-task-model"
ARMS = ("baseline", "tactic", "small_transformer", "asked")
METRICS: MetricTable = {
    "email_cpu_s": ("s", "lower", "measured", "Processor time of the answer to one e-mail."),
    "setup_cpu_s": ("s", "lower", "measured", "Processor time of learning from the labelled e-mails."),
    "setup_answers": ("count", "lower", "measured", "Answers of the baseline that cost as much."),
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
    tokens: int = 48
    """Tokens of the language model that are left of each e-mail, from its beginning."""
    labelled: int = 400
    """E-mails to learn from, half of them spam."""
    for_threshold: int = 40
    """How many of them set the threshold of the language model that is asked."""
    other_counts: tuple[int, ...] = (50, 100, 200, 640)
    """How many are learned from as well, outside of what is measured; more by the tactic alone."""
    held_out: int = 80
    """E-mails that are answered, half of them spam."""


SMOKE = Config(net="tiny", labelled=60, for_threshold=8, other_counts=(20, 80), held_out=20)
DEFAULT = Config()
FULL = Config(tokens=384, labelled=700, for_threshold=200, other_counts=(50, 100, 200, 400), held_out=700)

# --- The tactic, its baseline and rivals: each learns to answer from labelled e-mails ---------------------

Answer = Callable[[str], bool]


# --8<-- [start:tactic]
def task_model(labelled: Labelled) -> Pipeline:
    """Learn which words tell spam: each gets one weight."""
    texts, spam = zip(*labelled, strict=True)
    words = TfidfVectorizer(sublinear_tf=True, min_df=2)
    return make_pipeline(words, LogisticRegression(C=10)).fit(texts, spam)


# --8<-- [end:tactic]


def read_out(labelled: Sequence[tuple[Tensor, bool]]) -> Pipeline:
    """Learn to tell spam by states of the language model, (width,) each."""
    states, spam = zip(*labelled, strict=True)
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)).fit(
        torch.stack(states).numpy(), spam
    )


@torch.inference_mode()
def mean_state(net: Llama, tokens: Sequence[int]) -> Tensor:
    """Return the mean over a text of what the last layer gives, (width,)."""
    given = list[Tensor]()
    hook = net.layers[-1].register_forward_hook(lambda _layer, _inputs, states: given.append(states))
    try:
        net(torch.tensor([tokens]), last_only=True)
    finally:
        hook.remove()
    mean: Tensor = net.norm(given[0][0]).mean(0)  # of (tokens, width)
    return mean


def learned_by(
    arm: str,
    config: Config,
    model: LanguageModel,
    state: Callable[[str], Tensor],
    labelled: Labelled,
    seed: int,
) -> tuple[Answer, int]:
    """Return what an arm answers with once it has learned, and its bytes in memory or in a file."""
    weights = sum(weight.numel() * weight.element_size() for weight in model.net.parameters())
    if arm == "asked":
        asked = YesOrNo(model, QUESTION, longest=config.tokens)
        asked.set_threshold(labelled[: config.for_threshold])
        return asked, weights
    if arm == "baseline":
        reader = read_out([(state(mail), spam) for mail, spam in labelled])
        return lambda mail: bool(reader.predict(state(mail)[None].numpy())[0]), weights
    if arm == "small_transformer":
        net = word_transformer.train(labelled, seed)
        return net.predict, len(pickle.dumps(net))
    words = task_model(labelled)
    return lambda mail: bool(words.predict([mail])[0]), len(pickle.dumps(words))


# --- Run -------------------------------------------------------------------------------------------------


def drawn(
    part: Iterable[Text], count: int, model: LanguageModel, tokens: int, draw: random.Random
) -> Labelled:
    """Draw e-mails, spam and others in turns, of which so many tokens are left from the beginning."""

    def cut(mail: str) -> str:
        return model.decode(model.encode(mail[: 20 * tokens])[:tokens])  # some e-mails are very long

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

    draw = random.Random(seed)  # noqa: S311 - not for secrets
    known = drawn(texts.search, max(config.labelled, *config.other_counts), model, config.tokens, draw)
    labelled = known[: config.labelled]
    held_out = drawn(
        texts.test if seed >= 1000 else texts.choice, config.held_out, model, config.tokens, draw
    )

    def read(mail: str) -> Tensor:
        return mean_state(model.net, model.encode(mail))

    read(labelled[0][0])  # memory and threads are set up
    with meter.window("reading") as reading:
        for mail, _ in labelled[:4]:
            read(mail)
    state = cache(read)  # what follows the measured windows costs no further pass

    with meter.window("set-up") as setup:
        answer, size = learned_by(arm, config, model, state, labelled, seed)
    with meter.window("answers") as answering:
        answers = [answer(mail) for mail, _ in held_out]
    metrics = {
        "email_cpu_s": answering.cpu_s / len(held_out),
        "setup_cpu_s": setup.cpu_s,
        "setup_answers": setup.cpu_s / (reading.cpu_s / 4),
        "model_bytes": float(size),
        "accuracy": right(answers, held_out),
    }
    by_labels = list[Json]()
    most = {"baseline": config.labelled, "tactic": len(known)}.get(
        arm, 0
    )  # of the baseline, what it has read
    for count in (count for count in config.other_counts if count <= most):
        other, _ = learned_by(arm, config, model, state, known[:count], seed)
        accuracy = right([other(mail) for mail, _ in held_out], held_out)
        by_labels.append({"labels": count, "accuracy": accuracy})
    details: dict[str, Json] = {"net": {"name": model.name, "sha256": model.sha256}}
    return Outcome(metrics, texts.used, details | {"accuracy_by_labels": by_labels})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
