"""trainyard.toml, checked: flags override it, TRAINYARD_* variables stand between."""

from settings.load import load
from settings.schema import BUILT_IN_DATASETS, Settings

__all__ = ["BUILT_IN_DATASETS", "Settings", "load"]
