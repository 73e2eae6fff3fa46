"""Which images a version is judged on."""

import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from contracts.record import DatasetUsed, SplitRule
from dataset import Split, scan
from dataset.sides import NAME
from registry import Registry
from testing import held_out
from tests.unit.dataset.conftest import picture, save

LABELS = ["A", "B"]


@pytest.fixture
def root(tmp_path):
    for label in LABELS:
        for number in range(40):
            save(picture(number + 1000 * (label == "B")), tmp_path / "data" / label / f"p{number // 2}_{number}.png")
    return tmp_path / "data"


@pytest.fixture
def registry(tmp_path):
    return Registry.open(str(tmp_path / "registry"), "chest-xray")


def version(registry, data):
    """A version that was made from `data`, with its list of sides."""
    record = registry.create(
        "train", labels=data.labels, image_size=64, dataset=data.used("xrays"), parameters={}, seed=0
    )
    registry.save_report(record.version, NAME, data.sides.as_bytes())
    return registry.record(record.version)


def asked(data, record):
    return {item.name for item in held_out.chosen(data, "xrays", record)}


def test_near_copy_of_what_a_version_trained_on_does_not_judge_it(root, registry):
    record = version(registry, scan(root, 0.0))
    for number in range(40):
        copy = Image.open(root / "A" / f"p{number // 2}_{number}.png").resize((150, 150))
        save(copy, root / "A" / f"copy{number}.jpg", quality=80)
    known = scan(root, 0.0, known=_sides(registry)).images
    was = {image.path.stem: image.split for image in known if image.label == "A"}
    data = held_out.opened(registry, str(root), 0.0, record, None)
    for name in asked(data, record):
        if name.startswith("copy"):
            number = int(name.removeprefix("copy").removesuffix(".jpg"))
            assert was[f"p{number // 2}_{number}"] == "test"


def _sides(registry):
    from dataset import previous

    return previous.sides_of(registry, registry.record(1))


def test_images_are_grouped_as_the_version_says_whatever_the_settings_say(root, registry):
    rule = r"pattern:^(p\d+)_"
    record = version(registry, scan(root, 0.0, rules=(Split(groups=rule),)))
    data = held_out.opened(registry, str(root), 0.0, record, None)
    assert data.grouping == rule
    items = held_out.chosen(data, "xrays", record)
    assert len({item.group for item in items}) == len({item.name.split("_")[0] for item in items}) < len(items)
    plain = held_out.chosen(scan(root, 0.0), "xrays", record)
    assert {item.group for item in plain} == {None}


def test_what_one_of_two_versions_saw_judges_neither(root, registry):
    one = version(registry, scan(root, 0.0))
    other = version(registry, scan(root, 0.0, rules=(Split(test=0.1),)))
    old = registry.create("train", labels=LABELS, image_size=64, dataset=_old(0.05), parameters={}, seed=0)
    sizes = [len(asked(held_out.opened(registry, str(root), 0.0, one, two), one)) for two in (None, other, old)]
    assert sizes[0] > sizes[1] > 0
    # One without a list: by its rule alone.
    unseen = {image.path.name for image in scan(root, 0.0, rules=(Split(), Split(test=0.05))).part("test")}
    assert sizes[2] <= len(unseen)


def _old(test):
    return DatasetUsed(
        uri="x", fingerprint="f", images=80, classes={"A": 40, "B": 40}, splits=[SplitRule(test=test, validation=0.12)]
    )


def test_class_in_another_form_of_unicode_is_the_versions_own(root):
    (root / "A").rename(root / unicodedata.normalize("NFC", "Ärzte"))
    theirs = unicodedata.normalize("NFD", "Ärzte")
    items = held_out.chosen(scan(root, 0.0), "xrays", SimpleNamespace(version=1, labels=["B", theirs]))
    assert {item.label for item in items} == {"B", theirs}
    assert np.all([item.image for item in items])
