"""The commands about data sets."""

from __future__ import annotations

from pathlib import Path

import click

from greentactics.cli.group import example
from greentactics.measure.fetching import fetch_files, missing_files
from greentactics.models.datasets import (
    FASHION_MNIST_FILES,
    FASHION_MNIST_FOLDER,
    FETCH_COMMAND,
    absent_folder,
    data_folders,
    find_fashion_mnist,
)
from greentactics.text.problems import UserError


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
    missing = missing_files(folder, FASHION_MNIST_FILES)
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
    from greentactics.cli.console import download_progress

    folder = dest or data_folders(None)[0] / FASHION_MNIST_FOLDER
    missing = missing_files(folder, FASHION_MNIST_FILES)
    if not missing:
        click.echo(f"{name}: {folder}: already complete, checksums right")
        return
    source = base_url or FASHION_MNIST_FILES[0].url.rpartition("/")[0]
    size_mb = sum(file.size_bytes for file in missing) / 1e6
    click.echo(f"{name}: {len(missing)} files, {size_mb:.1f} MB (MIT licence), from {source} to {folder}")
    if not yes:
        _ask()
    with download_progress() as progress:
        fetch_files(folder, missing, progress, base_url=base_url)
    click.echo(f"{name}: {folder}: complete")


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
