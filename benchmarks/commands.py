"""Other people's commands, as a benchmark calls them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from cli import InfrastructureError
from pipeline.pants import fresh_environment


def output(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What it prints, called in `folder`; by default as from a shell, not as from inside Pants.

    Raises:
        InfrastructureError: it failed.
    """
    done = subprocess.run(command, cwd=folder, env=environment or fresh_environment(), capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-1500:]
        raise InfrastructureError(f"{' '.join(command[:5])} ended with exit code {done.returncode}: {said}")
    return done.stdout.strip()
