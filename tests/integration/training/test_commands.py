import base64
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cli import DataRefused, GateNotPassed, UsageError
from cli.version import VERSION
from dataset import scan
from imaging.array import canonical
from registry import Registry, ServingState
from tests.integration.training.conftest import EPOCHS, MODEL
from tests.integration.training.yards import SMALL, write_model
from tests.warm import Program
from training.retrain import retrain
from training.run.choice import choose_parent
from training.run.parent import choices_of, rebuild


def environment() -> dict[str, str]:
    """In which an interpreter imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_passed_gate_publishes_a_whole_candidate(trained, sample):
    registry, record = trained
    assert (record.version, record.state, record.kind, record.parent) == (1, "candidate", "train", None)
    assert not registry.verify(1)
    assert record.dataset.fingerprint == scan(sample, 0.0).fingerprint
    assert record.metrics.test.accuracy >= 0.7
    assert record.metrics.test.images == np.sum(record.metrics.test.confusion)
    assert [step.name for step in record.steps] == ["scan", "train", "evaluate", "export", "publish"]
    assert record.verdicts[-1].passed
    assert record.reason == "a test"
    assert record.code.components["tensorflow"]
    assert record.code.components["trainyard"] == VERSION


def test_saved_model_has_the_signature_and_gives_the_golden_answers(trained, tmp_path):
    import tensorflow as tf

    registry, record = trained
    served = tf.saved_model.load(str(registry.fetch(1, tmp_path))).signatures["serving_default"]
    size = record.image_size
    spec = served.structured_input_signature[1]["pixels"]
    assert (spec.dtype, spec.shape.as_list()) == (tf.uint8, [None, size, size, 1])
    pixels = np.stack([canonical(base64.b64decode(golden.image), size) for golden in record.golden])
    answer = served(pixels=tf.constant(pixels))
    assert answer["probabilities"].dtype == tf.float32
    assert [[name.decode() for name in row] for row in answer["labels"].numpy()] == [record.labels] * len(pixels)
    assert np.allclose(answer["probabilities"], [golden.probabilities for golden in record.golden], atol=1e-5)
    assert np.allclose(np.sum(answer["probabilities"], axis=1), 1, atol=1e-5)
    assert {int(row.argmax()) for row in answer["probabilities"].numpy()} == {0, 1, 2}


def test_warmup_requests_fit_the_signature(trained, tmp_path):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    registry, record = trained
    path = registry.fetch(1, tmp_path) / "assets.extra" / "tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(data.numpy()) for data in tf.data.TFRecordDataset(str(path))]
    assert logs
    for log in logs:
        request = log.predict_log.request
        pixels = tf.make_ndarray(request.inputs["pixels"])
        assert pixels.shape[1:] == (record.image_size, record.image_size, 1)
        assert request.model_spec.name == MODEL


def test_missed_gate_saves_nothing_but_the_record(sample, tmp_path):
    arguments = [
        "--dataset",
        str(sample),
        "--registry",
        str(tmp_path),
        *("--epochs", "1"),
        *("--max-trials", "1"),
        *("--min-accuracy", "1"),
        *("--model", "weak"),
        "--json",
    ]
    done = Program("training.train", *arguments).ended(240)
    assert done.returncode == 3, done.stderr
    assert "is below 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Nothing is in production to compare with, so the gate alone decides" in done.stderr
    assert "WARNING" not in done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert record["state"] == "rejected"
    assert record["metrics"]["test"]["images"] > 0
    assert record == Registry.open(str(tmp_path), "weak").record(1).model_dump(mode="json")
    assert not list(tmp_path.rglob("saved_model.pb"))


def test_every_trial_is_in_the_record(trained):
    _, record = trained
    (trial,) = record.trials
    assert trial.chosen and trial.parameters == record.parameters
    assert trial.validation == record.metrics.validation
    assert trial.planned == [EPOCHS] * len(trial.history) + [len(trial.history)]
    assert trial.ended in ("epochs", "faultless")


def test_run_leaves_only_its_logs_behind(trained, place):
    assert [path.name for path in (place / MODEL / "runs" / "1").iterdir()] == ["logs"]
    assert list((place / MODEL / "runs" / "1" / "logs" / "trial-1").glob("events.out.tfevents.*"))


def test_rebuilt_parent_answers_like_its_saved_model(trained, sample):
    from training.loop import Predictor

    registry, record = trained
    network = rebuild(registry, record, *choices_of(record, None))
    pixels = np.stack([canonical(base64.b64decode(golden.image), record.image_size) for golden in record.golden])
    assert np.allclose(Predictor(network)(pixels), [golden.probabilities for golden in record.golden], atol=1e-5)


def test_retraining_starts_from_its_parent_and_is_held_against_it(trained, retrained):
    (_, parent), (record, said) = trained, retrained
    assert "WARNING: Nothing is in production" in said
    assert (record.kind, record.parent, record.state) == ("retrain", 1, "candidate")
    # The same held-out images: the baseline is what the parent reached by itself.
    assert record.metrics.baseline == parent.metrics.test
    assert record.parameters["network"] == parent.parameters["network"]
    assert (
        record.files["variables/variables.data-00000-of-00001"]
        != parent.files["variables/variables.data-00000-of-00001"]
    )


def test_parent_that_passes_and_is_better_stays(trained, copied, sample, tmp_path, monkeypatch):
    from training.networks.kernel_machine import KernelMachine

    fit_to = KernelMachine.fit_to

    def wrongly(machine, network, material, go_on):
        fit_to(machine, network, replace(material, labels=(material.labels + 1) % 3), go_on)

    # One epoch of much too large steps, and wrong labels: worse than what it began with, whatever the seed.
    monkeypatch.setattr(KernelMachine, "fit_to", wrongly)
    write_model(tmp_path, "chest_xray", SMALL + "learning_rate = 1.0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GateNotPassed, match=r"its parent stays.*accuracy.*behind.*Version 1 stays in place"):
        retrain(dataset=str(sample), registry=str(copied), epochs=1, min_accuracy=0.5, min_recall=0.0)
    record = Registry.open(str(copied), MODEL).record(2)
    assert record.state == "rejected"
    assert record.metrics.baseline.accuracy > record.metrics.test.accuracy


def test_train_beside_production_says_what_compares_with_it(sample, tmp_path, capsys):
    from training.train import train

    registry = Registry.open(str(tmp_path), "weak")
    registry.create("train")
    registry.write_serving(ServingState((1,), {"stable": 1}))
    train(dataset=str(sample), registry=str(tmp_path), model="weak", epochs=1, min_accuracy=0, min_recall=0)
    said = capsys.readouterr().err
    assert "The tests compare it with version 1, which is in production" in said
    assert "Nothing is in production" not in said


def test_version_trained_again_is_the_same_bit_for_bit(trained, place, sample, capsys):
    from training.train import train

    train(dataset=str(sample), registry=str(place), reproduce=1, as_json=True)
    said = capsys.readouterr()
    found = json.loads(said.out.splitlines()[-1])
    assert (found["same"], found["differing"], found["largest_difference"]) == (True, 0, 0.0)
    assert found["weights"] > 20
    assert "bit for bit" in said.err


def test_version_that_comes_out_otherwise_is_said(trained, copied, sample):
    from training.train import train

    # As if another seed had made it; and a shorter run will do to see that.
    registry = Registry.open(str(copied), MODEL)
    trial = registry.record(1).trials[0]
    registry.update(1, seed=1, trials=[trial.model_copy(update={"planned": [2, 2, 2]})])
    with pytest.raises(GateNotPassed, match=r"Version 1 trained again gives other weights: \d+ of \d+ arrays differ"):
        train(dataset=str(sample), registry=str(copied), reproduce=1)
    assert len(registry.records()) == 1


def test_version_is_not_repeated_on_other_images(trained, place, sample, tmp_path):
    from training.train import train

    shutil.copytree(sample, tmp_path / "data")
    next((tmp_path / "data" / "COVID" / "images").iterdir()).unlink()
    with pytest.raises(DataRefused, match="not the images that version 1 was trained on"):
        train(dataset=str(tmp_path / "data"), registry=str(place), reproduce=1)


def test_retraining_for_other_classes_is_refused(trained, place, sample, tmp_path):
    shutil.copytree(sample, tmp_path / "data")
    (tmp_path / "data" / "COVID").rename(tmp_path / "data" / "Tuberculosis")
    registry, _ = trained
    with pytest.raises(DataRefused, match=r"'COVID', which version 1 has.*run train"):
        retrain(dataset=str(tmp_path / "data"), registry=str(place))
    assert len(registry.records()) == 1


def test_retraining_without_a_parent_is_refused(tmp_path):
    with pytest.raises(UsageError, match="run train first"):
        choose_parent(Registry.open(str(tmp_path), MODEL))


def test_model_code_imports_nothing_around_it():
    # Or the build graph would train for every change of the registry or a command.
    # What TensorFlow would import for wrappers alone takes as long as the rest.
    source = (
        "import sys; sys.modules.update(sklearn=None, matplotlib=None); import training.parameters; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=True, env=environment()
    )
    loaded = set(done.stdout.split())
    assert "tensorflow" in loaded
    around = {"registry", "notify", "settings", "cli", "models", "dataset", "evaluation", "typer", "pydantic"}
    assert not loaded & around


def test_help_needs_no_tensorflow():
    source = (
        "import sys, training.train, training.retrain; print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True, env=environment()
    )
    assert done.stdout.strip() == "False"
