"""The Fashion-MNIST files: names, checksums, addresses, and where they are looked for.

Torch-free: read by the command `greentactics data fetch` and by the recipes.
"""

from __future__ import annotations

import hashlib
import os
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
    """Size of the compressed file."""
    sha256: str
    """Checksum of the compressed file, lower-case hexadecimal."""


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

KNOWN_SHA256 = {
    FASHION_MNIST: hashlib.sha256("".join(file.sha256 for file in FASHION_MNIST_FILES).encode()).hexdigest(),
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


def find_fashion_mnist(data_dir: Path | None) -> Path | None:
    """Return the folder that holds Fashion-MNIST files, or None.

    Looks below each data folder in `fashion-mnist/`, then in the data folder itself. A folder counts as soon
    as one of the four files is there, so that an incomplete download is reported instead of passed over.

    Args:
        data_dir: A folder given by the user; when given, no other place is searched.
    """
    for folder in data_folders(data_dir):
        for candidate in (folder / FASHION_MNIST_FOLDER, folder):
            if any((candidate / file.name).exists() for file in FASHION_MNIST_FILES):
                return candidate
    return None
