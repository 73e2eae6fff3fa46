"""Broken and hostile candidates meet the real inspection, model server, adapter and model tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataset import write_sample
from registry import Registry
from testkit.registries import keys_in
from tests import hostile
from tests.model_folders import describe_model

OF_THE_TESTS = [name for name, candidate in hostile.HOSTILE.items() if candidate.found == "tests"]
# The others of their kind are tried in tests/unit/inspection, or take a model server of their own each.
WHOLE = ["reads a file", "values cut short", "warm-up of garbage", "hungry"]
# Over what a healthy model takes, and under that with the hungry one's buffer.
MEMORY_MIB = 950


def environment():
    path = os.pathsep.join(os.path.abspath(p) for p in sys.path if p)
    return {
        **os.environ,
        "PYTHONPATH": path,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TRAINYARD_SERVING_MEMORY_MIB": str(MEMORY_MIB),
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder, images_per_class=12, seed=3)
    return folder


@pytest.fixture(scope="module")
def reasons(sample, tmp_path_factory):
    """Why the model tests reject each candidate that only they can find, by its name."""
    driver = Path(__file__).with_name("judge_hostile.py")
    command = [sys.executable, str(driver), str(tmp_path_factory.mktemp("hostile")), str(sample)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_healthy_model_that_the_others_are_made_from_passes(reasons):
    assert reasons["healthy"] == []


@pytest.mark.parametrize("name", OF_THE_TESTS)
def test_model_tests_reject_it_for_what_it_is(name, reasons):
    says = hostile.HOSTILE[name].says
    assert any(says in reason for reason in reasons[name]), reasons[name]


@pytest.mark.parametrize("name", WHOLE)
def test_command_rejects_it_for_what_it_is_and_keeps_the_verdict(name, sample, tmp_path):
    describe_model(tmp_path)
    registry = Registry.open(str(tmp_path / "registry"), "chest-xray", keys_in(tmp_path))
    version = registry.create("train", labels=hostile.LABELS, image_size=hostile.IMAGE_SIZE).version
    hostile.HOSTILE[name].write(tmp_path / "model")
    registry.publish(version, tmp_path / "model")
    command = [sys.executable, "-m", "testing", "--registry", str(tmp_path / "registry"), "--dataset", str(sample)]
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    record = registry.record(version)
    assert record.state == "rejected"
    assert hostile.HOSTILE[name].says in " ".join(record.verdicts[-1].reasons)
    assert hostile.HOSTILE[name].says in done.stderr
    assert registry.read_report(version, "test.html")
