"""The one file of a data set, as it was published."""

from __future__ import annotations

import hashlib
from pathlib import Path

from greentactics.models.datasets import ENVIRONMENT_VARIABLE, DataSet, find_data
from recipes.common.run.contract import UserError


def published_file(data_set: DataSet, data_dir: Path | None = None) -> Path:
    """Return the file of a data set that has one, after comparing its checksum.

    Raises:
        UserError: It is not there, cannot be read or is not the published one.
    """
    folder, file = find_data(data_set, data_dir), data_set.files[0]
    if folder is None:
        raise UserError(
            f"{data_set.name}: not found in the data folders: {data_set.about}; run "
            f"`{data_set.fetch_command}`, or name a folder with --data-dir or {ENVIRONMENT_VARIABLE}"
        )
    path = folder / file.name
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if found != file.sha256:
        raise UserError(
            f"{path}: not the published file: expected SHA-256 {file.sha256}, got {found}; run "
            f"`{data_set.fetch_command} --dest {folder}`"
        )
    return path
