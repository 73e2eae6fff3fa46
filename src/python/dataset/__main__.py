"""The door to the command `dataset`, which stands above the models, as it checks what they are made from."""

from cli import run
from curation.app import app

if __name__ == "__main__":
    run(app)
