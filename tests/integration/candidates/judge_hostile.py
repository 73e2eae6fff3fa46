"""Runs the model tests on hostile candidates one after the other in one clone, which rolls over from each to the next.

`python -m tests.integration.candidates.judge_hostile FOLDER HELD_OUT`: a JSON object of the reasons to reject each, by
its name. FOLDER is empty, HELD_OUT a folder of images per class.
"""

import base64
import json
import sys
import time
from pathlib import Path

import numpy as np

from contracts.record import Golden, Record
from imaging.array import encode_png
from serving.client import Client, ClientError
from settings import Settings
from testing import clone, load
from testing.run import SUITES, run
from testing.subject import Labelled, Subject
from tests import hostile
from tests.unit.testing.records import budget

ROLLOVER_SECONDS = 60
LONG = ("test_memory.py", "test_restart.py")
SLOW = "slow"
MUTE = "weights that are no numbers"
# Weaker than a gate of production: what is found is to be found by the test it is meant for.
BUDGET = budget(min_accuracy=0.6, min_recall=0.4, max_p95_ms=400)


# A burst of requests tells a slow model from a healthy one here, where eight are asked for a sure figure.
load._ROUNDS = 1


def main(folder: Path, held_out: Path) -> dict[str, list[str]]:
    names = [name for name, candidate in hostile.HOSTILE.items() if candidate.found == "tests" and name != MUTE]
    names = ["healthy", *names, MUTE]
    for version, name in enumerate(names, start=1):
        path = folder / "m" / str(version)
        path.parent.mkdir(exist_ok=True)
        hostile.write_healthy(path) if name == "healthy" else hostile.HOSTILE[name].write(path)
    golden = _golden(folder / "m" / "1")
    images = [
        Labelled(path.name, path.read_bytes(), path.relative_to(held_out).parts[0])
        for path in sorted(held_out.rglob("*.png"))
    ]
    reasons = {}
    pod = clone.make("m", 1, None, folder, clone.Place.of(Settings()))
    with pod, Client(pod.address) as client:
        for version, name in enumerate(names, start=1):
            clone.make(
                "m", version, None, folder, clone.Place.of(Settings())
            )  # rewrites the configuration that the pod polls
            _wait_for(version, client, images[0].image)
            record = Record(
                version=version,
                model="m",
                state="candidate",
                kind="train",
                created="now",
                labels=hostile.LABELS,
                image_size=hostile.IMAGE_SIZE,
                signature={"inputs": {"pixels": {}}, "outputs": {"probabilities": {}, "labels": {}}},
                golden=golden,
            )
            subject = Subject(client, pod, record, None, images, BUDGET)
            reasons[name] = run(subject, folder / "junit.xml", _suites(name, folder)).reasons
    return reasons


def _suites(name: str, folder: Path) -> Path:
    """The model tests that take long only where they have something to find."""
    if name == "healthy":
        return SUITES
    # One folder for all of a kind: pytest imports a file once and expects it in the same place again.
    chosen = folder / ("load" if name == SLOW else "quick")
    chosen.mkdir(exist_ok=True)
    for suite in SUITES.glob("test_*.py"):
        if (suite.name == "test_load.py") == (name == SLOW) and suite.name not in LONG:
            (chosen / suite.name).write_text(suite.read_text())
    return chosen


def _golden(folder: Path) -> list[Golden]:
    """What the healthy model answers to one phantom of every class."""
    import tensorflow as tf

    pixels, _ = hostile.phantoms(1, seed=9)
    answers = tf.saved_model.load(str(folder)).signatures["serving_default"](pixels=tf.constant(pixels))
    return [
        Golden(image=base64.b64encode(encode_png(image)).decode(), probabilities=np.asarray(answer).tolist())
        for image, answer in zip(pixels, answers["probabilities"], strict=True)
    ]


def _wait_for(version: int, client: Client, image: bytes) -> None:
    deadline = time.monotonic() + ROLLOVER_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.classify(image).version == version:
                return
        except ClientError:
            return  # only the last one does not answer at all
        time.sleep(0.2)
    raise SystemExit(f"version {version} was not served within {ROLLOVER_SECONDS} s")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
