"""Routing: a cheap model answers where it is sure, and passes the rest on to a language model.

Record: tactics/route-to-the-cheapest-sure-model.yaml. After Chen, Zaharia, Zou, "FrugalGPT", 2023 (arXiv
2305.05176), with two models, and the cheap one's own probability in place of a scorer. Both learn from the
same labelled e-mails to tell spam: the cheap one by words, the language model by the mean of its last states.
How sure is sure enough is set on the same labels, each answered by models that did not learn from it. The
baseline sends all to the language model. One rival passes as many on, drawn by chance, the other none.

    python -m recipes.route_to_the_cheapest_sure_model --arm tactic --seed 0 --preset default

On one processor core an arm takes up to a minute with DEFAULT, which needs `greentactics data fetch
smollm2` and `greentactics data fetch spam`. SMOKE has a random net and e-mails that are made up. Published
seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from sklearn.model_selection import cross_val_predict

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.texts import e_mails, made_up_e_mails
from recipes.use_a_task_model import drawn, mean_state, read_out, right, task_model

TACTIC = "route-to-the-cheapest-sure-model"
ARMS = ("baseline", "tactic", "by_chance", "cheap_only")
METRICS: MetricTable = {
    "email_cpu_s": ("s", "lower", "measured", "Processor time of the answer to one e-mail."),
    "setup_cpu_s": (
        "s",
        "lower",
        "measured",
        "Processor time of learning and of setting how sure is enough.",
    ),
    "passed_fraction": (
        "fraction",
        "lower",
        "counted",
        "E-mails that the language model answered.",
    ),
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
    """Tokens that are left of each e-mail, from its beginning."""
    labelled: int = 120
    """E-mails to learn from, half of them spam."""
    tolerance: float = 0.005
    """Accuracy that routing may lose against the language model, on the labelled e-mails."""
    held_out: int = 120
    """E-mails that are answered, half of them spam."""


SMOKE = Config(net="tiny", labelled=60, held_out=20)
DEFAULT = Config()
FULL = Config(tokens=384, labelled=700, held_out=700)

T = TypeVar("T")

# --- The tactic -------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def least_sureness(
    sureness: Sequence[float],
    cheap_is_right: Sequence[bool],
    dear_is_right: Sequence[bool],
    *,
    tolerance: float,
) -> float:
    """Return how sure the cheap model must be, so that it answers most and hardly more answers are wrong.

    Args:
        sureness: Of the cheap model, one for each labelled request that it did not learn from.
        cheap_is_right: Whether its answer was right.
        dear_is_right: Whether that of the dear model was.
        tolerance: Share of right answers that may be lost against the dear model alone.

    Returns:
        A sureness; infinity where the cheap model had better answer nothing.
    """
    order = sorted(range(len(sureness)), key=lambda number: -sureness[number])
    allowed, gained, least = tolerance * len(order), 0, math.inf
    for place, number in enumerate(order):
        gained += cheap_is_right[number] - dear_is_right[number]
        following = sureness[order[place + 1]] if place + 1 < len(order) else -math.inf
        if gained >= -allowed and sureness[number] > following:  # equally sure ones stay together
            least = (sureness[number] + following) / 2
    return least


def routed(
    request: str, cheap: Callable[[str], tuple[T, float]], dear: Callable[[str], T], least: float
) -> tuple[T, bool]:
    """Return the answer to a request, and whether it was passed on to the dear model."""
    answer, sure = cheap(request)
    return (answer, False) if sure >= least else (dear(request), True)


# --8<-- [end:tactic]
# --- Run --------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Set up both models with labelled e-mails, and answer others."""
    tiny = config.net == "tiny"
    model = smollm2.tiny() if tiny else smollm2.load(config.data_dir)
    texts = made_up_e_mails() if tiny else e_mails(config.data_dir)

    draw = random.Random(seed)  # noqa: S311 - not for secrets
    labelled = drawn(texts.search, config.labelled, model, config.tokens, draw)
    held_out = drawn(
        texts.test if seed >= 1000 else texts.choice, config.held_out, model, config.tokens, draw
    )
    mean_state(model.net, model.encode(labelled[0][0]))  # memory and threads are set up
    mails, spam = zip(*labelled, strict=True)
    passed = list[bool]()
    with meter.window("set-up") as setup:
        words = task_model(labelled)
        least, share = -math.inf, 0.0
        if arm != "cheap_only":
            states = [mean_state(model.net, model.encode(mail)) for mail in mails]  # (width,) each
            reader = read_out(list(zip(states, spam, strict=True)))
        if arm == "baseline":
            least, share = math.inf, 1.0
        elif arm != "cheap_only":
            chances = cross_val_predict(words, mails, spam, method="predict_proba")  # (labelled, 2)
            read = cross_val_predict(reader, torch.stack(states).numpy(), spam)
            sure = chances.max(1).tolist()
            least = least_sureness(
                sure,
                (chances.argmax(1) == spam).tolist(),
                (read == spam).tolist(),
                tolerance=config.tolerance,
            )
            share = sum(each < least for each in sure) / len(sure)

    def cheap(mail: str) -> tuple[bool, float]:
        if arm == "baseline":
            return False, 0.0
        if arm == "by_chance":
            return bool(words.predict([mail])[0]), math.inf if draw.random() >= share else -math.inf
        ham, junk = words.predict_proba([mail])[0]
        return bool(junk > ham), float(max(ham, junk))

    def dear(mail: str) -> bool:
        return bool(reader.predict(mean_state(model.net, model.encode(mail))[None].numpy())[0])

    answers = list[bool]()
    with meter.window("answers") as answering:
        for mail, _ in held_out:
            answer, was_passed = routed(mail, cheap, dear, least)
            answers.append(answer)
            passed.append(was_passed)
    metrics = {
        "email_cpu_s": answering.cpu_s / len(held_out),
        "setup_cpu_s": setup.cpu_s,
        "passed_fraction": sum(passed) / len(passed),
        "accuracy": right(answers, held_out),
    }
    details: dict[str, Json] = {
        "net": {"name": model.name, "sha256": model.sha256},
        "passed_fraction_of_labelled": share,
        "least_sureness": least if math.isfinite(least) else None,
    }
    return Outcome(metrics, texts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
