"""Recipes run and timed, each repeat in a process of its own."""
