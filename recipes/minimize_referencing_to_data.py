"""Referencing to data: decode examples once, into one mapped file, and read neighbours together.

Record: tactics/minimize-referencing-to-data.yaml. Four trainings in turn, a search for a learning rate, read
the same images, a compressed file each (deflate, as within PNG), listed by class. The baseline reads and
decodes each image in each epoch. The tactic decodes once into one file, in random order, maps it into memory
and draws blocks of neighbours. Arms of it draw single rows or blocks of many batches, keep rows in the order
of classes, or let the system read ahead. The rivals: each training keeps decoded images in memory; a pickle
of each decoded image; two worker processes that read for the baseline; and one reading of the files for all
trainings, which take their steps together, as in CoorDL (Mohan et al., "Analyzing and Mitigating Data Stalls
in DNN Training", PVLDB 14(5), 2021).

    python -m recipes.minimize_referencing_to_data --arm tactic --seed 0 --preset default

Linux only. On one processor core the baseline takes ten seconds with DEFAULT, which needs Fashion-MNIST, and
one with SMOKE. The system still holds the files, which were written before training begins; what storage
gives where it holds none is measured on four batches. Seeds below 1000, with which the length of blocks was
found, report the accuracy on validation images, by which the best training is chosen in all seeds.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import resource
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import CannotRun, Meter, MetricTable, Outcome

TACTIC = "minimize-referencing-to-data"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_single_rows",
    "tactic_with_long_blocks",
    "tactic_with_rows_by_class",
    "tactic_with_read_ahead",
    "kept_in_memory",
    "pickled_examples",
    "worker_processes",
    "shared_reading",
)
METRICS: MetricTable = {
    "search_cpu_s": ("s", "lower", "measured", "Processor time of decoding, reading and all trainings."),
    "reading_cpu_s": ("s", "lower", "measured", "Of it, all but steps of training; of all processes."),
    "read_call_bytes": (
        "bytes",
        "lower",
        "measured",
        "Bytes that read calls brought; mapped ones need none.",
    ),
    "page_faults": ("count", "lower", "measured", "Pages that the system had to supply, to all processes."),
    "peak_bytes": ("bytes", "lower", "measured", "Most memory of this process, above what it held before."),
    "stored_bytes": ("bytes", "lower", "counted", "Bytes of the files that trainings read."),
    "cold_bytes": ("bytes", "lower", "measured", "From storage, uncached, for each use of an image."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images the best training sorts rightly."),
}
BLOCKS = {"tactic_with_single_rows": 1, "tactic_with_long_blocks": 1_024}
"""Neighbours that are read together by arm, where it is not the number of the settings."""
WORKERS = 2
COLD_BATCHES = 4


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 10_000
    """Training images, at most."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    """Learning rates of Adam at the start, one of each training; they fall to zero along half a cosine."""
    epochs: int = 4
    """Epochs of each training."""
    batch: int = 64
    """Images of a step."""
    block: int = 64
    """Neighbours that are read together."""
    hidden: int = 128
    """Width of the hidden layer."""


SMOKE = Config(data="digits", images=200, rates=(3e-3, 1e-2), epochs=2, batch=32, block=32)
DEFAULT = Config()
FULL = Config(images=55_000, epochs=20, hidden=1_024)

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Read = Callable[[Places], Bytes]
"""From places of examples, (batch,), to their values, (batch, values)."""

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def decode_once(files: Iterable[Path], decode: Callable[[Path], Bytes], target: Path) -> None:
    """Write decoded examples, one behind the other, into one file.

    Args:
        files: In random order: neighbours share batches, which must not be of one class or one day.
        decode: Returns the values of one file, as many for each.
        target: File to be written.
    """
    with target.open("wb") as rows:
        for file in files:
            rows.write(decode(file).tobytes())


def mapped_rows(target: Path, values: int, *, read_ahead: bool = False) -> Bytes:
    """Map a file of `decode_once`, (rows, values): rows are read when used, and shared by all processes."""
    with target.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if not read_ahead:  # else the system brings the surroundings of each row, too, which are not used next
        memory.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(memory, np.uint8).reshape(-1, values)


def order_by_blocks(count: int, block: int, draw: np.random.Generator) -> Places:
    """Return all rows, (count,): blocks of neighbours in random order, cut elsewhere each time."""
    block_of = (np.arange(count) + draw.integers(block)) // block  # (count,)
    return np.argsort(draw.permutation(block_of[-1] + 1)[block_of], kind="stable")


# --8<-- [end:tactic]
# --- Ways of reading -------------------------------------------------------------------------------------


class Way(NamedTuple):
    """How trainings come by their examples."""

    start: Callable[[], Read]
    """Called by each training at its start."""
    files: Sequence[Path]
    """The file that is read for each place, (examples,)."""
    order: Places
    """Which example stands at each place, (examples,)."""
    block: int = 1
    """Neighbours that are read together."""
    uses: int = 1
    """How often an example is learnt from for each time that it is read."""


def inflate(file: Path) -> Bytes:
    """Decode an image."""
    return np.frombuffer(zlib.decompress(file.read_bytes()), np.uint8)


def unpickle(file: Path) -> Bytes:
    """Load a decoded image."""
    values: Bytes = pickle.loads(file.read_bytes())  # noqa: S301 - written by this process
    return values


def read_each(files: Sequence[Path], decode: Callable[[Path], Bytes], values: int, places: Places) -> Bytes:
    """Read each example from its own file."""
    rows = np.empty((len(places), values), np.uint8)
    for row, place in zip(rows, places, strict=True):
        row[:] = decode(files[place])
    return rows


def way_of(arm: str, config: Config, files: Sequence[Path], draw: np.random.Generator) -> Way:
    """Prepare what an arm reads from; `files` are listed by class."""
    as_listed, values = np.arange(len(files)), len(inflate(files[0]))
    if arm.startswith("tactic"):
        order = as_listed if arm.endswith("by_class") else draw.permutation(len(files))
        target = files[0].with_name("rows")
        decode_once((files[place] for place in order), inflate, target)
        ahead = arm.endswith("read_ahead")
        start = lambda: mapped_rows(target, values, read_ahead=ahead).__getitem__  # noqa: E731
        return Way(start, [target] * len(files), order, BLOCKS.get(arm, config.block))
    if arm == "pickled_examples":
        pickles = [file.with_suffix(".pickle") for file in files]
        for file, pickled in zip(files, pickles, strict=True):
            pickled.write_bytes(pickle.dumps(inflate(file)))
        return Way(lambda: partial(read_each, pickles, unpickle, values), pickles, as_listed)
    read = partial(read_each, files, inflate, values)
    if arm == "kept_in_memory":
        return Way(lambda: read(as_listed).__getitem__, files, as_listed, uses=config.epochs)
    return Way(lambda: read, files, as_listed, uses=len(config.rates) if arm == "shared_reading" else 1)


class Batches(Dataset[Tensor]):
    """Batches for worker processes, each asked for by its places."""

    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, places: Places) -> Tensor:
        """Return the values of a batch, (batch, values)."""
        return torch.from_numpy(self.read(places))


# --- Run -------------------------------------------------------------------------------------------------


class CosineTraining:
    """A net of one hidden layer in training, with a rate that falls to zero along half a cosine."""

    def __init__(self, values: int, config: Config, rate: float, steps: int) -> None:
        self.net = nn.Sequential(nn.Linear(values, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 10))
        self.optimiser = torch.optim.Adam(self.net.parameters(), rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)

    def step(self, inputs: Tensor, labels: Tensor) -> None:
        """Learn from a batch, (batch, values)."""
        self.optimiser.zero_grad()
        F.cross_entropy(self.net(inputs), labels).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()


def train_all(
    arm: str, config: Config, way: Way, labels: Tensor, values: int, draw: np.random.Generator
) -> tuple[list[CosineTraining], float]:
    """Train once for each rate; return the trainings, and the processor time of their steps."""
    trained, stepping_s, batches = list[CosineTraining](), 0.0, list[Places]()
    steps = config.epochs * -(-len(labels) // config.batch)
    for rates in [config.rates] if arm == "shared_reading" else [(rate,) for rate in config.rates]:
        together, read = [CosineTraining(values, config, rate, steps) for rate in rates], way.start()
        workers: Iterable[Tensor] | None = None
        if arm == "worker_processes":  # they outlive epochs: `batches` is filled anew
            workers = DataLoader(
                Batches(read), None, sampler=batches, num_workers=WORKERS, persistent_workers=True
            )
        for _ in range(config.epochs):
            order = order_by_blocks(len(labels), way.block, draw)
            batches[:] = np.split(order, range(config.batch, len(order), config.batch))
            coming = workers or (torch.from_numpy(read(places)) for places in batches)
            for places, rows in zip(batches, coming, strict=True):
                inputs, wanted = rows / 255, labels[places]
                begun = time.process_time()
                for training in together:
                    training.step(inputs, wanted)
                stepping_s += time.process_time() - begun
        trained += together
        del read  # before the next training holds its own
    return trained, stepping_s


def own(file: str, name: str) -> int:
    """Return a number that the system keeps of this process."""
    lines = (Path("/proc/self") / file).read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def used_so_far() -> NDArray[np.float64]:
    """Return processor time of children that have ended, and page faults and bytes read, theirs with ours."""
    both = children, _ = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    faults = sum(each.ru_minflt + each.ru_majflt for each in both)
    return np.array([children.ru_utime + children.ru_stime, faults, own("io", "rchar")])


def bytes_from_storage(start: Callable[[], Read], files: Iterable[Path], places: Places) -> int:
    """Return what storage gives when a batch is read from files of which the system holds nothing."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())  # what is not yet written cannot be dropped
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before, _ = own("io", "read_bytes"), start()(places)
    return own("io", "read_bytes") - before


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Write images as files, read and train as an arm does, and choose the best training."""
    if sys.platform != "linux":
        raise CannotRun(
            f"expected Linux, which counts what a process reads, got {sys.platform}; run it there"
        )
    data = load_images((config.data,), config.data_dir)
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    chosen = torch.from_numpy(draw.permutation(len(data.train_images)))[: config.images]
    chosen = chosen[data.train_labels[chosen].argsort(stable=True)]  # by class, as folders are listed
    low, high, labels = data.train_images.min(), data.train_images.max(), data.train_labels[chosen]
    asked, wanted = data.validation_images, data.validation_labels
    if seed >= 1000:
        asked, wanted = data.test_images, data.test_labels
    images, checked, asked = (
        ((each - low) / (high - low) * 255).round().byte().flatten(1)  # (images, values)
        for each in (data.train_images[chosen], data.validation_images, asked)
    )
    checks, used = data.validation_labels, replace(data.used, train_count=len(images), test_count=len(wanted))
    values = images.shape[1]
    CosineTraining(values, config, 0, 1).step(images[:1] / 255, labels[:1])  # loads what the first step loads
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{label}_{place:06}.z" for place, label in enumerate(labels.tolist())]
        for file, image in zip(files, images, strict=True):
            file.write_bytes(zlib.compress(image.numpy().tobytes()))
        del data, images
        ctypes.CDLL(None).malloc_trim(0)  # else freed memory is taken again, and does not count
        Path("/proc/self/clear_refs").write_text("5")  # the most memory is that from here on
        held, before = own("status", "VmRSS"), used_so_far()
        with meter.window("search") as search:
            way = way_of(arm, config, files, draw)
            trained, stepping_s = train_all(arm, config, way, labels[way.order], values, draw)
        children_s, faults, called = (used_so_far() - before).tolist()
        metrics = {
            "search_cpu_s": search.cpu_s + children_s,
            "reading_cpu_s": search.cpu_s + children_s - stepping_s,
            "read_call_bytes": called,
            "page_faults": faults,
            "peak_bytes": 1024.0 * (own("status", "VmHWM") - held),
            "stored_bytes": float(sum(file.stat().st_size for file in set(way.files))),
        }
        start = (lambda: partial(read_each, files, inflate, values)) if arm == "kept_in_memory" else way.start
        order = order_by_blocks(len(files), way.block, draw)[: COLD_BATCHES * config.batch]
        batches = np.split(order, range(config.batch, len(order), config.batch))
        cold = sum(bytes_from_storage(start, {way.files[i] for i in batch}, batch) for batch in batches)
        if cold:  # none is seen where temporary files stand in memory
            metrics["cold_bytes"] = cold / len(order) / way.uses
    best = max(trained, key=lambda each: float((each.net(checked / 255).argmax(1) == checks).double().mean()))
    metrics["test_accuracy"] = float((best.net(asked / 255).argmax(1) == wanted).double().mean())
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
