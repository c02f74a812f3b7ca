"""What the results say: comparisons, intervals, levels, verdicts, in numbers and words."""
