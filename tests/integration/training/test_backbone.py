from dataclasses import replace

import numpy as np
import pytest

from cli import InfrastructureError, UsageError
from registry import Registry
from tests.integration.training.conftest import MODEL
from tests.integration.training.small import SMALL
from training.backbone import Backbone, NoWeights, names
from training.model import build
from training.train import train, with_backbone

NAME = "MobileNetV3Small"


@pytest.fixture
def short(monkeypatch):
    from training import parameters

    monkeypatch.setattr(parameters, "TRIALS", (SMALL,))


def test_backbone_is_trained_and_exported_with_the_same_contract(short, sample, tmp_path):
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
    assert record.parameters["network"]["backbone"] == NAME
    assert record.signature["inputs"]["pixels"] == {"dtype": "uint8", "shape": [None, 64, 64, 1]}
    assert not problems(registry.fetch(1, tmp_path / "fetched"), record.labels, 64)


def test_file_of_weights_is_what_a_backbone_begins_with(tmp_path):
    donor = build(replace(SMALL.network, backbone=NAME), 5).get_layer("backbone")
    file = tmp_path / "notop.weights.h5"
    donor.save_weights(file)
    network = build(replace(SMALL.network, backbone=NAME), 3)
    Backbone.load(NAME, str(file), 64).put_into(network)
    received = network.get_layer("backbone").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(donor.get_weights(), received, strict=True))
    head, machine = network.get_layer("head"), network.get_layer("kernel_machine")
    assert len(network.get_weights()) == len([*received, *head.get_weights(), *machine.get_weights()])


def test_weights_that_cannot_be_downloaded_say_how_to_hand_a_file_over(monkeypatch):
    import keras

    def out_of_reach(*_, weights=None, **__):
        raise Exception("URL fetch failure on https://example.com: timed out")

    out_of_reach.__signature__ = __import__("inspect").signature(keras.applications.MobileNetV3Small)
    monkeypatch.setattr(keras.applications, NAME, out_of_reach)
    with pytest.raises(InfrastructureError, match=r"can't be downloaded \(URL fetch.*--weights FILE"):
        with_backbone(NAME, "imagenet", SMALL)


def test_file_without_weights_is_refused(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"no weights")
    with pytest.raises(NoWeights):
        Backbone.load(NAME, str(tmp_path / "bad.h5"), 64)


def test_unknown_backbone_is_a_usage_error():
    with pytest.raises(UsageError, match=r"no backbone 'ResNet9'.*MobileNetV3Small"):
        with_backbone("ResNet9", "none", SMALL)


def test_backbones_normalise_their_own_input():
    assert {"EfficientNetB0", "EfficientNetV2B0", "MobileNetV3Small"} <= set(names())
    assert not {"ResNet50", "VGG16"} & set(names())
