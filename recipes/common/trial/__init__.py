"""A trial: all arms of a model recipe on one subject with one seed, the same for every arm."""
