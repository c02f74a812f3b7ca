"""How far the intervals can be trusted: simulated experiments of which the truth is known.

An experiment is paired as ours are: for each seed both arms cost something, and the logarithm of a cost is
the effect of the seed, which the arms share, plus noise of its own. Or both arms answer the same test
examples with each seed: a tactic moves what the nets make of some, by seed, by example, and by chance.
`python -m greentactics.evidence.simulation` prints the tables of the method page.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.laguerre import laggauss
from numpy.typing import NDArray

from greentactics.evidence.intervals import (
    ALPHA,
    Mean,
    crossed_mean,
    equivalence_p,
    interval,
    mean_of,
    minimal_detectable_effect,
)

Array = NDArray[np.float64]

SEED = 0
TRUE_RATIO = 2.0
"""How many times lower the cost of the tactic is without noise; any value gives the same table."""
SEED_SPREAD = 0.3
"""Standard deviation of what a seed does to the logarithm of both costs."""
MARGIN = 2.0
"""Margin of the equivalence tests in true standard deviations, so wide that the far side never matters."""
QUADRATURE_NODES = 60
COLUMNS = (
    "noise",
    "skewness",
    "pairs",
    "t",
    "falsely equivalent",
    "power",
    "power, own spread",
)
EXAMPLES = 10_000
"""Test examples."""
MOVED = 0.08
"""Share of the examples that a tactic can turn from right to wrong, or from wrong to right."""
SHIFT = -0.1
"""What the tactic does to these on average, in standard deviations of what chance does with one seed."""
SPREADS = ((0.5, 0.0), (3.0, 0.0), (0.5, 0.1), (3.0, 0.1), (0.5, 0.3), (3.0, 0.3))
"""Standard deviations of what the tactic does to an example with any seed, and with a seed to any example."""
CROSSED_COLUMNS = (
    "spread of examples",
    "spread of seeds",
    "seeds",
    "seeds alone",
    "half width",
    "seeds and examples",
    "half width",
)


@dataclass(frozen=True)
class Noise:
    """What an arm adds to the logarithm of its own cost."""

    kind: Literal["normal", "delay", "exponential"]
    """Normal in the logarithm; an exponential delay on top of a floor; exponential in the logarithm."""
    scale: float
    """Standard deviation; mean delay as a fraction of the floor; mean."""

    def logarithm(self, standard: Array) -> Array:
        """Turn standard normal or standard exponential values into additions to the logarithm of the cost."""
        return np.log1p(self.scale * standard) if self.kind == "delay" else self.scale * standard

    def draw(self, generator: np.random.Generator, shape: tuple[int, int]) -> Array:
        """Draw noise of this shape."""
        standard = generator.standard_normal if self.kind == "normal" else generator.standard_exponential
        return self.logarithm(standard(shape))

    def cumulants(self) -> Array:
        """Return mean, variance and third central moment, by Gaussian quadrature."""
        nodes, weights = (hermegauss if self.kind == "normal" else laggauss)(QUADRATURE_NODES)
        values, shares = self.logarithm(nodes), weights / weights.sum()
        mean = float(np.sum(shares * values))
        moments = [float(np.sum(shares * (values - mean) ** power)) for power in (2, 3)]
        return np.array([mean, *moments])


DISTRIBUTIONS = {
    "normal": (Noise("normal", 0.10), Noise("normal", 0.05)),
    "skewed": (Noise("delay", 0.20), Noise("delay", 0.10)),
    "strongly skewed": (Noise("exponential", 0.20), Noise("exponential", 0.0)),
}
"""Noise of baseline and tactic: symmetric; times with a floor, of which the tactic halves the delays, so that
the ratio is skewed; and noise in one arm only, the hardest case."""


@dataclass(frozen=True)
class Coverage:
    """What came out for one distribution and number of pairs, in the order of the table's columns.

    All but `distribution`, `skewness` and `n` are fractions of the experiments.
    """

    distribution: str
    """Key of `DISTRIBUTIONS`."""
    skewness: float
    """True skewness of the logarithm of the cost ratio."""
    n: int
    """Pairs in an experiment."""
    student: float
    """Experiments whose 95 % t interval holds the true mean."""
    false_equivalence: float
    """Experiments called equivalent though the true mean lies on the margin; the worse of the two sides."""
    power: float
    """Experiments that show an effect of the minimal detectable size, computed from the true spread; the
    worse of the two directions."""
    power_by_estimate: float
    """The same of the minimal detectable size that another experiment estimated from its own spread."""


def simulate(
    experiments: int = 2000, counts: Sequence[int] = (5, 10, 30), seed: int = SEED
) -> tuple[Coverage, ...]:
    """Run the experiments of each distribution with each number of pairs.

    Args:
        experiments: Experiments in a row of the table.
        counts: Numbers of pairs, each at least 2.
        seed: Seed of the noise; rows are independent of each other, so leaving one out changes no other.
    """
    rows = []
    for index, name in enumerate(DISTRIBUTIONS):
        for count in counts:
            generator = np.random.default_rng([seed, index, count])
            shape = (experiments, count)
            earlier, later = log_ratios(name, generator, shape), log_ratios(name, generator, shape)
            rows.append(_outcome(name, earlier, later))
    return tuple(rows)


def truth(name: str) -> tuple[float, float, float]:
    """Return the true mean, standard deviation and skewness of a distribution's log ratios."""
    baseline, tactic = (noise.cumulants() for noise in DISTRIBUTIONS[name])
    mean, variance, third = baseline + np.array([-1, 1, -1]) * tactic
    return math.log(TRUE_RATIO) + float(mean), math.sqrt(variance), float(third / variance**1.5)


