"""What the commands show: progress on stderr, tables on stdout; plain lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from greentactics.evidence.comparison import NotComparable, absolute, compare
from greentactics.evidence.wording import estimate_phrase, plain_label, quantity
from greentactics.measure.processes import Pair
from greentactics.models.results import BASELINE, TACTIC, Failure, Results

_LONG_AGO_S = 24 * 3600.0


class RepeatProgress:
    """Progress of runs: a bar with the repeats under way on a terminal, a line for each repeat elsewhere.

    The bar counts the repeats of one run; of several it shows the share of their expected time.
    """

    def __init__(self, console: Console, expected_s: Mapping[str, float] | None = None) -> None:
        """Prepare the bar.

        Args:
            console: Where it is shown.
            expected_s: How long each of several runs is expected to take, by name; None for a single one.
        """
        self._console, self._expected_s = console, expected_s
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn() if expected_s is None else TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=expected_s is None,  # what several runs print there may go to a file
            speed_estimate_period=_LONG_AGO_S,
        )
        self._task: TaskID | None = None
        self._running: list[Pair] = []
        self._total = self._done = 0
        self._over_s = self._run_s = self._reached_s = 0.0
        self._prefix = ""

    def begin_run(self, name: str) -> None:
        """Say which of several runs comes next, or that it is passed over."""
        expected_s = self._expected_s or {}
        names = list(expected_s)
        number = names.index(name)
        self._over_s = self._reached_s = sum(expected_s[each] for each in names[:number])
        self._run_s, self._prefix = expected_s[name], f"{number + 1} of {len(names)}, {name}: "
        self._total = self._done = 0
        if self._console.is_terminal:
            self._show(sum(expected_s.values()))
            self._update()
        else:
            self.note(f"{number + 1} of {len(names)}: {name}")

    def begin(self, total: int, done: int) -> None:
        """Show the bar, or set it to the work that comes next."""
        self._total, self._done = total, done
        if self._expected_s is not None:
            self._update()
        elif self._task is not None:
            self._bar.reset(self._task, total=total, completed=done)
        else:
            self._show(total, done)

    def started(self, pair: Pair) -> None:
        """Name the repeat beside the bar."""
        self._running.append(pair)
        self._update()

    def ended(self, pair: Pair, duration_s: float) -> None:
        """Advance the bar."""
        self._leave(pair)
        if not self._console.is_terminal:
            self.note(f"[{self._done}/{self._total}] {pair}: {duration_s:.1f} s")

    def failed(self, failure: Failure) -> None:
        """Show the last lines of a repeat that failed."""
        pair = Pair(failure.arm, failure.seed)
        self._leave(pair)
        self.note(f"[{self._done}/{self._total}] {pair}: failed with exit code {failure.exit_code}")
        for line in failure.output.splitlines():
            self.note(f"    {line}")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(Text(text), soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bar.stop()

    def _show(self, total: float, done: float = 0) -> None:
        if self._task is None and self._console.is_terminal:
            self._task = self._bar.add_task("starting", total=total)
            self._bar.update(self._task, completed=done)
            self._bar.start()

    def _leave(self, pair: Pair) -> None:
        self._running.remove(pair)
        self._done += 1
        self._update()

    def _update(self) -> None:
        if self._task is None:
            return
        under_way = self._prefix + ("; ".join(str(pair) for pair in self._running) or "merging")
        completed: float = self._done
        if self._expected_s is not None:
            reached_s = self._over_s + self._run_s * self._done / max(1, self._total)
            # a run counts its timing passes anew, so that the bar waits for them
            completed = self._reached_s = max(self._reached_s, reached_s)
        self._bar.update(self._task, description=under_way, completed=completed, refresh=True)


@contextmanager
def repeat_progress(expected_s: Mapping[str, float] | None = None) -> Iterator[RepeatProgress]:
    """Show the progress of a run, or of several whose time is expected, on stderr while the block lasts."""
    progress = RepeatProgress(Console(stderr=True), expected_s)
    try:
        yield progress
    finally:
        progress.close()


class DownloadBar:
    """One file's row in the bar of a download, in the words of pooch."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar, self._task = bar, bar.add_task(name)

    @property
    def total(self) -> float | None:
        """Size in bytes as the server tells it; setting it begins the row anew, as another attempt does."""
        return self._bar.tasks[self._task].total

    @total.setter
    def total(self, size_bytes: int) -> None:
        self._bar.reset(self._task, total=size_bytes)

    def update(self, count: int) -> None:
        """Count bytes that have come in."""
        self._bar.advance(self._task, count)

    def reset(self) -> None:
        """Count from zero."""
        self._bar.reset(self._task)

    def close(self) -> None:
        """Leave the finished row where it is; the bar goes as a whole."""


def download_progress() -> Progress:
    """Return a bar for downloads, to be shown on stderr where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def results_table(results: Results, headline: tuple[str, ...] = ()) -> Table:
    """Return the metrics of all arms, each beside its difference to the baseline.

    Args:
        results: What was run.
        headline: Metrics to stand first, set apart from the others.
    """
    title = f"{results.tactic}, preset {results.preset}, {results.data.name}, {results.device.name}"
    table = Table(title=title, title_justify="left", caption=_caption(results), caption_justify="left")
    table.add_column("metric")
    arms = sorted(results.arms, key=lambda arm: (arm != BASELINE, arm != TACTIC, arm))
    for arm in arms:
        table.add_column(arm.replace("_", " "), justify="right")
    first = [name for name in headline if name in results.metrics]
    for name in [*first, *(name for name in results.metrics if name not in first)]:
        info = results.metrics[name]
        label = Text(plain_label(name), style="bold" if name in first else "")
        label.append(f"\n{info.provenance}", style="dim")
        cells = [_cell(results, arm, name) for arm in arms]
        table.add_row(label, *cells, end_section=bool(first) and name == first[-1])
    return table


def outcomes_table(outcomes: Sequence[tuple[str, str, float]]) -> Table:
    """Return what became of each of several runs: its name, the outcome, and the time it took in seconds."""
    table = Table()
    for heading in ("tactic", "outcome"):
        table.add_column(heading)
    table.add_column("time", justify="right")
    for name, outcome, took_s in outcomes:
        table.add_row(name, Text(outcome), f"{took_s / 60:.1f} min")
    return table


def print_table(table: Table) -> None:
    """Print a table on stdout; without a terminal it is as wide as it needs to be."""
    Console(width=None if sys.stdout.isatty() else 160).print(table, markup=False)


def _cell(results: Results, arm: str, metric: str) -> Text:
    """Return the mean of one metric of one arm, and its difference to the baseline where there is one."""
    mean = absolute(results, arm, metric)
    if mean is None:
        return Text("-")
    cell = Text(quantity(mean.value, mean.unit))
    if arm != BASELINE and results.metrics[metric].better != "neither":
        with suppress(NotComparable):  # the baseline need not have the metric
            cell.append(f"\n{estimate_phrase(compare(results, arm, metric))}", style="cyan")
    return cell


def _caption(results: Results) -> str:
    count = len(results.seeds)
    if count == 1:
        return "1 seed, so no interval; differences are to the baseline"
    return f"mean of {count} seeds; differences are to the baseline, seed by seed, with 95 % intervals"
