"""The command test_model with other model tests: `python -m tests.integration.testing.with_suites SUITES ARGUMENT…`."""

import sys
from functools import partial
from pathlib import Path

from cli import run
from testing import apart, verdict
from testing.__main__ import app

if __name__ == "__main__":
    apart.begin()
    verdict.run = partial(verdict.run, suites=Path(sys.argv.pop(1)))
    run(app)
