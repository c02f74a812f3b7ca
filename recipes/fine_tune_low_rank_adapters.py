"""LoRA: a language model learns texts of one kind in thin matrices beside its weights, which stay fixed.

Record: tactics/fine-tune-low-rank-adapters.yaml. The texts are paragraphs of a manual. The baseline trains
all weights, the tactic two thin matrices beside each linear layer (Hu et al., "LoRA", ICLR 2022, arXiv
2106.09685) and adds their product to the weights in the end. Rivals train all weights with an optimiser that
keeps sums over rows and columns in place of moments (Shazeer and Stern, "Adafactor", ICML 2018, arXiv
1804.04235); or the last layers; or the weights of norms alone, as this net has no biases to train (after Ben
Zaken et al., "BitFit", ACL 2022, arXiv 2106.10199). Each arm has the learning rate
that was best for it of five or six, with seeds 0 and 1.

    python -m recipes.fine_tune_low_rank_adapters --arm tactic --seed 0 --preset default

On one processor core an arm takes under a minute with DEFAULT, which needs `greentactics data fetch smollm2`,
and a second with SMOKE. Published seeds, from 1000, are judged on other texts than those below.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.llama import Llama
from recipes.language.quality import guesses
from recipes.language.texts import language_reference
from recipes.language.training import bytes_for_gradients, bytes_of, fine_tune, loss_of, steps_of
from recipes.pack_sequences_instead_of_padding import packed, paragraphs

TACTIC = "fine-tune-low-rank-adapters"
ARMS = ("baseline", "tactic", "lean_optimiser", "last_layers", "norms_only")
METRICS: MetricTable = {
    "text_cpu_s": ("s", "lower", "measured", "Processor time of training for each text."),
    "training_bytes": ("bytes", "lower", "counted", "Weights, moments, and gradients or what they need."),
    "kept_bytes": ("bytes", "lower", "counted", "Kept by the largest step until its gradients are known."),
    "moment_bytes": ("bytes", "lower", "counted", "Kept by the optimiser from step to step."),
    "trained_weights": ("count", "lower", "counted", "Weights that are trained."),
    "task_bytes": ("bytes", "lower", "counted", "What has to be stored for these texts beside the net."),
    "held_out_nats": ("nats", "lower", "measured", "Loss of a held-out token after training."),
    "gained_nats": ("nats", "higher", "measured", "How much less that is than before training."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    texts: int = 48
    """Paragraphs to learn from; each is seen once."""
    step: int = 6
    """Texts of one step."""
    longest: int = 96
    """Tokens of a text that count, with the one that ends it."""
    row: int = 192
    """Tokens of a row that texts are packed into."""
    held_out: int = 24
    """Paragraphs that judge."""
    rank: int = 8
    """Rows of one thin matrix and columns of the other."""
    last: int = 6
    """Layers that a rival trains."""
    rate: float = 2e-4
    """Learning rate for all weights."""
    adapter_rate: float = 5e-3
    """For the thin matrices."""
    lean_rate: float = 1e-3
    """For all weights with the lean optimiser, which scales its steps by the weights."""
    last_rate: float = 4e-4
    """For the last layers."""
    norm_rate: float = 5e-3
    """For the norms."""


SMOKE = Config(net="tiny", texts=12, longest=48, row=96, held_out=8, last=1)
DEFAULT = Config()
FULL = Config(texts=448, step=16, longest=256, row=512, held_out=600, last=8)

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


def adapt(net: nn.Module, rank: int) -> list[Tensor]:
    """Put thin matrices beside all linear layers; return them."""
    thin = list[Tensor]()
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear):
                adapted = LowRank(layer, rank)
                setattr(parent, name, adapted)
                thin += [adapted.down, adapted.up]
    return thin


def merge(net: nn.Module) -> None:
    """Add all products to the weights, so that the net is built as before."""
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, LowRank):
                setattr(parent, name, layer.merged())


# --8<-- [end:tactic]


def trained_by(arm: str, net: Llama, config: Config) -> tuple[list[Tensor], float]:
    """Return the weights that an arm trains, and how fast; all others are frozen."""
    net.requires_grad_(arm in ("baseline", "lean_optimiser"))
    if arm == "tactic":
        return adapt(net, config.rank), config.adapter_rate
    if arm == "last_layers":
        last = nn.ModuleList([*net.layers[-config.last :], net.norm])
        return [weight.requires_grad_() for weight in last.parameters()], config.last_rate
    if arm == "norms_only":
        norms = [weight for weight in net.parameters() if weight.ndim == 1]
        return [weight.requires_grad_() for weight in norms], config.norm_rate
    return list(net.parameters()), config.rate if arm == "baseline" else config.lean_rate


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Learn from paragraphs of a manual, and judge the net by others."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    net, parts, draw = model.net, language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    torch.manual_seed(seed)  # for the thin matrices
    texts = draw.sample(paragraphs(parts.search, model, config.longest), config.texts)
    part = parts.test if seed >= 1000 else parts.choice
    held_out = draw.sample(paragraphs(part, model, config.longest), config.held_out)
    batches = [packed(step, config.row) for step in steps_of(texts, config.step)]
    untrained, _ = guesses(net, held_out)
    net_bytes = sum(map(bytes_of, net.parameters()))

    weights, rate = trained_by(arm, net, config)
    largest = max(batches, key=lambda batch: batch.tokens.numel())
    kept_bytes = bytes_for_gradients(net, lambda: loss_of(net, largest))
    optimiser: torch.optim.Optimizer = (
        torch.optim.Adafactor(weights, lr=rate, weight_decay=0.0)
        if arm == "lean_optimiser"
        else torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    )
    with meter.window("training") as training:
        losses = fine_tune(net, batches, optimiser)
        merge(net)
    nats, _ = guesses(net, held_out)
    trained_bytes = sum(map(bytes_of, weights))
    moments = [each for state in optimiser.state.values() for each in state.values() if each.ndim]
    moment_bytes = sum(map(bytes_of, moments))
    beside_bytes = trained_bytes if arm == "tactic" else 0  # thin matrices are weights, too
    metrics = {
        "text_cpu_s": training.cpu_s / len(texts),
        "training_bytes": net_bytes + beside_bytes + moment_bytes + max(trained_bytes, kept_bytes),
        "kept_bytes": kept_bytes,
        "moment_bytes": moment_bytes,
        "trained_weights": sum(weight.numel() for weight in weights),
        "task_bytes": trained_bytes,
        "held_out_nats": nats,
        "gained_nats": untrained - nats,
    }
    details: dict[str, Json] = {"losses": losses, "net": {"name": model.name, "sha256": model.sha256}}
    return Outcome(metrics, parts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
