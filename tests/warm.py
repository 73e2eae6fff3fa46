"""Our programs as processes of their own, but for the import of TensorFlow: see tests.forks."""

from tests import forks
from tests.forks import Program

__all__ = ["Program"]
forks.imports("tests.warm_imports")
