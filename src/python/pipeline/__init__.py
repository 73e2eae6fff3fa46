"""A change -> a plan -> a run."""
