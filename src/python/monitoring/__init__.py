"""Watches production: drift of its images against the test data."""
