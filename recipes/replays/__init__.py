"""Effects of tactics recomputed from raw data that others metered and published; a module a tactic."""
