"""Benchmarks of what the project itself costs; each figure is shown with its limit at the end of the run.

Not part of the tests: `pytest tests/benchmarks -o python_files='bench_*.py'`, without `-n`. Limits hold for
processor time, which other work on the machine disturbs less than the time that passes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

_LINES = pytest.StashKey[list[str]]()

Report = Callable[..., None]


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Keep a figure for the end of the run, and fail where it is not below its limit."""

    def keep(name: str, value: float, unit: str, limit: float | None = None) -> None:
        against = "no limit" if limit is None else f"limit {limit:g} {unit}"
        line = f"{name:52} {value:10.4g} {unit:4} {against}"
        request.config.stash.setdefault(_LINES, []).append(line)
        assert limit is None or value < limit, line

    return keep


@pytest.fixture(autouse=True)
def _timed_alone(request: pytest.FixtureRequest) -> None:
    if hasattr(request.config, "workerinput"):
        pytest.skip("benchmarks share the machine with nothing: run them without -n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("figures and limits")
        terminalreporter.write_line("\n".join(lines))
