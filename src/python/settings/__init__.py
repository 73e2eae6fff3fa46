"""trainyard.toml, checked: flags override it, TRAINYARD_* variables stand between."""

from settings.load import load
from settings.schema import Settings

__all__ = ["Settings", "load"]
