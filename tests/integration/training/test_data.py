import shutil

import pytest

from cli import DataRefused
from contracts.record import SplitRule
from dataset import Split, scan
from registry import Registry
from tests.integration.training.conftest import MODEL
from training.train import train


def test_retrained_model_is_never_judged_on_images_of_its_parent(trained, retrained, sample):
    """The shares of the split change between the two: what the parent trained on stays trained on."""
    (_, parent), (record, _) = trained, retrained
    assert record.dataset.splits == [SplitRule(test=0.4, validation=0.12), SplitRule(test=0.2, validation=0.12)]

    images = [image.sha256 for image in scan(sample, 0.0).images]
    unseen_by_parent = [digest for digest in images if Split().side(digest) == "test"]
    own = [digest for digest in images if Split(test=0.4).side(digest) == "test"]
    assert record.metrics.test.images == len(set(own) & set(unseen_by_parent)) == parent.metrics.test.images
    # By the new shares alone it would have been judged on more, and so on its parent's.
    assert len(own) > len(unseen_by_parent)


def test_reports_of_the_datasets_check_are_kept_with_the_version(trained):
    registry, _ = trained
    assert b"accepted" in registry.read_report(1, "dataset.html")
    assert b'"passed": true' in registry.read_report(1, "dataset.json")


def test_what_breaks_the_datasets_shape_is_refused_before_a_version_is_begun(sample, tmp_path):
    shutil.copytree(sample, tmp_path / "data")
    one, other = tmp_path / "data" / "Normal" / "images" / "Normal-1.png", tmp_path / "data" / "COVID" / "images"
    shutil.copy(one, other / "copy.png")
    with pytest.raises(DataRefused, match="The same image is labelled 'COVID' and 'Normal'"):
        train(dataset=str(tmp_path / "data"), registry=str(tmp_path / "registry"))
    assert Registry.open(str(tmp_path / "registry"), MODEL).records() == []


def test_evaluation_is_kept_with_the_version(trained):
    registry, record = trained
    assert b"passed</span> the gate" in registry.read_report(1, "evaluation.html")
    assert record.evaluation.accuracy_interval and record.evaluation.roc_auc
    low, high = record.evaluation.accuracy_interval
    assert low <= record.metrics.test.accuracy <= high
    assert 0 <= (record.evaluation.calibration_error or 0) < 1
    assert record.evaluation.roc_auc > 0.5
