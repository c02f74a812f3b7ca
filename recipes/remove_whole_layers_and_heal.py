"""Depth pruning: a language model without the layers that change their input least, trained a bit after.

Record: tactics/remove-whole-layers-and-heal.yaml. Layers are scored by their influence, one less the cosine
of what goes in and what comes out (Men et al., "ShortGPT", 2024, arXiv 2403.03853); those with least are
removed, and the rest is trained. Training also makes any net used to the kind of text that judges it: the
baseline is the whole net after the same training, and `untrained` the net as it came. Rivals cost as much
for a token: other layers drawn at random, or the last ones, which is to read out early.

    python -m recipes.remove_whole_layers_and_heal --arm tactic --seed 0 --preset default

DEFAULT needs `greentactics data fetch smollm2`, SMOKE nothing. Published seeds, from 1000, are judged on
other texts than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.keep_keys_and_values import cache_bytes_per_token
from recipes.language import smollm2
from recipes.language.llama import Cache, Llama
from recipes.language.model import LanguageModel
from recipes.language.quality import guesses
from recipes.language.texts import Text, language_reference
from recipes.language.training import Tokens, bytes_of, fine_tune, padded, steps_of

TACTIC = "remove-whole-layers-and-heal"
ARMS = ("baseline", "tactic", "not_healed", "random_layers", "last_layers", "untrained")
METRICS: MetricTable = {
    "token_cpu_ms": ("ms", "lower", "measured", "Processor time of a new token behind a prompt."),
    "reading_cpu_ms": ("ms", "lower", "measured", "Processor time of a token of the prompt."),
    "weight_bytes": ("bytes", "lower", "counted", "All weights."),
    "token_cache_bytes": ("bytes", "lower", "counted", "Keys and values kept of each token."),
    "healing_cpu_s": ("s", "lower", "measured", "Processor time of scoring layers and of training, once."),
    "held_out_nats": ("nats", "lower", "measured", "Loss of a held-out token."),
    "guessed_tokens": ("fraction", "higher", "measured", "Held-out tokens that the net expects most."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    removed: int = 3
    """Layers that are removed."""
    length: int = 128
    """Tokens of a window: texts are read in windows, and a prompt is one."""
    scored: int = 4
    """Windows that layers are scored on, of those to train on."""
    windows: int = 8
    """Windows to train on; each is seen once."""
    step: int = 2
    """Windows of one step."""
    rate: float = 1e-3
    """Learning rate of nets without some of their layers; of three, the tactic's best with seed 0."""
    whole_rate: float = 1e-3
    """Learning rate of the whole net; of three, the best one with seed 0."""
    new_tokens: int = 32
    """Tokens written behind the prompt."""
    held_out: int = 10
    """Windows that judge."""


SMOKE = Config(net="tiny", removed=1, length=32, scored=2, windows=4, step=2, new_tokens=4, held_out=2)
DEFAULT = Config()
FULL = Config(removed=6, length=256, scored=16, windows=64, step=8, new_tokens=128, held_out=48)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
@torch.inference_mode()
def influences(net: Llama, windows: Tensor) -> Tensor:
    """Return by how much each layer turns the state of a token of windows (count, length), (layers,)."""
    found = list[Tensor]()

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(1 - F.cosine_similarity(inputs[0], output, dim=-1).mean())  # of (count, length, width)

    hooks = [layer.register_forward_hook(note) for layer in net.layers]
    net(windows, last_only=True)
    for hook in hooks:
        hook.remove()
    return torch.stack(found)


def remove(net: Llama, numbers: Collection[int]) -> None:
    """Take layers out; what went into one goes into the next."""
    kept = [layer for number, layer in enumerate(net.layers) if number not in numbers]
    net.layers, net.config = nn.ModuleList(kept), replace(net.config, layers=len(kept))


