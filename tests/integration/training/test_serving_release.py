"""What training's TensorFlow exports is loaded, and answered alike, by the TensorFlow of the image that serves it.

`scripts/serving-tensorflow` fetches that release from PyPI (250 MB) and names its interpreter; without it nothing is
tried here. CI has it.
"""

import os
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from imaging import ImageInput
from training import export
from training.networks import applications, residual

IMAGES = Path(__file__).parents[3] / "infra" / "k8s" / "images" / "kustomization.yaml"
LABELS = ["COVID", "Normal", "Pneumonia"]
# As the server does: a session of the graph, its restore and its initialisation, asked by the names of its tensors.
ASK = """
import sys, numpy as np, tensorflow as tf
release, labels, *folders = sys.argv[1:]
assert tf.__version__ == release, f"{tf.__version__}, not {release}"
for folder in folders:
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], folder + "/model")
        asked = graph.signature_def["serving_default"]
        given = {asked.inputs["pixels"].name: np.load(folder + "/pixels.npy")}
        answers = session.run({name: tensor.name for name, tensor in asked.outputs.items()}, given)
    assert b" ".join(answers["labels"][0]).decode() == labels, answers["labels"]
    np.save(folder + "/answers.npy", answers["probabilities"])
"""


def release() -> str:
    """Of TensorFlow Serving's image; its TensorFlow has the same number."""
    images = yaml.safe_load(IMAGES.read_text())["images"]
    (tag,) = [image["newTag"] for image in images if image["name"] == "tensorflow/serving"]
    return str(tag)


def test_release_that_serves_answers_as_the_one_that_trains(tmp_path: Path) -> None:
    python = os.environ.get("SERVING_TENSORFLOW")
    if not python:
        pytest.skip("SERVING_TENSORFLOW is not set: scripts/serving-tensorflow prints it")
    keras.utils.set_random_seed(0)
    image = ImageInput(32)
    pixels = np.random.default_rng(0).integers(0, 256, (5, *image.shape), np.uint8)
    families = {"residual": residual, "applications": applications}
    for name, family in families.items():
        network = family.build(family.Parameters(), image, len(LABELS))
        export.export(network, LABELS, tmp_path / name / "model", "m", pixels, image, temperature=0.4)
        np.save(tmp_path / name / "pixels.npy", pixels)
    command = [python, "-c", ASK, release(), " ".join(LABELS), *(str(tmp_path / name) for name in families)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PEX"))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in families:
        answers = np.load(tmp_path / name / "answers.npy")
        assert np.allclose(answers, export.answers(tmp_path / name / "model", pixels), atol=1e-5), name
