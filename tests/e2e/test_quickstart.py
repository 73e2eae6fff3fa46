"""The whole loop on the user's own images: a folder of real X-rays where there is one, phantoms otherwise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset import write_sample
from tests.integration.training.yards import SMALL, WEAK, write_model


def quickstart(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-m", "quickstart", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=850)


def servers_of(folder):
    """Processes that serve below `folder`, as Linux tells."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if "serving." in command and str(folder) in command:
            found.append(command.replace("\0", " "))
    return found


@pytest.mark.timeout(880)
def test_loop_ends_with_two_promotions_one_rollback_and_no_failed_request(tmp_path):
    own = Path(os.environ.get("TRAINYARD_XRAYS") or tmp_path / "own")
    if not own.exists():
        write_sample(own, images_per_class=60, seed=11)
        # Phantoms are soon told apart; the network that ships is trained by CI's packaged quickstart.
        write_model(tmp_path, "chest_xray", SMALL)
    result = quickstart(tmp_path, "--dataset", str(own), "--min-accuracy", "0.6", "--min-recall", "0.3", "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["failed_requests"] == 0
    assert summary["requests"] > 20
    assert summary["promoted"] == [1, 2]
    assert summary["rolled_back"] == 1
    assert summary["accuracy"] >= 0.6
    assert set(summary["per_class"]) == {path.name for path in own.iterdir() if path.is_dir()}
    names = [stage["name"] for stage in summary["stages"]]
    assert names[:4] == ["dataset", "train", "promote", "serve"]
    assert names[-3:] == ["retrain", "promote", "rollback"]
    folder = next((tmp_path / ".trainyard").iterdir())
    assert len(list((folder / "outbox").glob("*.eml"))) == 5  # two candidates, two promotions, one rollback
    assert json.loads((folder / "registry/chest-xray/records/1.json").read_text())["state"] == "production"
    assert servers_of(folder) == []


@pytest.mark.timeout(600)
def test_missed_gate_ends_the_loop_with_its_reason_and_a_mail(tmp_path):
    own, random = tmp_path / "own", np.random.default_rng(12)
    for label in ("A", "B"):
        (own / label).mkdir(parents=True)
        for number in range(70):  # noise: nothing there to learn
            Image.fromarray(random.integers(0, 256, (64, 64), np.uint8)).save(own / label / f"{number}.png")
    write_model(tmp_path, "chest_xray", WEAK + "epochs = 1\n")
    result = quickstart(tmp_path, "--dataset", str(own), "--min-accuracy", "1.0")
    assert result.returncode == 3, result.stderr
    assert "misses the gate" in result.stderr
    assert "Traceback" not in result.stderr
    folder = next((tmp_path / ".trainyard").iterdir())
    assert [path for path in (folder / "outbox").glob("*.eml") if "gate" in path.name]
    assert not (folder / "registry/chest-xray/testing").exists()
