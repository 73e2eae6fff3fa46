import keras
import numpy as np

import inspection
from evaluation import scaled
from imaging import ImageInput
from training import export
from training.loop import Predictor
from training.networks.residual import Parameters, build
from training.run.weights import put_weights, read_weights

LABELS = ["COVID", "Normal", "Pneumonia"]


def test_temperature_is_inside_the_model_and_the_weights_stay_as_trained(tmp_path):
    keras.utils.set_random_seed(0)
    network = build(Parameters(width=4, stages=2), ImageInput(32), 3)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 1), np.uint8)
    export.export(network, LABELS, tmp_path / "model", "chest-xray", pixels, ImageInput(32), temperature=0.4)
    plain = Predictor(network)(pixels)
    served = export.answers(tmp_path / "model", pixels)
    assert not np.allclose(served, plain, atol=0.01)
    assert np.allclose(served, scaled(plain, 0.4), atol=1e-5)
    assert not inspection.problems(tmp_path / "model", LABELS, 32)
    # A retraining starts from these, and --reproduce compares them.
    again = build(Parameters(width=4, stages=2), ImageInput(32), 3)
    put_weights(again, read_weights(tmp_path / "model"))
    assert np.allclose(Predictor(again)(pixels), plain, atol=1e-6)
