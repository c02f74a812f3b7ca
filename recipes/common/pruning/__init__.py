"""Removal of weights and of channels, and what a pruned net is judged by."""
