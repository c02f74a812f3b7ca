"""Files to values and complaints; it knows no tactic."""
