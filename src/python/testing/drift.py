"""Where the command `drift` was before it moved to `monitoring`: Jobs and scripts that start it by this name go on."""

from cli import run
from monitoring.drift import app

if __name__ == "__main__":
    run(app)
