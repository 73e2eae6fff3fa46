"""What a build makes again and what it does not, and what an image tells of where it comes from."""

import json
import os
import subprocess

import pytest

from engine import docker
from tests.repository import Repository

# Names of its own: the images that others use stay as they are.
PREFIX = "trainyard-test"
ADAPTER = f"{PREFIX}/adapter:latest"


class Builder(Repository):
    def build(self):
        """The adapter's image, inspected after `./pants package` has made it."""
        options = [f"--docker-default-repository={PREFIX}/{{name}}", "--no-dynamic-ui"]
        # As from a terminal: nothing of the Pants that runs this test.
        outer = ("PEX_", "PYTHON", "PANTS_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        command = [str(self.root / "pants"), *options, "package", "infra/docker:adapter"]
        built = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        return json.loads(docker("image", "inspect", "--format", "{{json .}}", ADAPTER).stdout)


# The images come first: what they share with these is built already, or this would take minutes.
@pytest.fixture(scope="module")
def repository(images, tmp_path_factory):
    copy = Builder(tmp_path_factory.mktemp("copy") / "repository")
    yield copy
    copy.close()
    docker("image", "rm", "--force", ADAPTER, f"{PREFIX}/adapter-packages:latest")


@pytest.fixture(scope="module")
def built(repository):
    return repository.build()


def test_labels_name_the_commit_and_the_lock(repository, built):
    labels = built["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == repository.git("rev-parse", "HEAD")
    assert labels["trainyard.lock"] == repository.git("rev-parse", "HEAD:3rdparty/python/adapter.lock")


def test_build_without_a_change_gives_the_same_image(repository, built):
    docker("tag", ADAPTER, f"{PREFIX}/kept")
    # Without its name, so that only another build can give it back.
    docker("image", "rm", ADAPTER)
    try:
        assert repository.build()["Id"] == built["Id"]
    finally:
        docker("image", "rm", f"{PREFIX}/kept")


def test_change_of_our_sources_changes_the_last_thin_layer_alone(repository, built):
    repository.append("serving/adapter/service.py", "# changed\n")
    commit = repository.commit("changed")
    changed = repository.build()
    assert changed["Config"]["Labels"]["org.opencontainers.image.revision"] == commit
    before, after = built["RootFS"]["Layers"], changed["RootFS"]["Layers"]
    assert after[:-1] == before[:-1] and after[-1] != before[-1]
    # In bytes; the newest first.
    sizes = docker("history", "--human=false", "--format", "{{.Size}}", ADAPTER).stdout.split()
    assert next(int(size) for size in sizes if int(size)) < 1_500_000


def test_changes_not_committed_are_told(repository, built):
    repository.append("serving/adapter/service.py", "# changed again\n")
    revision = repository.build()["Config"]["Labels"]["org.opencontainers.image.revision"]
    assert revision == repository.git("rev-parse", "HEAD") + "-dirty"
