import os
import sys
from pathlib import Path

import pytest

from pipeline import pants


@pytest.mark.parametrize("environment", [pants.nested_environment, pants.fresh_environment])
def test_pants_within_pants_gets_the_path_of_the_shell(monkeypatch, tmp_path, environment):
    """Pants looks for interpreters on PATH: with another one it would lay out every resolve once more."""
    alias = tmp_path / "venv"
    alias.symlink_to(sys.prefix)
    shell = os.pathsep.join(["/usr/local/bin", "/usr/bin"])
    monkeypatch.setenv("PATH", os.pathsep.join([str(alias / "bin"), str(Path(sys.prefix) / "bin"), shell]))
    assert environment()["PATH"] == shell
