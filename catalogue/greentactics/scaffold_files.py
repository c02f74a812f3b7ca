"""The files a new tactic starts with: record, recipe and test, made from the templates in `scaffold/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from greentactics.drafts import Draft, scaffold_names
from greentactics.errors import UserError
from greentactics.placeholders import PLACEHOLDER_KEY
from greentactics.plain_scalars import plain_value
from greentactics.vocabulary import Group, Quality
from greentactics.writing import errors_name

_PLAIN = re.compile(r"[A-Za-z][\w ,'()-]*")


def scaffold(draft: Draft) -> dict[str, str]:
    """Return the text of each file of a new tactic, by its path from the root of the repository."""
    environment = Environment(
        loader=PackageLoader("greentactics", "scaffold"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and Python; the title has been checked, the rest is quoted
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["scalar"] = _scalar
    return {
        file: environment.get_template(template).render(
            draft=draft,
            group=draft.group or Group.MODEL_OPTIMIZATION.value,
            quality=draft.quality or Quality.ENERGY_EFFICIENCY.value,
            sources=draft.sources or (PLACEHOLDER_KEY,),
        )
        for file, template in scaffold_names(draft.id).items()
    }


def write_new(root: Path, files: Mapping[str, str]) -> None:
    """Write files that do not exist yet: all of them, or none.

    Raises:
        UserError: One exists.
        OSError: One cannot be written.
    """
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with errors_name(path), path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            message = f"{error.filename}: expected no such file yet; nothing was written"
            raise UserError(message) from None
        raise


def _scalar(text: str) -> str:
    """Return text as one line of YAML that is read back as the same text."""
    return (
        text if _PLAIN.fullmatch(text) and plain_value(text) == text else json.dumps(text, ensure_ascii=False)
    )
