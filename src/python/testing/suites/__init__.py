"""The model tests. A file test_*.py added here is run against every candidate, and is the push that triggers `test`."""
