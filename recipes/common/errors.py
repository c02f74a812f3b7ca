"""The one kind of error that is shown to the person at the keyboard without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Raised for what the user can put right; the message says what is wrong, where, and the cure."""
