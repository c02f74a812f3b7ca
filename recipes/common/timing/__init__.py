"""Timing of several nets in turns; `python -m recipes.common.timing` makes one pass."""
