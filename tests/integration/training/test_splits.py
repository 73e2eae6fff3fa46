import shutil

from dataset import Split, scan
from registry import Registry, SplitRule
from tests.integration.training.conftest import MODEL
from training.retrain import retrain


def test_retrained_model_is_never_judged_on_images_of_its_parent(trained, place, sample, tmp_path, monkeypatch):
    """The shares of the split change between the two: what the parent trained on stays trained on."""
    _, parent = trained
    shutil.copytree(place, tmp_path / "copy")
    monkeypatch.setenv("TRAINYARD_DATASET_TEST_SHARE", "0.4")
    retrain(dataset=str(sample), registry=str(tmp_path / "copy"), epochs=1, min_accuracy=0.0, min_recall=0.0)
    record = Registry.open(str(tmp_path / "copy"), MODEL).record(2)
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
