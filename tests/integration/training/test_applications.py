import functools

import keras
import numpy as np
import pytest

from cli import DataRefused, InfrastructureError, UsageError
from imaging import ImageInput
from registry import Registry
from tests.integration.training.conftest import MODEL
from training.commands.network import choose, pretrained
from training.family import Family
from training.networks.applications import names
from training.train import train

NAME = "MobileNetV3Small"


def build(classes: int) -> keras.Model:
    return Family.named("applications").build({"backbone": NAME, "landmarks": 16}, ImageInput(64), classes)


def begun(weights: str):
    import models

    family, (parameters,) = choose(models.find(), NAME, weights)
    return pretrained(family, parameters)


@pytest.fixture
def shallow(monkeypatch):
    """Of the backbone the first blocks, with each kind of layer that it has: a third of the time to trace it."""
    whole = keras.applications.MobileNetV3Small

    @functools.wraps(whole)
    def first_blocks(**given):
        made = whole(**given)
        features = keras.layers.GlobalAveragePooling2D()(made.get_layer("expanded_conv_3_project_bn").output)
        return keras.Model(made.input, features, name=made.name)

    monkeypatch.setattr(keras.applications, NAME, first_blocks)


def test_backbone_is_trained_and_exported_with_the_same_contract(sample, tmp_path, shallow):
    from inspection import problems

    train(
        dataset=str(sample),
        registry=str(tmp_path),
        epochs=1,
        min_accuracy=0,
        min_recall=0,
        backbone=NAME,
        weights="none",
    )
    registry = Registry.open(str(tmp_path), MODEL)
    record = registry.record(1)
    assert record.parameters["family"] == "applications"
    assert record.parameters["network"] == {"backbone": NAME, "weights": "none", "landmarks": 1024}
    assert record.parameters["schedule"]["learning_rate"] == 1e-3
    assert record.signature["inputs"]["pixels"] == {"dtype": "uint8", "shape": [None, 32, 32, 1]}
    assert not problems(registry.fetch(1, tmp_path / "fetched"), record.labels, 32)


def test_file_of_weights_is_what_a_backbone_begins_with(tmp_path):
    donor = build(5).get_layer("backbone")
    file = tmp_path / "notop.weights.h5"
    donor.save_weights(file)
    network = build(3)
    begun(str(file)).put_into(network)
    received = network.get_layer("backbone").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(donor.get_weights(), received, strict=True))
    head, machine = network.get_layer("head"), network.get_layer("kernel_machine")
    assert len(network.get_weights()) == len([*received, *head.get_weights(), *machine.get_weights()])


def test_weights_that_cannot_be_downloaded_say_how_to_hand_a_file_over(monkeypatch):
    def out_of_reach(*_, weights=None, **__):
        raise Exception("URL fetch failure on https://example.com: timed out")

    out_of_reach.__signature__ = __import__("inspect").signature(keras.applications.MobileNetV3Small)
    monkeypatch.setattr(keras.applications, NAME, out_of_reach)
    with pytest.raises(InfrastructureError, match=r"can't be downloaded \(URL fetch.*--weights FILE"):
        begun("imagenet")


def test_file_without_weights_is_refused(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"no weights")
    with pytest.raises(DataRefused, match=r"bad\.h5 holds no weights of MobileNetV3Small"):
        begun(str(tmp_path / "bad.h5"))


def test_file_of_weights_that_is_not_there_is_a_usage_error():
    with pytest.raises(UsageError, match=r"gone\.h5 is no file; give --weights"):
        begun("gone.h5")


def test_unknown_backbone_is_a_usage_error():
    import models

    with pytest.raises(UsageError, match=r"no backbone 'ResNet9'.*MobileNetV3Small"):
        choose(models.find(), "ResNet9", "none")


def test_weights_without_a_backbone_are_a_usage_error():
    import models

    with pytest.raises(UsageError, match="--weights belongs to a network of keras"):
        choose(models.find(), None, "imagenet")


def test_backbones_normalise_their_own_input():
    assert {"EfficientNetB0", "EfficientNetV2B0", "MobileNetV3Small"} <= set(names())
    assert not {"ResNet50", "VGG16"} & set(names())
