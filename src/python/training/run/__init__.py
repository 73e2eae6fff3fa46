"""One training run, from images to a candidate in the registry."""
