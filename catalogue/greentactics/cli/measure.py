"""The commands that start recipes: `run` shows, `measure` stores."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any, get_args

import click

from greentactics.cli.console import (
    RepeatProgress,
    outcomes_table,
    print_table,
    repeat_progress,
    results_table,
)
from greentactics.cli.group import INTERRUPTED, Duration, FiniteRange, example, root_of
from greentactics.evidence.runs import needs_control
from greentactics.evidence.tactic import join
from greentactics.evidence.wording import stored_line
from greentactics.evidence.worth import by_worth
from greentactics.measure.journal import Journal
from greentactics.measure.measuring import (
    Destination,
    Existing,
    Measured,
    NothingYet,
    device_slug,
    first_seed,
    is_device_of,
    partial_folder,
    repeats,
)
from greentactics.measure.measuring import measure as measure_tactic
from greentactics.measure.runner import Request, accelerator_for, make_plan, perform, resolve, subject_name
from greentactics.models.results import Results
from greentactics.models.timings import Engine
from greentactics.records.loading import Catalogue, load_catalogue
from greentactics.records.recipes import read_outline
from greentactics.text.problems import CatalogueError, UserError

Command = Callable[..., Any]
MOST_THREADS, MOST_SEEDS, MOST_JOBS = 512, 1_000, 512
"""Far more than a repeat gains from; the libraries fall over a hundred thousand threads without a word."""
LONGEST_S, LONGEST_PASS_S = 30 * 24 * 3600.0, 24 * 3600.0

_SHARED = (
    click.option("--preset", default="default", show_default=True, help="Settings: smoke, default or full."),
    click.option("--arm", "arms", multiple=True, help="Only this arm; may be given again.  [default: all]"),
    click.option(
        "--subject",
        help="What the arms are tried on: a name in recipes/subjects, or a file of yours with build_model, "
        "train and evaluate.  [default: by preset]",
    ),
    click.option(
        "--data-dir",
        type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
        help="Folder of data sets.  [default: $GREENTACTICS_DATA, then the user's data folder]",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, MOST_THREADS),
        default=1,
        show_default=True,
        help="Threads of a repeat.",
    ),
    click.option(
        "--device",
        "wanted_device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="cpu",
        show_default=True,
        help="Where nets are trained and timed; auto is the accelerator where there is one.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=FiniteRange(0, LONGEST_S, min_open=True),
        metavar="SECONDS",
        help="Longest time for one repeat.  [default: no limit]",
    ),
)


def shared_options(*, seeds: int) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of `run` and `measure`; the seeds differ."""
    seed_count = click.option(
        "--seeds",
        "seed_count",
        type=click.IntRange(1, MOST_SEEDS),
        default=seeds,
        show_default=True,
        help="Number of seeds; intervals need at least 2.",
    )

    def decorate(command: Command) -> Command:
        for option in reversed((seed_count, *_SHARED)):
            command = option(command)
        return command

    return decorate


