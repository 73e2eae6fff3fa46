"""Makes datasets, checks them and points to them: the command `dataset`."""
