"""Runnable demonstrations of tactics: one module per tactic, each against a baseline."""
