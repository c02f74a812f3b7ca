"""Made-up results of devices, as someone would send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from greentactics.records.loading import recipe_checksum
from tests.examples.example_files import VALID

TACTIC = "base-measured"
HERE = Path("recipes/results") / TACTIC
OURS = "example-processor"
THEIRS = "another-processor-4-cores"
SHA256 = recipe_checksum(VALID, TACTIC)("default", metered=False)


def document(name: str, seeds: int = 5, *, arms: tuple[str, ...] = ("baseline", "tactic")) -> dict[str, Any]:
    """Return made-up results of a device of this name, less work in the tactic."""
    found = json.loads((VALID / HERE / f"{OURS}.json").read_text(encoding="utf-8"))
    (template, _) = found.pop("repeats")
    found |= {"device_slug": name.lower().replace(" ", "-"), "commit": "b" * 40, "recipe_sha256": SHA256}
    found["device"] |= {"name": name}
    found["data"] |= {"name": "made-up data"}
    length = float(len(name))
    found["repeats"] = [
        template
        | {"arm": arm, "seed": seed, "duration_s": length + seed + index / 10}
        | {"values": {"work_count": (4.0 if arm == "tactic" else 10.0) + seed / 100, "accuracy": 0.9}}
        for seed in range(seeds)
        for index, arm in enumerate(arms)
    ]
    return found


def theirs() -> dict[str, Any]:
    return document("Another processor 4 cores")


def timed(**changes: Any) -> dict[str, Any]:
    """Return results whose headline was read from a clock."""
    found = theirs() | changes
    found["metrics"]["work_count"] |= {"provenance": "measured", "unit": "s"}
    return found
