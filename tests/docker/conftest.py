"""An engine and our images, or a skipped test that says what is missing."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from cli import InfrastructureError
from engine import docker, require_image

PROGRAMS = ("train", "retrain", "test_model", "promote", "model_server", "adapter")


@pytest.fixture(scope="session")
def engine() -> None:
    """An engine answers."""
    try:
        answered = docker("version", "--format", "{{.Server.Version}}")
    except InfrastructureError as error:
        lacks(str(error))
    if answered.returncode:
        lacks(f"no Docker engine answers: {answered.stderr.strip()}")


@pytest.fixture(scope="session")
def images(engine: None) -> dict[str, str]:
    """The images of our programs."""
    found = {program: f"trainyard/{program}:latest" for program in PROGRAMS}
    try:
        for image in found.values():
            require_image(image)
    except InfrastructureError as error:
        lacks(str(error))
    return found


def lacks(what: str) -> NoReturn:
    """Skips the test, or fails it where everything has to be there."""
    if os.environ.get("REQUIRE_DOCKER"):
        pytest.fail(what)
    pytest.skip(what)
