"""A processor that TensorFlow's builds can't run on: they end the process by signal 4, without a word."""

import platform
import sys
from importlib.abc import MetaPathFinder
from typing import Any

from cli.errors import InfrastructureError


def lacks_avx() -> bool:
    """Whether this is an x86 processor without AVX."""
    # NumPy has asked the processor, and stands beside every TensorFlow.
    from numpy._core._multiarray_umath import __cpu_features__  # pants: no-infer-dep

    return platform.machine() in ("x86_64", "AMD64") and not __cpu_features__["AVX"]


class _Guard(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Finds nothing: leaves that to Python's own finders."""
        if name == "tensorflow" and lacks_avx():
            raise InfrastructureError(
                "This processor has no AVX, which TensorFlow's builds need; use a machine that has it, or where this "
                "is a virtual one, a processor model that hands it on (as QEMU's `-cpu host`)."
            )


def guard_tensorflow() -> None:
    """From now on, an import of TensorFlow raises InfrastructureError where it would end the process."""
    sys.meta_path.insert(0, _Guard())
