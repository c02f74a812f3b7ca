"""What all drawings have in common."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """One drawing with its caption."""

    title: str
    """What is drawn."""
    svg: Markup
    """The drawing."""
