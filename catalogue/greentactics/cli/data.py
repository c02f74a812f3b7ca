"""The commands about data sets: where they are, and checked downloads with consent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import click

from greentactics import __version__
from greentactics.cli.group import example
from greentactics.models.datasets import (
    FASHION_MNIST_FILES,
    FASHION_MNIST_FOLDER,
    FASHION_MNIST_URL,
    FETCH_COMMAND,
    DataFile,
    absent_folder,
    data_folders,
    find_fashion_mnist,
)
from greentactics.text.problems import UserError, why_broken

_ATTEMPTS = 3
_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 16


@click.group(epilog=example("greentactics data list", "greentactics data fetch fashion-mnist"))
def data() -> None:
    """Find and download data sets."""


@data.command("list", epilog=example("greentactics data list"))
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of data sets.  [default: $GREENTACTICS_DATA, then the user's data folder]",
)
def list_command(data_dir: Path | None) -> None:
    """Show which data sets are there, and where they were looked for."""
    if absent := absent_folder(data_dir):
        click.echo(absent, err=True)
    click.echo("digits: comes with scikit-learn")
    folder = find_fashion_mnist(data_dir)
    if folder is None:
        looked = ", ".join(str(place) for place in data_folders(data_dir))
        click.echo(f"fashion-mnist: not found in {looked}; get it with `{FETCH_COMMAND}`")
        return
    missing = _missing(folder)
    names = ", ".join(file.name for file in missing)
    repair = f"{FETCH_COMMAND} --dest {folder}"
    state = f"missing or damaged: {names}; repair with `{repair}`" if missing else "complete, checksums right"
    click.echo(f"fashion-mnist: {folder}: {state}")


@data.command(epilog=example(FETCH_COMMAND, f"{FETCH_COMMAND} --yes"))
@click.argument("name", metavar="NAME", type=click.Choice(["fashion-mnist"]))
@click.option(
    "--dest",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files.  [default: fashion-mnist/ in $GREENTACTICS_DATA or the user's data folder]",
)
@click.option("--yes", is_flag=True, help="Download without asking.")
@click.option("--base-url", help="Address of a folder with the files, in place of the published addresses.")
def fetch(name: str, dest: Path | None, yes: bool, base_url: str | None) -> None:
    """Download a data set, checked against its published checksums.

    NAME is fashion-mnist: 70,000 small grey images of clothes, MIT licence, 31 MB.
    """
    folder = dest or data_folders(None)[0] / FASHION_MNIST_FOLDER
    source = base_url or FASHION_MNIST_URL
    if not source.startswith(("https://", "http://")):
        raise UserError(f"{source}: expected an address that begins with https:// or http://")
    missing = _missing(folder)
    if not missing:
        click.echo(f"{name}: {folder}: already complete, checksums right")
        return
    size_mb = sum(file.size_bytes for file in missing) / 1e6
    click.echo(f"{name}: {len(missing)} files, {size_mb:.1f} MB (MIT licence), from {source} to {folder}")
    if not yes:
        _ask()
    _download(folder, missing, source)
    click.echo(f"{name}: {folder}: complete")


def _missing(folder: Path) -> list[DataFile]:
    """Return the files that are absent from a folder or differ from the published ones."""
    return [file for file in FASHION_MNIST_FILES if not _is_published(folder / file.name, file)]


def _is_published(path: Path, file: DataFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _ask() -> None:
    """Ask for consent.

    Raises:
        UserError: It was not given.
    """
    try:
        agreed = click.confirm("Download?", default=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise UserError("nothing was downloaded; --yes downloads without asking")


def _download(folder: Path, files: Sequence[DataFile], source: str) -> None:
    """Download files; each is checked before it gets its name.

    Raises:
        UserError: A file cannot be had or is not the published one. Files that arrived before it are kept.
    """
    import pooch

    from greentactics.cli.console import DownloadBar, download_progress

    registry = {file.name: f"sha256:{file.sha256}" for file in files}
    store = pooch.create(folder, source.rstrip("/") + "/", registry=registry, retry_if_failed=_ATTEMPTS - 1)
    headers = {"User-Agent": f"greentactics/{__version__}", "Accept-Encoding": "identity"}
    with download_progress() as bar:
        pooch.get_logger().handlers = [logging.StreamHandler()]  # to stderr as it is now, above the bar
        for file in files:
            downloader = pooch.HTTPDownloader(
                DownloadBar(bar, file.name), _CHUNK_BYTES, timeout=_TIMEOUT_S, headers=headers
            )
            try:
                path = Path(store.fetch(file.name, downloader=downloader))
                path.chmod(0o644)  # pooch leaves the mode of a temporary file, which shuts out other users
            except (OSError, ValueError) as error:
                raise _not_stored(error, store.get_url(file.name), folder) from None


def _not_stored(error: OSError | ValueError, url: str, folder: Path) -> UserError:
    """Return what went wrong with a download, and what to do about it."""
    from requests import HTTPError, RequestException

    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if isinstance(error, HTTPError) and error.response is not None:
        answer = f"the server answered {error.response.status_code} {error.response.reason}"
        return UserError(f"{url}: {answer}; name another address with --base-url")
    if isinstance(error, RequestException) and isinstance(cause, Exception):
        return UserError(
            f"{url}: {why_broken(cause)}, after {_ATTEMPTS} attempts; check the network and run the command "
            "again, or name another address with --base-url"
        )
    if isinstance(error, OSError):
        reason = getattr(cause, "strerror", None) or cause
        return UserError(f"{folder}: {reason}; choose another with --dest")
    return UserError(f"{url}: not the published file; name another address with --base-url. {error}")
