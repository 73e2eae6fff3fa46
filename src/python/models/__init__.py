"""The models of this repository: a folder each below models/. Found, read, started."""

from models.find import find, known
from models.model import Model, concerning

__all__ = ["Model", "concerning", "find", "known"]
