"""What tests ask of measuring runs of the fake recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from greentactics.measure.measuring import Destination, Existing, partial_folder
from greentactics.measure.runner import Request


def existing(destination: Destination, choice: Existing) -> Destination:
    return dataclasses.replace(destination, existing=choice)


def started(root: Path) -> list[str]:
    path = root / "started"
    return path.read_text().splitlines() if path.exists() else []


def kept(request: Request) -> list[str]:
    return sorted(path.stem for path in partial_folder(request).glob("runs/*.json"))
