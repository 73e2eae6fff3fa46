"""Model tests, run against a candidate in a clone of production."""
