import platform
import sys
from types import SimpleNamespace

import pytest

from cli import InfrastructureError
from cli.processor import guard_tensorflow


@pytest.mark.parametrize(
    ("machine", "avx", "refused"), [("x86_64", False, True), ("x86_64", True, False), ("aarch64", False, False)]
)
def test_tensorflow_is_refused_in_one_sentence_where_it_would_end_the_process(monkeypatch, machine, avx, refused):
    known = SimpleNamespace(__cpu_features__={"AVX": avx})
    monkeypatch.setitem(sys.modules, "numpy._core._multiarray_umath", known)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    # Of the finders only ours, so that nothing is loaded.
    monkeypatch.setattr(sys, "meta_path", [])
    guard_tensorflow()
    with pytest.raises(InfrastructureError if refused else ModuleNotFoundError, match="AVX" if refused else "tensor"):
        __import__("tensorflow")
