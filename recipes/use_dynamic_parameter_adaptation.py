"""Adapted spacing of checks: a Hoeffding tree looks for a split when one can follow, not every 200 examples.

Record: tactics/use-dynamic-parameter-adaptation.yaml. After García-Martín et al., "Energy-Aware Very Fast
Decision Tree", 2021, as in the C program that the authors published: a leaf in which a check found no split
waits for as many further examples as the Hoeffding bound asks for at the lead that was found. In
`tactic_with_what_was_seen` those count that the leaf has seen already. The baseline checks every 200 examples
of a leaf, the rivals at other fixed distances. Two arms begin with shorter and longer waits than 200.

The tree keeps a normal distribution for each class and attribute, and answers by the majority. Each example
is answered before it is learnt from. Five streams are drawn, of kinds as in the paper but shorter; a sixth
asks of real images whether they show clothes for the upper body.

    python -m recipes.use_dynamic_parameter_adaptation --arm tactic --seed 0 --preset default

On one processor core an arm takes ten seconds with DEFAULT, which needs Fashion-MNIST, and less than one with
SMOKE. Published seeds, from 1000, draw other streams and read other images than those below, with which the
distances were found.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, ndtr
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome

TACTIC = "use-dynamic-parameter-adaptation"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_what_was_seen",
    "tactic_with_first_check_at_50",
    "tactic_with_first_check_at_1000",
    "fixed_50",
    "fixed_1000",
    "fixed_2000",
    "fixed_5000",
)
METRICS: MetricTable = {
    "learning_cpu_s": ("s", "lower", "measured", "Processor time of answering and learning, all streams."),
    "check_cpu_s": ("s", "lower", "measured", "Part of it: to look for splits, and to split."),
    "split_checks": ("count", "lower", "counted", "Times that the split of a leaf was looked for."),
    "leaves": ("count", "neither", "counted", "Leaves of the trees at the end."),
    "statistics_bytes": ("bytes", "lower", "counted", "Statistics in the leaves at the end."),
    "test_accuracy": (
        "fraction",
        "higher",
        "measured",
        "Examples answered rightly before learning from them, mean over streams.",
    ),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    examples: int = 150_000
    """Examples of a stream; in that of images, half the training images at most."""
    first_check: int = 200
    """Examples that a new leaf waits for."""
    delta: float = 1e-6
    """Chance that the attribute of a split is not the best one, by the bound."""
    tie: float = 0.05
    """Bound below which attributes count as equally good, so that a leaf is split."""


SMOKE = Config(data="digits", examples=600, first_check=50)
DEFAULT = Config()
FULL = Config(examples=1_000_000)

Rows = NDArray[np.float64]
Stream = tuple[Rows, NDArray[np.int64]]
"""Attributes, (examples, attributes), and classes, (examples,)."""

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def examples_needed(lead: float, *, span: float, delta: float, tie: float) -> int:
    """Return how many examples of a leaf make a lead certain, or small enough to count as a tie.

    By then the Hoeffding bound, span * sqrt(ln(1 / delta) / (2 * examples)), has come down to the lead.

    Args:
        lead: Of the best attribute before the second best, in gain.
        span: Range of the gain: the logarithm of the number of classes.
        delta: Chance of a wrong choice that is allowed.
        tie: Bound below which a leaf is split whatever the lead.
    """
    return math.ceil(span**2 * math.log(1 / delta) / (2 * max(lead, tie) ** 2))


# --8<-- [end:tactic]
# --- The tree ----------------------------------------------------------------------------------------------


class Node:
    """A leaf with its statistics, or, once it is split, a test of one attribute."""

    def __init__(self, votes: Rows, attributes: int, first_check: int) -> None:
        """Begin as a leaf, with what is expected of each class, (classes,)."""
        self.votes = votes
        self.answer = int(votes.argmax())
        self.counts = np.zeros(len(votes))
        self.means = np.zeros((len(votes), attributes))
        self.squares = np.zeros((len(votes), attributes))  # sums of squared distances from the means
        self.low, self.high = np.full(attributes, np.inf), np.full(attributes, -np.inf)
        self.seen, self.next_check = 0, first_check
        self.attribute, self.threshold = -1, 0.0
        self.children: tuple[Node, Node] | None = None

    def learn(self, values: Rows, label: int) -> None:
        """Take in one example, (attributes,)."""
        self.seen += 1
        self.votes[label] += 1
        if self.votes[label] > self.votes[self.answer]:
            self.answer = label
        self.counts[label] += 1
        away = values - self.means[label]
        self.means[label] += away / self.counts[label]
        self.squares[label] += away * (values - self.means[label])
        np.minimum(self.low, values, out=self.low)
        np.maximum(self.high, values, out=self.high)


CUTS = np.arange(1, 11)[:, None] / 11  # thresholds tried, between the least and the largest value


def gains(leaf: Node) -> tuple[Rows, Rows, Rows]:
    """Return gains and thresholds, (thresholds, attributes), and the left counts, (.., classes, ..)."""
    thresholds = leaf.low + CUTS * (leaf.high - leaf.low)
    deviations = np.sqrt(leaf.squares / np.maximum(leaf.counts - 1, 1)[:, None])  # (classes, attributes)
    below = ndtr((thresholds[:, None] - leaf.means) / np.maximum(deviations, 1e-9))
    left = below * leaf.counts[:, None]  # (thresholds, classes, attributes)
    right = leaf.counts[:, None] - left

    def entropy(counts: Rows) -> Rows:
        """Return the sum over classes of -n log2(n / total), for all examples of a side."""
        found: Rows = (entr(counts).sum(-2) - entr(counts.sum(-2))) / math.log(2)
        return found

    whole = entropy(leaf.counts[:, None])
    return (whole - entropy(left) - entropy(right)) / leaf.seen, thresholds, left


@dataclass
class Tree:
    """A Hoeffding tree, with majority classes in its leaves."""

    config: Config
    adapted: bool
    """Whether a leaf without a split waits for what the bound asks for."""
    rest_only: bool
    """Whether what it has seen counts towards that."""
    root: Node
    leaves: int = 1
    checks: int = 0
    check_cpu_s: float = 0.0

    def step(self, values: Rows, label: int) -> bool:
        """Answer an example, (attributes,), learn from it, and return whether the answer was right."""
        node = self.root
        while node.children is not None:
            node = node.children[int(values[node.attribute] > node.threshold)]
        right = node.answer == label
        node.learn(values, label)
        if node.seen >= node.next_check:
            node.next_check = node.seen + self.config.first_check
            if np.count_nonzero(node.counts) > 1:
                started_s = time.process_time()
                self._check(node)
                self.check_cpu_s += time.process_time() - started_s
        return right

    def _check(self, leaf: Node) -> None:
        """Split a leaf if the bound allows it, else set when to look again."""
        self.checks += 1
        found, thresholds, left = gains(leaf)
        by_attribute = found.max(0)  # (attributes,)
        second, best = np.argsort(by_attribute)[-2:]
        lead, span = float(by_attribute[best] - by_attribute[second]), math.log2(len(leaf.counts))
        bound = {"span": span, "delta": self.config.delta, "tie": self.config.tie}
        needed = examples_needed(lead, **bound)
        if leaf.seen >= needed:
            cut = int(found[:, best].argmax())
            sides = left[cut, :, best], leaf.counts - left[cut, :, best]
            attributes, first = len(by_attribute), self.config.first_check
            leaf.attribute, leaf.threshold = int(best), float(thresholds[cut, best])
            leaf.children = Node(sides[0], attributes, first), Node(sides[1], attributes, first)
            self.leaves += 1
        elif self.adapted:
            leaf.next_check = needed if self.rest_only else leaf.seen + needed


# --- Streams -----------------------------------------------------------------------------------------------


def sea(count: int, draw: np.random.Generator) -> Stream:
    """Return sums of two of three values above a limit that changes three times; a tenth is mislabelled."""
    values = draw.uniform(0, 10, (count, 3))
    limits = np.array([8, 9, 7, 9.5])[np.arange(count) * 4 // count]
    classes = (values[:, 0] + values[:, 1] <= limits) ^ (draw.random(count) < 0.1)
    return values, classes.astype(np.int64)


def hyperplane(count: int, draw: np.random.Generator) -> Stream:
    """Return sides of a plane that turns; one in twenty is mislabelled."""
    values = draw.random((count, 10))
    weights = draw.random(10) + draw.choice([-1, 1], 10) * np.linspace(0, 1, count)[:, None]
    side = ((values - 0.5) * weights).sum(1) > 0
    return values, (side ^ (draw.random(count) < 0.05)).astype(np.int64)


def radial(count: int, draw: np.random.Generator) -> Stream:
    """Return points near 50 centres of five classes."""
    centres, spreads, classes = draw.random((50, 10)), draw.random(50), draw.integers(5, size=50)
    chosen = draw.choice(50, count, p=(share := draw.random(50)) / share.sum())
    away = draw.standard_normal((count, 10))
    away *= (spreads[chosen] * draw.standard_normal(count) / np.linalg.norm(away, axis=1))[:, None]
    return centres[chosen] + away, classes[chosen]


DIGITS = np.array([[int(bit) for bit in f"{code:07b}"] for code in
    (0b1110111, 0b0010010, 0b1011101, 0b1011011, 0b0111010, 0b1101011, 0b1101111, 0b1010010, 0b1111111,
     0b1111011)])  # fmt: skip


def led(count: int, draw: np.random.Generator) -> Stream:
    """Return seven segments of a digit, a tenth of them flipped, and 17 values of no meaning."""
    digits = draw.integers(10, size=count)
    shown = DIGITS[digits] ^ (draw.random((count, 7)) < 0.1)
    return np.hstack([shown, draw.integers(2, size=(count, 17))]).astype(float), digits


def waveform(count: int, draw: np.random.Generator) -> Stream:
    """Return mixtures of two of three triangular waves, with noise."""
    waves = np.maximum(6 - np.abs(np.arange(21) - np.array([[6], [14], [10]])), 0)
    classes, share = draw.integers(3, size=count), draw.random((count, 1))
    pairs = np.array([[0, 1], [0, 2], [1, 2]])[classes]
    mixed = share * waves[pairs[:, 0]] + (1 - share) * waves[pairs[:, 1]]
    return mixed + draw.standard_normal((count, 21)), classes


Generator = Callable[[int, np.random.Generator], Stream]
GENERATORS: tuple[Generator, ...] = (
    sea,
    hyperplane,
    radial,
    led,
    waveform,
)

UPPER = (0, 2, 3, 4, 6)
"""T-shirts, pullovers, dresses, coats and shirts among the classes of Fashion-MNIST."""

# --- Run --------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Let a tree answer and learn from each stream."""
    data, draw = load_images((config.data,), config.data_dir), np.random.default_rng(seed)
    pooled = F.avg_pool2d(data.train_images, 4).flatten(1).double().numpy()  # (images, values)
    half = np.arange(seed >= 1000, len(pooled), 2)
    order = draw.permutation(half[: len(pooled) // 2])[: config.examples]
    streams = {each.__name__: each(config.examples, draw) for each in GENERATORS}
    streams["images"] = pooled[order], np.isin(data.train_labels.numpy()[order], UPPER).astype(np.int64)
    kind, _, number = arm.rpartition("_")
    if number.isdecimal():
        config = replace(config, first_check=int(number))
    adapted = kind == "tactic_with_first_check_at" or arm in ("tactic", "tactic_with_what_was_seen")
    rows = dict[str, dict[str, float]]()
    for name, (values, labels) in streams.items():
        root = Node(np.zeros(int(labels.max()) + 1), values.shape[1], config.first_check)
        tree = Tree(config, adapted, arm == "tactic_with_what_was_seen", root)
        examples = list(zip(values, labels.tolist(), strict=True))
        with meter.window(name) as window:
            right = sum(tree.step(*example) for example in examples)
        kept = (root.votes, root.counts, root.means, root.squares, root.low, root.high)
        rows[name] = {
            "learning_cpu_s": window.cpu_s,
            "check_cpu_s": tree.check_cpu_s,
            "split_checks": tree.checks,
            "leaves": tree.leaves,
            "statistics_bytes": tree.leaves * sum(each.nbytes for each in kept),
            "test_accuracy": right / len(labels),
        }
    metrics = {name: sum(row[name] for row in rows.values()) for name in METRICS}
    metrics["test_accuracy"] /= len(rows)
    count = sum(len(labels) for _, labels in streams.values())
    name = f"five drawn streams, {data.used.name}"
    used = replace(data.used, name=name, train_count=count, validation_count=0, test_count=count)
    details: dict[str, Json] = {"streams": rows}
    return Outcome(metrics, used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
