"""Clocks and energy meters; `python -m recipes.common.meters` lists what a machine has."""
