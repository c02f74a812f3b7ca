"""Pages from records and results."""
