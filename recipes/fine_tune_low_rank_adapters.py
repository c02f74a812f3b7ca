"""LoRA: a language model learns a task in thin matrices beside its weights, which stay as they are.

Record: tactics/fine-tune-low-rank-adapters.yaml. The task is to tell whether an e-mail is spam, as in
`use_a_task_model`: the net answers Yes or No. The baseline trains all weights, the tactic two thin matrices
beside each projection of attention (Hu et al., "LoRA", ICLR 2022, arXiv 2106.09685) and adds their product
to the weights in the end. Rivals train the last layers; or the weights of norms alone, as this net has no
biases to train (after Ben Zaken et al., "BitFit", ACL 2022, arXiv 2106.10199); or nothing in the net, but a
logistic regression on its last state.

    python -m recipes.fine_tune_low_rank_adapters --arm tactic --seed 0 --preset default

On one processor core an arm takes one to two minutes with DEFAULT, which needs `greentactics data fetch
smollm2` and `greentactics data fetch spam`. SMOKE has a random net and e-mails that are made up, and takes a
second. Published seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.batch_requests import filled_up
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.llama import Llama
from recipes.language.model import LanguageModel, conversation
from recipes.language.texts import e_mails, made_up_e_mails
from recipes.language.training import bytes_for_gradients, bytes_of, steps_of
from recipes.language.yes_or_no import Labelled
from recipes.use_a_task_model import QUESTION, drawn

TACTIC = "fine-tune-low-rank-adapters"
ARMS = ("baseline", "tactic", "last_layers", "norms_only", "linear_read_out")
METRICS: MetricTable = {
    "email_cpu_s": ("s", "lower", "measured", "Processor time of training for each e-mail."),
    "training_bytes": ("bytes", "lower", "counted", "Weights, moments, and gradients or what they need."),
    "kept_bytes": ("bytes", "lower", "counted", "Kept by a step until its gradients are known."),
    "moment_bytes": ("bytes", "lower", "counted", "Kept by the optimiser from step to step."),
    "trained_weights": ("count", "lower", "counted", "Weights that are trained."),
    "task_bytes": ("bytes", "lower", "counted", "What has to be stored for the task beside the net."),
    "answer_cpu_s": ("s", "lower", "measured", "Processor time of an answer afterwards."),
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
    labelled: int = 80
    """E-mails to learn from, half of them spam; each is seen once."""
    step: int = 8
    """E-mails of one step."""
    held_out: int = 80
    """E-mails that are answered, half of them spam."""
    rank: int = 8
    """Rows of one thin matrix and columns of the other."""
    last: int = 4
    """Layers that the rival trains."""
    rate: float = 3e-5
    """Learning rate for all weights."""
    adapter_rate: float = 1e-3
    """For the thin matrices."""
    last_rate: float = 1e-4
    """For the last layers."""
    norm_rate: float = 3e-3
    """For the norms."""


SMOKE = Config(net="tiny", tokens=24, labelled=32, held_out=16, last=1)
DEFAULT = Config()
FULL = Config(tokens=384, labelled=1200, step=16, held_out=700)

# --- The tactic and its rivals: what of the net is trained -----------------------------------------------


# --8<-- [start:tactic]
class LowRank(nn.Module):
    """A linear layer and two thin matrices beside it, whose product counts as if it were added."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) * layer.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))  # nothing is added at first

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        wide: Tensor = self.layer(x)
        return wide + F.linear(F.linear(x, self.down), self.up)  # rank numbers a token between

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return the layer with the product added: as good, and no dearer than before."""
        self.layer.weight += self.up @ self.down
        return self.layer


PROJECTIONS = ("query", "key", "value", "output")


def adapt(net: Llama, rank: int) -> list[Tensor]:
    """Put thin matrices beside the projections of attention; return them."""
    thin = list[Tensor]()
    for layer in net.layers:
        for name in PROJECTIONS:
            adapted = LowRank(getattr(layer.attention, name), rank)
            setattr(layer.attention, name, adapted)
            thin += [adapted.down, adapted.up]
    return thin


def merge(net: Llama) -> None:
    """Add all products to the weights, so that the net is built as before."""
    for layer in net.layers:
        for name in PROJECTIONS:
            setattr(layer.attention, name, getattr(layer.attention, name).merged())


# --8<-- [end:tactic]


def trained_by(arm: str, net: Llama, config: Config) -> tuple[list[Tensor], float]:
    """Return the weights that an arm trains, and how fast; all others are frozen."""
    net.requires_grad_(arm == "baseline")
    if arm == "tactic":
        return adapt(net, config.rank), config.adapter_rate
    weights, rate = {
        "baseline": (net.parameters(), config.rate),
        "last_layers": (
            nn.ModuleList([*net.layers[-config.last :], net.norm]).parameters(),
            config.last_rate,
        ),
        "norms_only": ((weight for weight in net.parameters() if weight.ndim == 1), config.norm_rate),
    }[arm]
    return [weight.requires_grad_() for weight in weights], rate


# --- Learning and answering ------------------------------------------------------------------------------

Mails = Sequence[tuple[list[int], bool]]
"""Prompts as tokens, and whether the answer is yes."""


def logits_of(net: Llama, mails: Mails, answers: Tensor) -> Tensor:
    """Return the logits of No and Yes behind each prompt, (mails, 2)."""
    tokens, padding = filled_up([prompt for prompt, _ in mails], answers.device)
    logits: Tensor = net(tokens, padding=padding, last_only=True)[:, -1, answers]
    return logits


def loss_of(net: Llama, mails: Mails, answers: Tensor) -> Tensor:
    """Return the mean negative log likelihood of the right one of two answers."""
    return F.cross_entropy(logits_of(net, mails, answers), torch.tensor([int(yes) for _, yes in mails]))


@torch.inference_mode()
def states_of(net: Llama, mails: Mails, answers: Tensor) -> Tensor:
    """Return the state behind each prompt from which the net reads its answer, (mails, width)."""
    states: list[Tensor] = []
    hook = net.norm.register_forward_hook(lambda _, __, state: states.append(state[:, -1]))
    logits_of(net, mails, answers)
    hook.remove()
    return states[0]


def fine_tune(
    config: Config, net: Llama, mails: Mails, answers: Tensor, weights: Sequence[Tensor], rate: float
) -> tuple[list[float], int]:
    """Train weights for one pass over the e-mails; return losses by step, and the bytes of moments."""
    optimiser, losses = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0), list[float]()
    for step in steps_of(mails, config.step):
        loss = loss_of(net, step, answers)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    held = [each for state in optimiser.state.values() for each in state.values() if each.ndim]
    return losses, sum(map(bytes_of, held))


# --- Run -------------------------------------------------------------------------------------------------


def prompts(model: LanguageModel, mails: Labelled) -> Mails:
    """Return the question about each e-mail as tokens."""
    return [(model.encode(conversation(question=f"{mail}\n\n{QUESTION}")), spam) for mail, spam in mails]


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Learn from labelled e-mails, and answer others."""
    tiny = config.net == "tiny"
    model = smollm2.tiny() if tiny else smollm2.load(config.data_dir)
    texts = made_up_e_mails() if tiny else e_mails(config.data_dir)
    torch.manual_seed(seed)  # for the thin matrices

    draw = random.Random(seed)  # noqa: S311 - not for secrets
    mails = prompts(model, drawn(texts.search, config.labelled, model, config.tokens, draw))
    part = texts.test if seed >= 1000 else texts.choice
    held_out = prompts(model, drawn(part, config.held_out, model, config.tokens, draw))
    net, answers = model.net, torch.tensor([model.encode(answer)[0] for answer in ("No", "Yes")])
    loss_of(net, mails[:2], answers)  # memory and threads are set up
    weights, losses, moment_bytes, kept_bytes = list[Tensor](), list[float](), 0, 0
    if arm != "linear_read_out":
        weights, rate = trained_by(arm, net, config)
        kept_bytes = bytes_for_gradients(net, lambda: loss_of(net, mails[: config.step], answers))
    all_bytes, trained_bytes = sum(map(bytes_of, net.parameters())), sum(map(bytes_of, weights))
    with meter.window("training") as training:
        if weights:
            losses, moment_bytes = fine_tune(config, net, mails, answers, weights, rate)
        else:
            states = [states_of(net, step, answers) for step in steps_of(mails, config.step)]
            labels = [spam for _, spam in mails]
            fitted = LogisticRegression(max_iter=1000).fit(torch.cat(states).numpy(), labels)
        if arm == "tactic":
            merge(net)
    found = list[bool]()
    with meter.window("answers") as answering, torch.inference_mode():
        for step in steps_of(held_out, config.step):
            if weights:
                found += (logits_of(net, step, answers).argmax(1) == 1).tolist()
            else:
                found += fitted.predict(states_of(net, step, answers).numpy()).tolist()
    metrics = {
        "email_cpu_s": training.cpu_s / len(mails),
        "training_bytes": all_bytes + moment_bytes + max(trained_bytes, kept_bytes),
        "kept_bytes": kept_bytes,
        "moment_bytes": moment_bytes,
        "trained_weights": sum(weight.numel() for weight in weights) or fitted.coef_.size + 1,
        "task_bytes": trained_bytes or fitted.coef_.nbytes + fitted.intercept_.nbytes,
        "answer_cpu_s": answering.cpu_s / len(held_out),
        "accuracy": sum(one == spam for one, (_, spam) in zip(found, held_out, strict=True)) / len(held_out),
    }
    details: dict[str, Json] = {"losses": losses, "net": {"name": model.name, "sha256": model.sha256}}
    return Outcome(metrics, texts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
