"""Environments of other packages that are thrown away, in which what we import ourselves is found too."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cli import InfrastructureError

_INSTALL_SECONDS = 300


def installed(place: Path, package: str, shared: Sequence[str]) -> Path:
    """The Python of an environment at `place` with `package`, and the packages `shared` in the versions of here.

    Raises:
        InfrastructureError: it can't be made.
    """
    python = place / "bin/python"
    if not python.is_file():  # else it is kept from an earlier run
        run(sys.executable, "-m", "venv", str(place))
        pinned = place / "pinned.txt"
        pinned.write_text("".join(f"{name}=={version(name)}\n" for name in shared))
        run(str(python), "-m", "pip", "install", "--quiet", "--constraint", str(pinned), package)
    (packages,) = place.glob("lib/python3*/site-packages")
    # Of this run: Pants lays its sources out anew for each.
    (packages / "behind.pth").write_text("".join(f"{Path(path).resolve()}\n" for path in sys.path if path))
    return python


def run(*command: str) -> str:
    """What it prints; raises InfrastructureError as `installed` does."""
    what = " ".join(command[1:4])
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
        return done.stdout.strip()
    except subprocess.CalledProcessError as error:
        raise InfrastructureError(f"{what} failed: {error.stderr.strip()[-200:]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"{what} failed: {error}") from None