def heal(net: Llama, windows: Sequence[Tokens], step: int, rate: float) -> list[float]:
    """Train all weights on windows of texts, some at a step; return losses by step."""
    # Adam would keep twice the weights beside them
    optimiser: torch.optim.Optimizer = torch.optim.Adafactor(net.parameters(), lr=rate)
    return fine_tune(net, [padded(rows) for rows in steps_of(windows, step)], optimiser)


# --8<-- [end:tactic]

# --- Run -------------------------------------------------------------------------------------------------


def removed_by(
    arm: str, net: Llama, config: Config, windows: Sequence[Tokens], draw: random.Random
) -> list[int]:
    """Return the numbers of the layers that an arm removes."""
    layers, count = len(net.layers), config.removed
    if arm in {"tactic", "not_healed"}:
        return influences(net, torch.tensor(windows[: config.scored])).argsort()[:count].tolist()
    if arm == "random_layers":
        return draw.sample(range(layers), count)
    return list(range(layers - count, layers)) if arm == "last_layers" else []


def drawn(
    part: Iterable[Text], model: LanguageModel, length: int, count: int, draw: random.Random
) -> list[Tokens]:
    """Return windows of texts, (count, length), that share no token."""
    texts = [model.encode(text.text) for text in part]
    starts = [(text, start) for text in texts for start in range(0, len(text) - length + 1, length)]
    return [text[start : start + length] for text, start in draw.sample(starts, count)]


@torch.inference_mode()
def spent_by(net: Llama, prompt: Tensor, count: int, meter: Meter) -> tuple[float, float]:
    """Return processor milliseconds of a token of the prompt (1, length), and of one written behind it."""
    cache = Cache(net.config, 1, prompt.shape[1] + count, like=net.embedding.weight)
    for warm_up in (prompt[:, :8], prompt[:, :1]):  # memory and threads are set up
        net(warm_up, cache=cache, last_only=True)
    cache.length = 0
    with meter.window("reading") as reading:
        new = net(prompt, cache=cache, last_only=True).argmax(-1)  # (1, 1)
    with meter.window("writing") as writing:
        for _ in range(count):
            new = net(new, cache=cache, last_only=True).argmax(-1)
    return 1000 * reading.cpu_s / prompt.shape[1], 1000 * writing.cpu_s / count


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Remove layers, train what is left, and judge it by other texts."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    net, parts, draw = model.net, language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    windows = drawn(parts.search, model, config.length, config.windows, draw)
    part = parts.test if seed >= 1000 else parts.choice
    prompt, *held_out = drawn(part, model, config.length, config.held_out + 1, draw)
    _, whole_token_cpu_ms = spent_by(net, torch.tensor([prompt]), config.new_tokens, meter)
    with meter.window("choosing layers") as choosing:
        removed = removed_by(arm, net, config, windows, draw)
    remove(net, removed)
    losses, healing_cpu_s = list[float](), choosing.cpu_s
    if arm not in {"not_healed", "untrained"}:
        with meter.window("training") as training:
            losses = heal(net, windows, config.step, config.rate if removed else config.whole_rate)
        healing_cpu_s += training.cpu_s
    reading_cpu_ms, token_cpu_ms = spent_by(net, torch.tensor([prompt]), config.new_tokens, meter)
    nats, guessed = guesses(net, held_out)
    metrics = {
        "token_cpu_ms": token_cpu_ms,
        "reading_cpu_ms": reading_cpu_ms,
        "weight_bytes": sum(map(bytes_of, net.parameters())),
        "token_cache_bytes": cache_bytes_per_token(net),
        "healing_cpu_s": healing_cpu_s,
        "held_out_nats": nats,
        "guessed_tokens": guessed,
    }
    saved_s = (whole_token_cpu_ms - token_cpu_ms) / 1000
    details: dict[str, Json] = {
        "removed": sorted(removed),
        "losses": losses,
        "new_tokens_until_paid": healing_cpu_s / saved_s if removed and saved_s > 0 else None,
        "net": {"name": model.name, "sha256": model.sha256},
    }
    return Outcome(metrics, parts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
