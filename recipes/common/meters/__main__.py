"""The meters of a machine as a list: what each covers, or why it cannot be used and what would help."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recipes.common.meters.choice import EnergyMeter, ProcessMeter, find_source, find_sources
from recipes.common.meters.source import Unavailable
from recipes.common.run.command_line import OneLineParser, open_streams, show
from recipes.common.run.contract import UserError

_WIDTH = 100
_DEVICES = {"cpu": "processor", "cuda": "GPU"}


@dataclass(frozen=True)
class Listed:
    """One meter."""

    name: str
    """What it is."""
    available: bool
    """Whether it can be used here."""
    domains: tuple[str, ...]
    """What it covers."""
    left_out: tuple[str, ...] = ()
    """Parts whose counter is not added: they overlap with `domains`, or the reason stands in brackets."""
    reason: str | None = None
    """Why it cannot be used."""
    cure: str | None = None
    """What would help."""


def list_meters(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> list[Listed]:
    """Return the meters recipes know, those that cannot be used here among them.

    Args:
        root: Root of the file system.
        environment: Environment variables.
    """
    listed = [
        Listed("process clocks", True, ("wall time", "processor time")),
        Listed("peak memory", True, ("resident size of the process",)),
    ]
    for name in ("RAPL", "NVML", "zeus"):
        try:
            source = find_source(name.lower(), root, environment)
        except Unavailable as error:
            listed.append(Listed(name, False, (), reason=error.reason, cure=error.cure))
        else:
            listed.append(Listed(name, True, source.domains, source.left_out))
    return listed


def main(arguments: Sequence[str] | None = None, root: Path = Path("/")) -> int:
    """Print the meters and which of them recipes use.

    Args:
        arguments: Command-line arguments; those of the process when None.
        root: Root of the file system.

    Returns:
        Exit code: 0, or 1 where the user asks for a meter that cannot be used.
    """
    open_streams()
    parser = OneLineParser(
        prog="python -m recipes.common.meters", description="List the meters of this machine."
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for tools")
    as_json = parser.parse_args(arguments).json
    used, mistake = {}, None
    try:
        for device_kind in _DEVICES:
            sources = find_sources(root, os.environ, device_kind)
            used[device_kind] = EnergyMeter(sources).name if sources else ProcessMeter.name
    except UserError as error:
        mistake = str(error)
    listed = list_meters(root)
    record = {"used": used, "mistake": mistake, "meters": [asdict(meter) for meter in listed]}
    try:
        show(json.dumps(record, indent=2) if as_json else _table(listed, used, mistake))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0 if mistake is None else 1


def _table(listed: Sequence[Listed], used: Mapping[str, str], mistake: str | None) -> str:
    """Return the list as plain text of at most 100 columns."""
    lines = []
    for meter in listed:
        lines.append(f"{meter.name:14}  {', '.join(meter.domains) or 'not available'}")
        texts = {"left out": ", ".join(meter.left_out), "why": meter.reason, "cure": meter.cure}
        for label, text in texts.items():
            if text:
                lines += _wrapped(f"{label}: {text}", " " * 4)
    lines.append("")
    if mistake:
        lines += _wrapped(f"recipes do not start: {mistake}", "")
    for device_kind, name in used.items():
        energy = ", which give no energy figure" if name == ProcessMeter.name else ""
        lines += _wrapped(f"work on the {_DEVICES[device_kind]} is measured with: {name}{energy}", "")
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    """Return a text in lines, with commands in one piece."""
    wrapper = textwrap.TextWrapper(_WIDTH, break_long_words=False, break_on_hyphens=False)
    wrapper.initial_indent, wrapper.subsequent_indent = indent, f"{indent}  "
    return wrapper.wrap(text)


if __name__ == "__main__":
    raise SystemExit(main())
