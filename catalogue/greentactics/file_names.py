"""Names of files that every system can store."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from greentactics.rules import Rule

DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
"""Names that Windows keeps for devices, with any suffix: a checkout with such a file fails there."""


def storable(name: str) -> str:
    """Return the stem of a file's name, after a look whether every system can store it.

    Raises:
        PydanticCustomError: Windows keeps it for a device.
    """
    if name in DEVICE_NAMES:
        raise PydanticCustomError(Rule.BAD_ID, "a name that Windows does not keep for a device")
    return name