def log_ratios(name: str, generator: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw costs of both arms and return the logarithms of their ratios, of shape (experiments, pairs)."""
    seeds = SEED_SPREAD * generator.standard_normal(shape)
    baseline, tactic = (np.exp(seeds + noise.draw(generator, shape)) for noise in DISTRIBUTIONS[name])
    return np.log(TRUE_RATIO * baseline / tactic)


def table(rows: Sequence[Coverage]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for row in rows:
        name, skewness, count, *shares = astuple(row)
        cells = [name, f"{round(skewness, 1) + 0.0}", f"{count}", *(f"{share:.1%}" for share in shares)]
        lines.append(f"| {' | '.join(cells)} |".replace("%", "\u00a0%"))
    return "\n".join(lines)


def _outcome(name: str, earlier: Array, later: Array) -> Coverage:
    """Take the project's own intervals and tests of each row."""
    mean, deviation, skewness = truth(name)
    rows, rows_before = (later - mean) / deviation, (earlier - mean) / deviation
    low, high = np.array([interval(mean_of(row)) for row in rows.tolist()]).T
    spreads = rows_before.std(axis=-1, ddof=1)
    effect = minimal_detectable_effect(mean_of((rows_before[0] / spreads[0]).tolist()))

    def power(effects: Array) -> float:
        return min(_fraction(low + effects > 0), _fraction(high - effects < 0))

    return Coverage(
        distribution=name,
        skewness=skewness,
        n=rows.shape[1],
        student=_fraction((low <= 0) & (high >= 0)),
        false_equivalence=max(_called_equivalent(rows + shift) for shift in (-MARGIN, MARGIN)),
        power=power(np.full(len(rows), effect)),
        power_by_estimate=power(effect * spreads),
    )


def _called_equivalent(rows: Array) -> float:
    return _fraction(np.array([equivalence_p(mean_of(row), MARGIN) < ALPHA for row in rows.tolist()]))


def _fraction(held: NDArray[np.bool_]) -> float:
    return float(np.mean(held))


@dataclass(frozen=True)
class CrossedCoverage:
    """What came out for one pair of spreads and number of seeds, in the order of the table's columns."""

    of_examples: float
    """Spread of what the tactic does to an example, whatever the seed."""
    of_seeds: float
    """Spread of what the tactic does with a seed, whatever the example."""
    seeds: int
    """Seeds in an experiment."""
    seeds_alone: float
    """Fraction of the experiments whose interval over seeds alone holds the truth."""
    seeds_alone_points: float
    """Mean half width of that interval, in percentage points."""
    crossed: float
    """The same fraction for the interval over seeds and examples."""
    crossed_points: float
    """Mean half width of that one."""


def simulate_crossed(
    experiments: int = 2000,
    counts: Sequence[int] = (5, 10),
    spreads: Sequence[tuple[float, float]] = SPREADS,
    seed: int = SEED,
) -> tuple[CrossedCoverage, ...]:
    """Run the experiments of each pair of spreads with each number of seeds.

    Args:
        experiments: Experiments in a row of the table.
        counts: Numbers of seeds, each at least 2.
        spreads: Some of `SPREADS`.
        seed: Seed of the noise; rows are independent of each other, so leaving one out changes no other.
    """
    rows = []
    for pair, count in itertools.product(spreads, counts):
        generator = np.random.default_rng([seed, SPREADS.index(pair), count])
        truth_fraction = true_difference(*pair)
        held, half_widths = np.zeros(2), np.zeros(2)
        for _ in range(experiments):
            drawn = answers(generator, count, *pair)
            for way, mean in enumerate((mean_of(drawn.mean(1).tolist()), crossed_mean(drawn))):
                low, high = _ends(mean)
                held[way] += low <= truth_fraction <= high
                half_widths[way] += 100 * (high - low) / 2
        shares, points = (held / experiments).tolist(), (half_widths / experiments).tolist()
        rows.append(CrossedCoverage(*pair, count, shares[0], points[0], shares[1], points[1]))
    return tuple(rows)


def answers(generator: np.random.Generator, seeds: int, of_examples: float, of_seeds: float) -> Array:
    """Draw differences of the answers of two nets: 1 gained, -1 lost, (seeds, examples)."""
    found = np.zeros((seeds, EXAMPLES))
    moved = generator.binomial(EXAMPLES, MOVED)
    moves = SHIFT + generator.standard_normal((seeds, moved))
    moves += of_examples * generator.standard_normal(moved)
    moves += of_seeds * generator.standard_normal((seeds, 1))
    found[:, :moved] = np.where(moves > 1, 1.0, np.where(moves < -1, -1.0, 0.0))
    return found


def true_difference(of_examples: float, of_seeds: float) -> float:
    """Return the mean of all such differences, a fraction."""
    spread = math.sqrt(2 * (1 + of_examples**2 + of_seeds**2))
    return MOVED * (math.erf((1 + SHIFT) / spread) - math.erf((1 - SHIFT) / spread)) / 2


def crossed_table(rows: Sequence[CrossedCoverage]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {' | '.join(CROSSED_COLUMNS)} |", "|" + "---:|" * len(CROSSED_COLUMNS)]
    for row in rows:
        cells = [f"{row.of_examples:g}", f"{row.of_seeds:g}", f"{row.seeds}"]
        for share, points in ((row.seeds_alone, row.seeds_alone_points), (row.crossed, row.crossed_points)):
            cells += [f"{share:.1%}".replace("%", "\u00a0%"), f"{points:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ends(mean: Mean) -> tuple[float, float]:
    found = interval(mean)
    if found is None:
        raise ValueError("expected two seeds at least")
    return found


if __name__ == "__main__":
    sys.stdout.write(f"{table(simulate())}\n\n{crossed_table(simulate_crossed())}\n")
