"""Records, evidence and pages of the Green Tactics catalogue."""

__version__ = "0.1.0"
