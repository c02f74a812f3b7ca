"""Data, small nets, their training, and what nets are judged by."""
