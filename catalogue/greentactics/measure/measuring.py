"""The measuring command: a run with a journal, and one results file at the end."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from greentactics.measure.conditions import (
    RECIPE_CHANGED,
    ConditionsDiffer,
    differences,
    version_differences,
)
from greentactics.measure.journal import Journal, Plan, locked
from greentactics.measure.processes import Progress
from greentactics.measure.runner import (
    Performed,
    Request,
    is_readers_file,
    make_plan,
    perform,
    protocol_checksum,
    resolve,
    subject_name,
    trial_of,
)
from greentactics.models.datasets import FASHION_MNIST, FASHION_MNIST_FOLDER, find_fashion_mnist
from greentactics.models.results import DEFAULT_PRESET, FIRST_PUBLISHED_SEED, DeviceInfo, Results, Run
from greentactics.models.timings import CONTROL
from greentactics.records.git import why_no_commit
from greentactics.records.loading import load_results, recipe_checksum
from greentactics.records.recipes import is_recipe_changed, read_outline
from greentactics.text.files import write_atomically
from greentactics.text.problems import CatalogueError, UserError

PARTIAL_FOLDER = Path("build/partial")
"""Where finished repeats are kept until all are there, below the checkout."""
PROCESSORS = Path("/proc/cpuinfo")
"""Where Linux describes the processors."""
_NOISE = re.compile(
    r"\((?:r|tm|c)\)|@.*$|\b\d+-core\b|\b(?:cpu|processor|with radeon graphics)\b", re.IGNORECASE
)
_LONGEST_SLUG = 80


class NothingYet(UserError):  # noqa: N818 - reads as the answer it is
    """The time was up before there was anything to store."""


class Existing(Enum):
    """What to do about results or an unfinished run that are already there."""

    REFUSE = "refuse"
    """Stop and say so."""
    RESUME = "resume"
    """Continue an unfinished run; leave finished results alone."""
    REPLACE = "replace"
    """Measure anew and replace both."""
    IF_NEEDED = "if needed"
    """Keep results that still hold, else continue an unfinished run, else measure anew and replace."""


@dataclass(frozen=True)
class Destination:
    """Where results go, and what to do about older ones."""

    out_dir: Path
    """Folder of results; they go to a folder of the tactic's name in it."""
    existing: Existing = Existing.REFUSE
    """What to do about what is already there."""
    slug: str | None = None
    """Name of the device in the file's name, where the user gave one."""
    file: Path | None = None
    """The one file to write in place of one below `out_dir`, to be handed on."""
    known: tuple[Path, ...] = ()
    """Further folders of results; what stands there of the same device is continued, not measured again."""


@dataclass(frozen=True)
class Measured:
    """What a measuring run came to."""

    path: Path
    """The results file."""
    results: Results
    """Its content."""
    reused: bool
    """Whether older results were kept and nothing was run."""
    left: int = 0
    """Repeats and timing passes that there was no time for."""


def partial_folder(request: Request) -> Path:
    """Return the folder of an unfinished run."""
    parts = [request.preset, *([] if request.subject is None else [subject_name(request)])]
    parts += [] if request.accelerator is None else [request.accelerator.kind]
    return request.root / PARTIAL_FOLDER / request.tactic / "-".join(filter(None, parts))


