"""Graphs of operations, and equivalent ones."""
