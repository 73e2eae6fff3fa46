"""Broken and hostile candidates meet the real inspection, model server, adapter and model tests."""

import json
import os

import pytest

from dataset import write_sample
from registry import Registry
from testkit.registries import keys_in
from tests import hostile, warm_server
from tests.forks import Program
from tests.model_folders import describe_model

OF_THE_TESTS = [name for name, candidate in hostile.HOSTILE.items() if candidate.found == "tests"]
# The others of their kind are tried in tests/unit/inspection, or take a model server of their own each.
WHOLE = ["reads a file", "values cut short", "warm-up of garbage", "hungry"]
# Over what a healthy model takes, and under that with the hungry one's buffer.
MEMORY_MIB = 950


def ended(module, *arguments, folder=None, own_memory=False):
    """How a program ended, which is forked as its model servers are.

    With `own_memory` they start by themselves: what is shared with others would not count as theirs.
    """
    told = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "TRAINYARD_SERVING_MEMORY_MIB": str(MEMORY_MIB)}
    before = None if own_memory else warm_server.within
    return Program(module, *arguments, environment=told, folder=folder, before=before).ended(500)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder, images_per_class=12, seed=3)
    return folder


@pytest.fixture(scope="module")
def reasons(sample, tmp_path_factory):
    """Why the model tests reject each candidate that only they can find, by its name."""
    arguments = [str(tmp_path_factory.mktemp("hostile")), str(sample)]
    done = ended("tests.integration.candidates.judge_hostile", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_healthy_model_that_the_others_are_made_from_passes(reasons):
    assert reasons["healthy"] == []


@pytest.mark.parametrize("name", OF_THE_TESTS)
def test_model_tests_reject_it_for_what_it_is(name, reasons):
    says = hostile.HOSTILE[name].says
    assert any(says in reason for reason in reasons[name]), reasons[name]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder of the models of WHOLE, by name; TensorFlow, which writes them, is imported where programs are forked."""
    folder = tmp_path_factory.mktemp("written")
    done = ended("tests.hostile", str(folder), *WHOLE)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", WHOLE)
def test_command_rejects_it_for_what_it_is_and_keeps_the_verdict(name, written, sample, tmp_path):
    describe_model(tmp_path)
    registry = Registry.open(str(tmp_path / "registry"), "chest-xray", keys_in(tmp_path))
    version = registry.create("train", labels=hostile.LABELS, image_size=hostile.IMAGE_SIZE).version
    registry.publish(version, written / name)
    arguments = ["--registry", str(tmp_path / "registry"), "--dataset", str(sample)]
    done = ended("testing", *arguments, folder=tmp_path, own_memory=name == "hungry")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    record = registry.record(version)
    assert record.state == "rejected"
    assert hostile.HOSTILE[name].says in " ".join(record.verdicts[-1].reasons)
    assert hostile.HOSTILE[name].says in done.stderr
    assert registry.read_report(version, "test.html")