def first_seed(request: Request, *folders: Path) -> int:
    """Return the seed from which on a tactic is measured.

    Settings are tried with seeds below the first published one, and seeds whose test figures were seen with
    other code are not read again: a changed recipe takes the next hundred.

    Args:
        request: What is to be measured.
        folders: Folders of results.
    """
    subject = subject_name(request)
    checksum, first = recipe_checksum(request.root, request.tactic), FIRST_PUBLISHED_SEED
    used = 0
    paths = {path.resolve() for folder in folders for path in (folder / request.tactic).glob("*.json")}
    for path in sorted(paths):
        try:
            results = load_results(path)
        except CatalogueError:
            continue  # `greentactics check` reports it
        if (results.preset, results.subject) != (request.preset, subject):
            continue
        if is_recipe_changed(results, checksum):
            used = max(used, *results.seeds)
        else:
            first = max(first, results.seeds[0])
    return max(first, FIRST_PUBLISHED_SEED if not used else 100 * (used // 100 + 1))


def measure(request: Request, destination: Destination, progress: Progress) -> Measured:
    """Measure a tactic and write one results file.

    Raises:
        UserError: Something is already there, or cannot be continued, or an arm has no finished repeat.
        KeyboardInterrupt: The user stopped the run; finished repeats are kept.
    """
    arms = resolve(request)
    target, folder = destination.file, partial_folder(request)
    cure = "results cannot be written there; choose another place with --out-dir or --out"
    _require_writable(target.parent if target else destination.out_dir / request.tactic, cure)
    if target and target.exists() and not os.access(target, os.W_OK):
        raise UserError(f"{target}: {cure}")
    use = "finished repeats are kept there until all are done"
    _require_writable(folder, f"{use}; measure in a copy of the checkout that can be written to")
    with locked(folder):
        journal, plan = Journal(folder), make_plan(request)
        if destination.existing is Existing.IF_NEEDED:
            kept = _reusable(request, destination, arms, progress)
            if kept is not None:
                return kept
        else:
            _refuse_existing(_older_file(request, destination), destination)
        if plan.commit is None:
            progress.note(f"no commit will stand in the results: {why_no_commit(request.root)}")
        if plan.dirty:
            progress.note("files differ from the commit, so these results will not count as evidence")
        _prepare(journal, plan, destination.existing, progress)
        if destination.existing in (Existing.RESUME, Existing.IF_NEEDED) and not journal.count:
            _take_up(request, destination, journal, progress)
        performed = _perform(request, destination, journal, progress)
        return _write(request, destination, journal, performed, arms)


def _perform(request: Request, destination: Destination, journal: Journal, progress: Progress) -> Performed:
    def gate(run: Run) -> None:
        if destination.existing is not Existing.IF_NEEDED:
            _refuse_existing(_target(request, destination, run), destination)

    try:
        return perform(request, journal, progress, gate)
    except ConditionsDiffer as error:
        raise UserError(
            f"{error}\nmeasure anew with --replace, or bring back the earlier conditions"
        ) from None


def _prepare(journal: Journal, plan: Plan, existing: Existing, progress: Progress) -> None:
    """Begin a new journal, or take up the one that is there."""
    if not journal.count or existing is Existing.REPLACE:
        if existing is Existing.RESUME:
            progress.note("no unfinished run to continue; a new one is begun")
        journal.discard()
        journal.begin(plan)
        return
    if existing is Existing.REFUSE:
        raise UserError(
            f"{journal.folder}: an unfinished run with {repeats(journal.count)} is there; continue it with "
            "--resume, or begin anew with --replace"
        )
    found = _obstacles(journal, plan)
    if not found:
        begun = journal.plan()
        progress.note(f"continuing an unfinished run: {repeats(journal.count)} kept")
        both = {"dirty": begun.dirty or plan.dirty, "jobs": max(begun.jobs, plan.jobs)}
        journal.begin(begun.model_copy(update=both))
    elif existing is Existing.IF_NEEDED:
        progress.note("an unfinished run cannot be continued and is begun anew: " + "; ".join(found))
        journal.discard()
        journal.begin(plan)
    else:
        raise UserError(
            f"{journal.folder}: the unfinished run cannot be continued:\n  "
            + "\n  ".join(found)
            + "\nbegin anew with --replace, or bring back the earlier conditions"
        )


def _take_up(request: Request, destination: Destination, journal: Journal, progress: Progress) -> None:
    """Put seeds of an unfinished results file into an empty journal, as if they had been run here.

    Nothing else may be left of the machine it comes from. Trials alone can be continued, as others need the
    nets.
    """
    path, plan = _older_file(request, destination), journal.plan()
    if path is None or not path.is_file() or not read_outline(request.root, request.tactic).subjects:
        return
    results = load_results(path)
    if (
        results.complete
        or is_recipe_changed(results, recipe_checksum(request.root, request.tactic))
        or (results.timings and results.timing_sha256 != protocol_checksum(request.root))
        or results.threads != request.threads
        or version_differences(results.versions)
        or is_readers_file(request)
    ):
        return
    seeds = [seed for seed in results.seeds if seed in request.seeds]
    both = {"dirty": results.dirty or plan.dirty, "jobs": max(results.jobs, plan.jobs)}
    journal.begin(plan.model_copy(update=both | {"commit": results.commit}))
    for seed in seeds:
        journal.add_trial(seed, trial_of(results, seed).model_dump_json() + "\n")
    progress.note(f"{path}: continued: {repeats(len(seeds))} kept")


def _obstacles(journal: Journal, plan: Plan) -> list[str]:
    """Return what keeps the journal's run from being continued, as far as it shows before anything is run."""
    begun = journal.plan()
    changed = [RECIPE_CHANGED] if begun.recipe_sha256 != plan.recipe_sha256 else []
    return (
        changed
        + differences(begun, plan, {"threads", "subject", "subject_sha256"})
        + version_differences(journal.versions())
    )


def _write(
    request: Request, destination: Destination, journal: Journal, performed: Performed, arms: tuple[str, ...]
) -> Measured:
    """Write the results file; the journal is kept while repeats are missing."""
    without = performed.arms_missing(arms)
    if without and performed.left and not performed.failures:
        raise NothingYet(
            f"{request.tactic}: no time for {', '.join(without)}; {repeats(journal.count)} kept in "
            f"{journal.folder}; the same command with --resume goes on"
        )
    if without:
        raise UserError(
            f"no repeat of {', '.join(without)} finished, so no results were written; repeats that did "
            f"finish are kept in {journal.folder}; when the cause is removed, continue with --resume"
        )
    path = _target(request, destination, performed.runs[0])
    results = performed.results(_slug(request, destination, performed.runs[0]))
    try:
        write_results(path, results)
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; all repeats are kept in {journal.folder}; continue with --resume"
        ) from None
    if performed.complete:
        journal.discard()
    return Measured(path, results, reused=False, left=performed.left)


def _require_writable(folder: Path, message: str) -> None:
    """Stop before the work where its results could not be stored.

    Raises:
        UserError: The folder, or the one it would be made in, cannot be written to.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"{folder}: {message}")


def _slug(request: Request, destination: Destination, run: Run) -> str:
    older = None if destination.slug or destination.file else _older_file(request, destination)
    if older is not None:
        return older.stem  # files of earlier versions may have other names; one device has one file
    slug = destination.slug or device_slug(run.device)
    if request.preset != DEFAULT_PRESET and not destination.slug:
        slug = f"{slug}-{request.preset}"  # beside the default preset's results, not in their place
    if request.subject is not None and not destination.slug:
        slug = f"{slug}-{_words(run.subject or '')}"  # beside those of the recipe's own subject
    return slug


def _target(request: Request, destination: Destination, run: Run) -> Path:
    folder = destination.out_dir / request.tactic
    return destination.file or folder / f"{_slug(request, destination, run)}.json"


def _older_file(request: Request, destination: Destination) -> Path | None:
    """Return the results file that this run would replace, as far as that shows before anything is run."""
    folder = destination.out_dir / request.tactic
    if destination.file:
        return destination.file
    if destination.slug:
        return folder / f"{destination.slug}.json"
    folders = (folder, *(known / request.tactic for known in destination.known))
    for path in (path for folder in folders for path in sorted(folder.glob("*.json"))):
        try:
            results = load_results(path)
            same = (results.preset, results.subject) == (request.preset, subject_name(request))
            if same and is_device_of(request.accelerator, results.device):
                return path
        except CatalogueError:
            continue  # `greentactics check` reports it; its name decides later whether it is in the way
    return None


def _refuse_existing(path: Path | None, destination: Destination) -> None:
    """Stop before results are replaced unasked; incomplete ones may be completed.

    Raises:
        UserError: The file is there.
    """
    if path is None or not path.is_file() or destination.existing is Existing.REPLACE:
        return
    if destination.existing is Existing.RESUME and not load_results(path).complete:
        return
    if destination.file:
        raise UserError(
            f"{path}: a file of this name is there; name another, or replace it with --replace, or complete "
            "unfinished results with --resume"
        )
    raise UserError(
        f"{path}: results of this device are there; replace them with --replace, or choose --out-dir or --out"
    )


def _reusable(
    request: Request, destination: Destination, arms: tuple[str, ...], progress: Progress
) -> Measured | None:
    """Return older results that still answer the request, or None; says why they do not."""
    path = _older_file(request, destination)
    if path is None or not path.is_file():
        return None
    results = load_results(path)
    reasons = version_differences(results.versions)
    if is_recipe_changed(results, recipe_checksum(request.root, request.tactic)):
        reasons.append(RECIPE_CHANGED)
    if (results.preset, results.threads) != (request.preset, request.threads):
        reasons.append(f"preset {results.preset} with {results.threads} threads before")
    missing = set(arms) - set(results.arms) - set(results.left_out)
    if not results.complete or missing or not set(request.seeds) <= set(results.seeds):
        reasons.append("not all arms and seeds are there")
    if request.control and not any(repeat.arm == CONTROL for repeat in results.repeats):
        reasons.append("the baseline was not run a second time")
    if results.timings and results.timing_sha256 != protocol_checksum(request.root):
        reasons.append("the timing protocol has been changed since")
    if is_readers_file(request):
        reasons.append("results do not tell whether the subject's file is as it was")
    if _better_data(request, results):
        reasons.append(f"{results.data.name} before, {FASHION_MNIST} is there now")
    if reasons:
        progress.note(f"{path}: measured anew: " + "; ".join(reasons))
        return None
    return Measured(path, results, reused=True)


def _better_data(request: Request, results: Results) -> bool:
    """Tell whether the recipe would now read Fashion-MNIST where it had to do without."""
    is_wanted = FASHION_MNIST_FOLDER in results.config.get("data", ())
    return (
        is_wanted and results.data.name != FASHION_MNIST and find_fashion_mnist(request.data_dir) is not None
    )


def device_slug(device: DeviceInfo) -> str:
    """Return the device's name for file names, such as `cpu-amd-epyc-7b13-2-cores`.

    An accelerator is told by its memory, too, and a processor whose name hides which one it is by its model.
    """
    name = _words(_NOISE.sub(" ", device.name.lower())) or "unknown"
    kind = "gpu" if device.kind == "cuda" else device.kind
    prefix = "" if name.startswith(kind) else f"{kind}-"
    if device.kind == "cpu":
        model = f"-{_words(device.model)}" if device.model and device.is_named_vaguely else ""
        suffix = f"{model}-{device.cores}-core{'s' if device.cores > 1 else ''}"
    else:
        suffix = f"-{device.memory_bytes // 2**30}-gib"
    return f"{prefix}{name}"[: _LONGEST_SLUG - len(suffix)].strip("-") + suffix


def _words(text: str) -> str:
    """Return a text as lower-case words with hyphens, for file names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write_results(path: Path, results: Results) -> None:
    """Write a results file in one step."""
    document = results.model_dump(mode="json")
    write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def is_device_of(here: DeviceInfo | None, device: DeviceInfo) -> bool:
    """Tell whether a description is that of an accelerator, or without one of this machine's processor."""
    if here is None:
        return is_this_machine(device)
    return (here.kind, here.name, here.model) == (device.kind, device.name, device.model)


def is_this_machine(device: DeviceInfo) -> bool:
    """Tell whether a processor's description fits this machine; accelerators are not recognised.

    Name and model are compared where the system tells them: x86 does, ARM does not, nor does a system without
    /proc. A name that hides which processor it is does not do without the model.
    """
    same_system = device.system.startswith(platform.system()) and device.machine == platform.machine()
    if device.kind != "cpu" or not same_system or device.cores != _usable_cores():
        return False
    try:
        described = PROCESSORS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    names = re.findall(r"^model name\s*:\s*(.+?)\s*$", described, re.MULTILINE)
    numbers = re.search(r"^cpu family\s*:\s*(\d+)$.*?^model\s*:\s*(\d+)$", described, re.M | re.S)
    model = f"family {numbers[1]}, model {numbers[2]}" if numbers else None
    same_model = model == device.model if device.model or device.is_named_vaguely else True
    return (not names or device.name in names) and (model is None or same_model)


def _usable_cores() -> int:
    """Count the cores this process may use; macOS does not tell, and there all count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def repeats(count: int) -> str:
    """Return a number of finished repeats in words."""
    return f"{count} finished repeat{'' if count == 1 else 's'}"
