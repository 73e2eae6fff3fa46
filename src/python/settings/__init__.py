"""trainyard.toml, checked. Precedence: flag, TRAINYARD_* variable, the model's own file, trainyard.toml, default."""

from settings.load import Layer, load, overridden
from settings.schema import BUILT_IN_DATASETS, Settings

__all__ = ["BUILT_IN_DATASETS", "Layer", "Settings", "load", "overridden"]
