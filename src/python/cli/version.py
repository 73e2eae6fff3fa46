"""Trainyard's own version: the one place that says it. Models count their own versions, each for itself."""

# Semantic versioning: the first number rises when what an earlier one wrote, or how it was called, stops working.
VERSION = "0.9.0"
