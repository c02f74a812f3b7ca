"""A learner that picks for each request how it is answered: by a small net, a large one, both, or elsewhere.

Record: tactics/consider-reinforcement-learning-for-energy-efficiency.yaml. After Kim, Wu, "AutoScale", MICRO
2020. What the pictures show drifts, and so do signal, load and the delay elsewhere, which is seen only in the
last answer from there. A choice does not change what comes next, so nothing is discounted: the learner is a
contextual bandit, a table of prices by state. Nets and their answers are real; signal, load and delay are
modelled, in units of the time that the large net takes here. The radio is taken to draw what a core does.

The price of a request is its cost to the device, and a fine if its answer is late or wrong. How often each
way is wrong is known from labelled requests before, on which rivals find their settings and the learner its
first table. The rivals: single ways; the small net first, and the large one where it is less sure than a
threshold; a rule of two limits; the learner's table, frozen. Other arms explore less and more. Regret is
against an oracle that knows the price of each way beforehand.

    python -m recipes.consider_reinforcement_learning_for_energy_efficiency --arm tactic --seed 0

On one processor core an arm takes eight seconds with DEFAULT, which needs Fashion-MNIST, and less than one
with SMOKE. Seeds below 1000, with which settings were found, answer validation images.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.common.timing.protocol import interleave
from recipes.use_data_projection import train_epochs

TACTIC = "consider-reinforcement-learning-for-energy-efficiency"
WAYS = ("small", "large", "small_then_large", "remote")
FIXED = {"baseline": 1, "always_small": 0, "always_remote": 3, "fixed_threshold": 2}
"""Number of the way of an arm that has one."""
EXPLORE = {
    "tactic": 0.05,
    "frozen_table": 0.05,
    "tactic_with_1_percent_explored": 0.01,
    "tactic_with_20_percent_explored": 0.2,
}
"""Share of requests answered in a way drawn by chance."""
ARMS = (
    "baseline",
    "tactic",
    "always_small",
    "always_remote",
    "fixed_threshold",
    "fixed_rule",
    "frozen_table",
    "tactic_with_1_percent_explored",
    "tactic_with_20_percent_explored",
)
METRICS: MetricTable = {
    "device_cost_fraction": (
        "ratio",
        "lower",
        "modelled",
        "Measured processor time and modelled time of sending of a request, over the time of the large net.",
    ),
    "processor_ms": (
        "ms",
        "lower",
        "measured",
        "Processor time of a request; each net's was read by itself.",
    ),
    "choosing_ms": ("ms", "lower", "measured", "Part of it: to see, choose and learn."),
    "sending_ms": ("ms", "lower", "modelled", "Time of sending over the modelled radio."),
    "server_ms": ("ms", "lower", "measured", "Processor time elsewhere, where the large net is as fast."),
    "setup_answers": (
        "count",
        "lower",
        "modelled",
        "Cost of the requests before, in the large net's answers.",
    ),
    "late_fraction": ("fraction", "lower", "modelled", "Requests answered after their deadline."),
    "regret_fraction": (
        "ratio",
        "lower",
        "modelled",
        "Price above the oracle's, in the large net's time.",
    ),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images sorted rightly, late or not."),
    "right_in_time_fraction": ("fraction", "higher", "modelled", "Requests answered rightly and in time."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run; times are in answers of the large net."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 6_000
    """Images that the nets learn from; as many others, at most, are those of the requests before."""
    epochs: int = 3
    """Epochs of the nets."""
    width: int = 16
    """Channels of the first layer of the large net."""
    requests: int = 40_000
    """Requests that are reported, and as many before them."""
    drift: float = 0.02
    """Step of the random walks between 0 and 1 that kinds of images, signal, load and delay follow."""
    mixing: float = 6
    """Logarithm of how much likelier a kind is at the top of its walk than at the bottom."""
    signal: tuple[float, float] = (0.5, 32)
    """Images that can be sent while the large net answers one: fewest, most."""
    load: float = 0.9
    """Largest share of the processor that others take."""
    delay: float = 5
    """Longest wait for an answer from elsewhere."""
    deadline: float = 4
    """Time after which an answer is late."""
    fine: float = 15
    """Price of a late or wrong answer."""
    step: float = 0.1
    """Share by which a price in the table moves to the latest one."""
    bins: int = 6
    """Steps in which the learner tells each of sending, load and the last delay."""
    memory: int = 50
    """Requests after which the last delay is forgotten, by learner and rule."""
    timing_s: float = 0.7
    """Longest time for reading the processor time of the nets."""


SMOKE = Config(data="digits", images=400, epochs=4, width=4, requests=300, timing_s=0.05)
DEFAULT = Config()
FULL = Config(images=25_000, epochs=10, width=32, requests=400_000, timing_s=10)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def choose_way(prices: list[float], *, explore: float, draw: random.Random) -> int:
    """Return the number of the way that has cost least lately in the present state; now and then, any.

    Args:
        prices: What each way has cost lately in this state; 0 where it was never tried, so that it will be.
        explore: Share of choices that are drawn by chance.
        draw: Source of chance.
    """
    if draw.random() < explore:
        return draw.randrange(len(prices))
    return prices.index(min(prices))


def learn_price(prices: list[float], way: int, price: float, *, step: float) -> None:
    """Move the price of a way to what it has just cost, above 0, by a share of the difference.

    Args:
        prices: As in `choose_way`; changed in place.
        way: The way that was chosen.
        price: What it has cost.
        step: The share: a large one follows changes, a small one evens out chance.
    """
    prices[way] += (step if prices[way] else 1) * (price - prices[way])


# --8<-- [end:tactic]
# --- What is modelled, and what each way does -------------------------------------------------------------

Seen = tuple[float, float, float]
"""Time that sending takes, slowing by load, and the last delay; 0 where that was long ago."""


def wander(count: int, walks: int, step: float, generator: torch.Generator) -> Tensor:
    """Walk at random between 0 and 1, turning back at both, (count, walks)."""
    steps = step * torch.randn(count, walks, generator=generator)
    return ((2 * torch.rand(walks, generator=generator) + steps.cumsum(0)).remainder(2) - 1).abs()


@dataclass(frozen=True)
class Requests:
    """Requests one after the other; all but `chosen` is (requests,), times in answers of the large net."""

    chosen: Tensor
    """Number of the image of each."""
    sending: Tensor
    """Time that sending takes."""
    slowing: Tensor
    """How many times longer an answer takes here because of load."""
    delay: Tensor
    """Wait for an answer from elsewhere; nobody sees it beforehand."""


def draw_requests(labels: Tensor, config: Config, generator: torch.Generator) -> Requests:
    """Draw images by their labels, (images,), so that the mixture of kinds drifts, as all else does."""
    kinds = wander(config.requests, 10, config.drift, generator)
    chance = torch.empty_like(kinds).exponential_(generator=generator).log()
    kind = (config.mixing * kinds - chance).argmax(1)  # (requests,), drawn by Gumbel's trick
    chosen = torch.empty_like(kind)
    for number in range(10):
        places, known = (kind == number).nonzero()[:, 0], (labels == number).nonzero()[:, 0]
        chosen[places] = known[torch.randint(len(known), places.shape, generator=generator)]
    signal, load, delay = wander(config.requests, 3, config.drift, generator).T
    fewest, most = config.signal
    sending = 1 / (fewest * (most / fewest) ** signal)
    return Requests(chosen, sending, 1 / (1 - config.load * load), config.delay * delay)


@dataclass(frozen=True)
class Outcomes:
    """What each way does for each request, (requests, ways)."""

    computing: Tensor
    sending: Tensor
    late: Tensor
    right: Tensor

    def price(self, wrong: Tensor, fine: float) -> Tensor:
        """Return what is to be kept low, from the share of wrong answers known of each way, (ways,)."""
        return self.computing + self.sending + fine * torch.maximum(self.late, wrong)


def outcomes(
    requests: Requests, right: Tensor, sure: Tensor, *, share: float, threshold: float, deadline: float
) -> Outcomes:
    """Return what each way does.

    Args:
        requests: The requests.
        right: Whether the small and the large net are right about each image, (images, 2), 0 or 1.
        sure: Highest probability in the small net's answer, (images,).
        share: Time of the small net over that of the large one.
        threshold: The sureness from which on the small net's answer stands.
        deadline: Time after which an answer is late.
    """
    small, large = right[requests.chosen].T
    unsure = (sure[requests.chosen] < threshold).float()
    none, one = torch.zeros_like(unsure), torch.ones_like(unsure)
    computing = torch.stack((share * one, one, share + unsure, none), 1)
    sending = torch.stack((none, none, none, requests.sending), 1)
    time = computing * requests.slowing[:, None] + sending
    time[:, 3] += requests.delay
    both = torch.where(unsure > 0, large, small)
    return Outcomes(
        computing, sending, (time > deadline).float(), torch.stack((small, large, both, large), 1)
    )


def mean(values: Tensor, ways: list[int]) -> float:
    """Return the mean over requests of what the chosen ways have among (requests, ways)."""
    return float(values[torch.arange(len(ways)), ways].double().mean())


# --- Run --------------------------------------------------------------------------------------------------


def always(way: int) -> Callable[[Seen], int]:
    """Return a choice of one way."""
    return lambda _: way


def rule(longest: float, slowest: float) -> Callable[[Seen], int]:
    """Return a rule: ask elsewhere if that should be quick, else the large net unless the load is high."""
    return lambda seen: 3 if seen[0] + seen[2] < longest else int(seen[1] < slowest)


def best_rule(requests: Requests, price: Tensor, memory: int) -> Callable[[Seen], int]:
    """Return the rule whose limits would have cost least, at the price of each way, (requests, ways)."""
    longest = (requests.sending + requests.delay).quantile(torch.linspace(0, 1, 9)).tolist()
    slowest = [0, *requests.slowing.quantile(torch.linspace(0.2, 0.8, 4)).tolist(), math.inf]

    def mean_price(limits: tuple[float, float]) -> float:
        return mean(price, serve(requests, price, memory, rule(*limits))())

    return rule(*min(itertools.product(longest, slowest), key=mean_price))


def borders_of(requests: Requests, bins: int) -> list[list[float]]:
    """Return where what is seen passes from one step to the next, so that each has as many requests."""
    borders = [
        each.quantile(torch.linspace(0, 1, bins + 1)[1:-1]).tolist()
        for each in (requests.sending, requests.slowing, requests.delay)
    ]
    borders[2].insert(0, 0.0)  # a delay that is not known is a state of its own
    return borders


@dataclass
class Learner:
    """A table of prices by state, which is asked for a way and told what it has cost."""

    borders: list[list[float]]
    """Of the steps in which each thing seen is told apart."""
    explore: float
    """Share of requests answered in a way drawn by chance."""
    step: float
    """Share by which a price moves to the latest one."""
    draw: random.Random
    table: defaultdict[Hashable, list[float]] = field(
        default_factory=lambda: defaultdict(lambda: [0.0] * len(WAYS))
    )

    def choose(self, seen: Seen) -> int:
        """Return the way for a request."""
        return choose_way(self.table[self._state(seen)], explore=self.explore, draw=self.draw)

    def learn(self, seen: Seen, way: int, price: float) -> None:
        """Take in what a way has cost."""
        learn_price(self.table[self._state(seen)], way, price, step=self.step)

    def _state(self, seen: Seen) -> Hashable:
        return tuple(map(bisect_left, self.borders, seen))


def nothing_learnt(seen: Seen, way: int, price: float) -> None:
    """Forget what a request has cost."""
    del seen, way, price


def serve(
    requests: Requests,
    price: Tensor,
    memory: int,
    choose: Callable[[Seen], int],
    learn: Callable[[Seen, int, float], None] = nothing_learnt,
) -> Callable[[], list[int]]:
    """Return a function that lets the requests come one by one, and returns the ways chosen."""
    prices, delay = price.tolist(), requests.delay.tolist()
    in_sight = list(zip(requests.sending.tolist(), requests.slowing.tolist(), strict=True))

    def served() -> list[int]:
        ways, last, asked = list[int](), 0.0, 0
        for number, (sending, slowing) in enumerate(in_sight):
            seen = sending, slowing, last if number - asked <= memory else 0.0
            way = choose(seen)
            learn(seen, way, prices[number][way])
            if way == 3:
                last, asked = delay[number], number
            ways.append(way)
        return ways

    return served


def two_nets(width: int, side: int) -> tuple[nn.Module, nn.Module]:
    """Return a small and a large net, (batch, 1, side, side) to (batch, 10)."""
    cells = (side // 4) ** 2
    small = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(cells, 10))
    large = nn.Sequential(
        nn.Conv2d(1, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * width * cells, 10),
    )  # fmt: skip
    return small, large


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train the nets, let an arm find its settings on some requests, and answer others."""
    data, generator = load_images((config.data,), config.data_dir), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    learnt, others = torch.randperm(len(data.train_images))[: 2 * config.images].tensor_split(
        (config.images,)
    )
    held_out = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    one = data.train_images[:1]
    small, large = two_nets(config.width, one.shape[-1])
    for net in (small, large):
        examples = data.train_images[learnt], data.train_labels[learnt]
        train_epochs(net, *examples, epochs=config.epochs, batch=64, rate=3e-3)

    with torch.inference_mode():
        nets = {"baseline": lambda: large(one), "small": lambda: small(one)}
        read = interleave(nets, order_seed=seed, cell_s=0.01, cap_s=config.timing_s).cpu_ms
    small_ms, large_ms = (statistics.median(read[name]) for name in ("small", "baseline"))
    share = small_ms / large_ms

    def answered(images: Tensor, labels: Tensor) -> tuple[Requests, Tensor, Tensor]:
        with torch.inference_mode():
            logits = [torch.cat([net(some) for some in torch.split(images, 500)]) for net in (small, large)]
        right = torch.stack([each.argmax(1) == labels for each in logits], 1).float()  # (images, 2)
        return draw_requests(labels, config, generator), right, logits[0].softmax(1).amax(1)

    before = answered(data.train_images[others], data.train_labels[others])
    now = answered(*held_out)

    def done_by(asked: tuple[Requests, Tensor, Tensor], threshold: float) -> Outcomes:
        return outcomes(*asked, share=share, threshold=threshold, deadline=config.deadline)

    def mean_of_both(threshold: float) -> float:
        done = done_by(before, threshold)
        return float(done.price(1 - done.right.mean(0), config.fine)[:, 2].mean())

    thresholds = before[2].quantile(torch.linspace(0, 1, 21)).tolist()
    threshold = min(thresholds, key=mean_of_both)
    done_before, done = done_by(before, threshold), done_by(now, threshold)
    wrong = 1 - done_before.right.mean(0)  # (ways,)
    price, prices = (each.price(wrong, config.fine) for each in (done_before, done))

    setup, learn = config.requests * (1 + share), nothing_learnt  # both nets answer what has labels
    if arm in FIXED:
        setup *= arm == "fixed_threshold"
        choose = always(FIXED[arm])
    elif arm == "fixed_rule":
        choose = best_rule(before[0], price, config.memory)
        setup += float(before[0].sending.sum())  # all are asked elsewhere as well, to see the delay
    else:
        draw = random.Random(seed)  # noqa: S311 - not for secrets
        learner = Learner(borders_of(before[0], config.bins), EXPLORE[arm], config.step, draw)
        choose, learn = learner.choose, learner.learn
        ways = serve(before[0], price, config.memory, choose, learn)()
        setup += len(ways) * mean(done_before.computing + done_before.sending, ways)
        if arm == "frozen_table":
            learner.explore, learn = 0.0, nothing_learnt
    served = serve(now[0], prices, config.memory, choose, learn)
    with meter.window("choosing") as window:
        ways = served()
    choosing_ms, best = 1000 * window.cpu_s / len(ways), prices.argmin(1).tolist()
    computing, sending = mean(done.computing, ways), mean(done.sending, ways)
    metrics = {
        "device_cost_fraction": computing + sending + choosing_ms / large_ms,
        "processor_ms": computing * large_ms + choosing_ms,
        "choosing_ms": choosing_ms,
        "sending_ms": sending * large_ms,
        "server_ms": ways.count(3) / len(ways) * large_ms,
        "setup_answers": setup,
        "late_fraction": mean(done.late, ways),
        "regret_fraction": mean(prices, ways) - mean(prices, best) + choosing_ms / large_ms,
        "test_accuracy": mean(done.right, ways),
        "right_in_time_fraction": mean(done.right * (1 - done.late), ways),
    }
    details: dict[str, Json] = {
        "ways": {name: ways.count(number) / len(ways) for number, name in enumerate(WAYS)},
        "oracle_cost_fraction": mean(done.computing + done.sending, best),
        "oracle_right_in_time_fraction": mean(done.right * (1 - done.late), best),
        "net_ms": {"small": small_ms, "large": large_ms},
    }
    used = replace(data.used, train_count=len(learnt), validation_count=len(others), test_count=len(ways))
    return Outcome(metrics, used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