@click.command(epilog=example("greentactics run consider-energy-aware-pruning --preset smoke --seeds 2"))
@click.argument("tactic", metavar="ID")
@shared_options(seeds=1)
@click.pass_context
def run(context: click.Context, /, tactic: str, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Run a tactic's recipe and show a table; nothing is stored."""
    request = _request(root_of(context), tactic, options)
    arms = resolve(request)
    with tempfile.TemporaryDirectory(prefix="greentactics-") as folder, repeat_progress() as progress:
        journal = Journal(Path(folder).resolve() / "journal")
        journal.begin(make_plan(request))
        performed = perform(request, journal, progress)
    missing = performed.arms_missing(arms)
    if len(missing) < len(arms):
        results = performed.results(device_slug(performed.runs[0].device))
        print_table(results_table(results, _headline(_loaded(request.root, tactic), tactic)))
    if missing:
        raise UserError(f"no repeat of {', '.join(missing)} finished")
    context.exit(0 if performed.complete else 1)


@click.command(
    epilog=example(
        "greentactics measure consider-energy-aware-pruning",
        "greentactics measure consider-energy-aware-pruning --resume",
        "greentactics measure --all --device auto --within 8m --out-dir build/results",
        "greentactics measure consider-energy-aware-pruning --out my-machine.json",
    )
)
@click.argument("tactic", metavar="ID", required=False)
@shared_options(seeds=5)
@click.option(
    "--all",
    "measure_all",
    is_flag=True,
    help="Measure every recipe that has no result of this device which holds, in order of worth: a result "
    "that is begun, one that a second device can lift, the first of a tactic, others; quick ones first.",
)
@click.option(
    "--within",
    "within_s",
    type=Duration(),
    metavar="TIME",
    help="Time for all, such as 90s or 8m; a repeat that would not fit is not begun.  [default: no limit]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    default=1,
    show_default=True,
    help="Repeats at the same time; more than 1 disturbs measured times.",
)
@click.option(
    "--latency-seeds",
    type=click.IntRange(0, MOST_SEEDS),
    default=5,
    show_default=True,
    help="Seeds whose nets are timed in turns afterwards, each in a process of its own; 0 times none.",
)
@click.option(
    "--latency-cap",
    "latency_cap_s",
    type=FiniteRange(0, LONGEST_PASS_S, min_open=True),
    metavar="SECONDS",
    default=30.0,
    show_default=True,
    help="Longest time for the rounds of one engine in a pass; windows of an energy meter come on top.",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(get_args(Engine)),
    help="Time in this engine only; may be given again.  [default: all]",
)
@click.option(
    "--control/--no-control",
    default=None,
    help="Run the baseline twice a seed.  [default: unless its cost was modelled or counted before]",
)
@click.option(
    "--out-dir",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    help="Folder of results.  [default: recipes/results]",
)
@click.option(
    "--out",
    "out_file",
    type=click.Path(dir_okay=False, path_type=Path, resolve_path=True),
    metavar="FILE",
    help="One file NAME.json for `greentactics accept` elsewhere, in place of a folder of results.",
)
@click.option("--resume", is_flag=True, help="Continue an unfinished run, where conditions are still equal.")
@click.option("--replace", is_flag=True, help="Measure anew and replace older results.")
@click.option(
    "--if-needed",
    is_flag=True,
    help="Keep results that still hold, else continue an unfinished run, else measure anew and replace.",
)
@click.option("--device-slug", "slug", help="Device in the file name.  [default: from the device]")
@click.pass_context
def measure(
    context: click.Context,
    /,
    tactic: str | None,
    measure_all: bool,
    within_s: float | None,
    out_dir: Path | None,
    out_file: Path | None,
    resume: bool,
    replace: bool,
    if_needed: bool,
    slug: str | None,
    control: bool | None,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Measure a tactic in fresh processes and store the repeats.

    Each finished repeat is kept at once below build/partial/, so that an interrupted run can be continued.
    Exits with 1 when a repeat failed, and with 130 after Ctrl-C.
    """
    root, until_s = root_of(context), within_s and time.monotonic() + within_s
    published = root / "recipes" / "results"
    out_folder = out_dir or published
    if out_file and out_dir:
        raise click.UsageError("expected at most one of --out and --out-dir")
    if out_file and out_file.suffix != ".json":
        raise click.UsageError(
            f"--out: expected the name of a file that ends with .json, got {out_file.name}"
        )
    if (tactic is None) != measure_all:
        raise click.UsageError("expected one ID, or --all in place of it")
    if measure_all and (out_file or resume or replace or options["subject"] or options["arms"]):
        raise click.UsageError("--all: expected none of --out, --resume, --replace, --subject and --arm")
    existing = Existing.IF_NEEDED if measure_all else _existing(resume, replace, if_needed)
    known = (published,) if measure_all and out_folder != published else ()
    destination = Destination(out_folder, existing, _checked_slug(slug), out_file, known)

    def one(name: str, progress: RepeatProgress) -> Measured:
        """Measure a tactic."""
        needed = control if control is not None else control_needed(_loaded(root, name), name)
        request = replace_fields(_request(root, name, options), control=needed, until_s=until_s)
        request = replace_fields(request, first_seed=first_seed(request, published, out_folder))
        if subject_name(request) is not None:
            request = replace_fields(request, control=False)  # a trial times its baseline twice by itself
        try:
            return measure_tactic(request, destination, progress)
        except KeyboardInterrupt:
            progress.close()
            _say_interrupted(request, existing)
            context.exit(INTERRUPTED)

    if tactic is None:
        context.exit(_measure_all(root, options["wanted_device"], options["preset"], until_s, one))
    try:
        with repeat_progress() as progress:
            measured = one(tactic, progress)
    except NothingYet as told:
        click.echo(str(told))
        return
    _report(measured, for_others=out_file is not None)
    context.exit(1 if measured.results.failures else 0)


def _measure_all(
    root: Path,
    wanted: str,
    preset: str,
    until_s: float | None,
    one: Callable[[str, RepeatProgress], Measured],
) -> int:
    """Measure the recipes that are worth it on this device, in order, and say what became of each."""
    catalogue = load_catalogue(root)
    tactics = {name: tactic for name, tactic in join(catalogue, {}).items() if name in catalogue.recipes}
    devices = {name: accelerator_for(root, name, wanted) for name in tactics}
    subjects = {name: read_outline(root, name).subjects.get(preset) for name in tactics}

    def is_here(name: str, results: Results) -> bool:
        return results.subject == subjects[name] and is_device_of(devices[name], results.device)

    waiting = by_worth(tactics, is_here, preset)
    if not waiting:
        click.echo("Nothing to measure, as every result holds")
        return 0
    outcomes, failed, remains = list[tuple[str, str, float]](), False, False
    with repeat_progress(waiting) as progress:
        for name in waiting:
            progress.begin_run(name)
            begun_s = time.monotonic()
            if until_s is not None and begun_s >= until_s:
                outcomes.append((name, "not begun, the time was up", 0.0))
                remains = True
                continue
            try:
                measured = one(name, progress)
            except NothingYet as told:
                outcome, remains = str(told), True
            except UserError as error:  # such as data that are not there: others can be measured all the same
                outcome, failed = f"failed: {error}", True
            else:
                outcome = _outcome(measured)
                failed, remains = failed or bool(measured.results.failures), remains or bool(measured.left)
            outcomes.append((name, outcome, time.monotonic() - begun_s))
    print_table(outcomes_table(outcomes))
    if remains:
        click.echo("The time was up; the same command goes on with what remains.")
    return 1 if failed else 0


def _outcome(measured: Measured) -> str:
    """Return what became of a run, for a table."""
    results, count = measured.results, len(measured.results.seeds)
    if measured.reused:
        return "kept, as the recipe is unchanged"
    parts = [f"measured with {count} seed{'s' * (count != 1)}"]
    parts += [f"{len(results.failures)} failed"] if results.failures else []
    parts += [f"no time for {measured.left} more"] if measured.left else []
    return ", ".join(parts)


def _request(root: Path, tactic: str, options: dict[str, Any]) -> Request:
    """Return what is to be run, on the device that was asked for."""
    given = _with_whole_path(options)
    wanted = given.pop("wanted_device")
    return Request(root=root, tactic=tactic, accelerator=accelerator_for(root, tactic, wanted), **given)


def _with_whole_path(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the file of `--subject` named in a way that holds in any folder."""
    subject = options["subject"]
    if subject is not None and subject.endswith(".py"):
        if not Path(subject).is_file():
            raise click.UsageError(f"--subject: expected a file, found none at {subject}")
        subject = str(Path(subject).resolve())
    return options | {"subject": subject}


def control_needed(catalogue: Catalogue | None, tactic: str) -> bool:
    """Tell by the committed results whether the machine's noise is in the headline cost.

    Where it was never measured it may be: a control too many takes the time of an arm, and without one the
    results may show nothing.
    """
    headline = _headline(catalogue, tactic)
    if catalogue is None or not headline:
        return False
    known = [entry for entry in catalogue.results.get(tactic, ()) if headline[0] in entry.metrics]
    return not known or any(needs_control(catalogue.records[tactic], entry) for entry in known)


def _existing(resume: bool, replace: bool, if_needed: bool) -> Existing:
    asked = {Existing.RESUME: resume, Existing.REPLACE: replace, Existing.IF_NEEDED: if_needed}
    chosen = [existing for existing, is_set in asked.items() if is_set]
    if len(chosen) > 1:
        raise click.UsageError("expected at most one of --resume, --replace and --if-needed")
    return chosen[0] if chosen else Existing.REFUSE


def _checked_slug(slug: str | None) -> str | None:
    if slug is not None and not (len(slug) <= 80 and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)):
        raise click.UsageError(f"--device-slug: expected lower-case words with hyphens, got {slug!r}")
    return slug


def _report(measured: Measured, *, for_others: bool) -> None:
    """Say where the results are and what became of them."""
    results = measured.results
    if measured.reused:
        when = max(repeat.started for repeat in results.repeats)
        click.echo(
            f"{measured.path}: kept, as the recipe is unchanged: {results.data.name}, measured "
            f"{when:%Y-%m-%d %H:%M} UTC; measure anew with --replace"
        )
        return
    click.echo(stored_line(measured.path, results))
    if for_others:
        click.echo("Attach the file to an issue or, in a clone, file it with `greentactics accept`.")
    if measured.left:
        seeds = f"{len(results.seeds)} seed{'s' * (len(results.seeds) != 1)}"
        click.echo(
            f"{results.tactic}: the time is up: {seeds} stored, {measured.left} remain; the results are "
            "marked as incomplete; the same command with --resume goes on"
        )
    if results.failures:
        click.echo(
            f"failed repeats: {len(results.failures)}; the results are marked as incomplete; when the cause "
            "is removed, run the missing ones with --resume",
            err=True,
        )


def _say_interrupted(request: Request, existing: Existing) -> None:
    journal = Journal(partial_folder(request))
    goes_on = existing in (Existing.RESUME, Existing.IF_NEEDED)
    how = "with the same command" if goes_on else "with --resume"
    click.echo(
        f"Interrupted: {repeats(journal.count)} kept in {journal.folder}; continue {how}",
        err=True,
    )


def _loaded(root: Path, tactic: str) -> Catalogue | None:
    """Return the catalogue; None where it has no record of the tactic yet, or has mistakes."""
    if not (root / "tactics" / f"{tactic}.yaml").is_file():
        return None
    try:
        return load_catalogue(root)
    except CatalogueError:
        click.echo("the catalogue has mistakes, see `greentactics check`; no metric is put first", err=True)
        return None


def _headline(catalogue: Catalogue | None, tactic: str) -> tuple[str, ...]:
    """Return the metrics the record puts first; none where there is no record yet."""
    recipe = catalogue.records[tactic].recipe if catalogue else None
    return (recipe.cost_metric, recipe.quality_metric, *recipe.also_metrics) if recipe else ()
