"""One input fed to one reader: what came of it, and whether that is a defect."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from greentactics.text.problems import CatalogueError, Problem, UserError
from tests.campaign.sandbox import Sandbox, TooSlowError

ACCEPTED = "accepted"
LIMIT_S = 2.0
"""Processor time after which an input is a defect."""
LONGEST_MESSAGE = 2_500
"""Characters of the longest line that is still read by somebody."""
_VARIABLE = re.compile(r"\"[^\"]*\"?|'[^']*'?|\d[\d,.]*|[^\x20-\x7e]")


@dataclass(frozen=True)
class Kind:
    """One sort of input."""

    area: str
    """`loader`, `importers`, `schema` or `renderer`."""
    name: str
    """What the inputs are."""
    share: int
    """How many of its area's inputs, in per cent."""
    inputs: st.SearchStrategy[Any]
    """Draws one input, or one group of `together` inputs."""
    feed: Callable[[Sandbox, Any], list[str]]
    """Feeds one draw; returns an outcome for each input: `accepted`, or the rule that refused it first."""
    together: int = 1
    """How many inputs are fed at once."""
    limit_s: float = LIMIT_S
    """Processor time after which a draw is a defect; five times later it is stopped."""


@dataclass(frozen=True)
class Observation:
    """What came of one draw."""

    outcomes: tuple[str, ...]
    """An outcome for each input."""
    rules: frozenset[str]
    """All rules that were reached."""
    cpu_s: float
    """Processor time."""
    defect: str
    """What is wrong with the reader; empty where it did right."""


class DefectError(Exception):
    """A reader accepted an input and did not do what it says."""


def require(condition: object, what: str) -> None:
    """Count a broken promise as a defect.

    Raises:
        DefectError: The condition does not hold.
    """
    if not condition:
        raise DefectError(what)


def tell(problems: tuple[Problem, ...] | list[Problem]) -> list[str]:
    """Return the rules of problems, after a look at how they would be printed."""
    for problem in problems:
        tell_line(str(problem))
        require(problem.line >= 1 and problem.column >= 1, f"place of {problem.rule}")
    return sorted({str(problem.rule) for problem in problems})


def tell_line(text: str) -> None:
    """Look whether a message can be printed and stays on its line."""
    text.encode()
    require(len(text) <= LONGEST_MESSAGE, f"a message of {len(text)} characters: {text[:80]}")
    require(text.isprintable(), f"a message with signs that no terminal shows: {text[:300]!a}")


def observe(kind: Kind, sandbox: Sandbox, drawn: Any) -> Observation:
    """Feed one draw and put the sandbox in order again."""
    outcomes: list[str] = []
    defect = ""
    with sandbox.watched(5 * kind.limit_s) as watch:
        try:
            outcomes = kind.feed(sandbox, drawn)
        except TooSlowError:
            defect = f"stopped after {5 * kind.limit_s:.1f} s of processor time"
        except Exception:
            defect = traceback.format_exc(limit=-6)
    if not defect and watch.breaches:
        defect = "; ".join(watch.breaches)
    if not defect and watch.cpu_s > kind.limit_s:
        defect = f"{watch.cpu_s:.1f} s of processor time"
    sandbox.reset()
    rules = frozenset(rule for outcome in outcomes for rule in outcome.split())
    firsts = tuple(outcome.split()[0] for outcome in outcomes) or ("defect",) * kind.together
    return Observation(firsts, rules, watch.cpu_s, defect)


def outcome_of(run: Callable[[], list[str]]) -> list[str]:
    """Return what a command would come to: accepted, or the rules of its errors in one outcome."""
    try:
        return run()
    except CatalogueError as error:
        require(error.problems, "an error without a problem")
        return [" ".join(tell(error.problems))]
    except UserError as error:
        for line in str(error).split("\n"):
            tell_line(line)
        return [f"user-error:{summary_of(str(error))}"]


def summary_of(message: str) -> str:
    """Return the fixed words of a message, without what the input put into it."""
    expected = message.partition("expected ")[2].partition(", got")[0] or message
    return "-".join(_VARIABLE.sub("", expected).split()[:7]).lower()[:48] or "error"
