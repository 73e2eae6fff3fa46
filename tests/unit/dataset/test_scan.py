import hashlib
import os
import resource
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cli.errors import InfrastructureError
from dataset import DataRefused, model, scan
from dataset.read import _bytes
from dataset.split import SPLITS, Split
from imaging.array import encode_png
from tests.unit.dataset.conftest import png


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of 20 images: one in Kaggle's layout, one plain."""
    for number in range(20):
        for place, seed in (("Normal/images", number), ("Viral Pneumonia", 100 + number)):
            folder = tmp_path / "data" / place
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(png(seed))
    return tmp_path / "data"


def test_both_layouts_are_found_and_a_class_may_hold_a_space(root):
    data = scan(root, 0.0)
    assert data.labels == ["Normal", "Viral Pneumonia"]
    assert data.counts() == {"Normal": 20, "Viral Pneumonia": 20}
    assert {image.split for image in data.images} <= set(SPLITS)


def test_masks_spreadsheets_and_hidden_files_are_no_images(root):
    before = scan(root, 0.0).fingerprint
    (root / "Normal" / "masks").mkdir()
    (root / "Normal" / "masks" / "0.png").write_bytes(png(500))
    (root / ".git").mkdir()
    for name in ("Normal.metadata.xlsx", "README.md.txt", "Normal/images/Thumbs.db", "Normal/images/._0.png"):
        (root / name).write_bytes(b"x")
    assert scan(root, 0.0).fingerprint == before


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (None, "does not exist"),
        ([], "no class folders"),
        (["a.png"], "no class folders"),
        (["A/1.png", "B/readme.txt"], "B holds no .png"),
        (["A/1.png", "B/masks/1.png"], "B holds no .png"),
        (["A/1.png"], "just one class, 'A'"),
    ],
)
def test_folder_of_the_wrong_shape_is_refused(tmp_path, layout, message):
    folder = tmp_path / "data"
    if layout is not None:
        folder.mkdir()
        for number, name in enumerate(layout):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(png(number))
    with pytest.raises(DataRefused, match=message) as refused:
        scan(folder, 1.0)
    assert str(folder) in str(refused.value)


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(DataRefused, match="is a file"):
        scan(tmp_path / "data", 1.0)


def test_text_file_named_png_is_refused_by_name(root):
    (root / "Normal" / "images" / "notes.png").write_text("see other folder")
    with pytest.raises(DataRefused, match=r"1 of 41 .*notes\.png.*not an image.*max_unreadable"):
        scan(root, 0.01)


def test_unreadable_images_up_to_the_limit_are_left_out_and_listed(root):
    whole = scan(root, 0.0)
    broken = root / "Normal" / "images" / "cut.png"
    broken.write_bytes(png(7)[:-20])
    data = scan(root, 1 / 41)
    assert [entry.path for entry in data.unreadable] == [broken]
    assert data.statistics["unreadable"] == 1
    assert data.fingerprint == whole.fingerprint
    with pytest.raises(DataRefused, match="1 of 41"):
        scan(root, 1 / 41 - 0.001)


def test_class_without_a_readable_image_is_refused_whatever_the_limit(root):
    (root / "Empty").mkdir()
    (root / "Empty" / "1.jpg").write_text("x")
    with pytest.raises(DataRefused, match=r"Not one image of class folder .*Empty"):
        scan(root, 1.0)


def test_one_image_under_two_labels_is_refused_with_both_paths(root):
    shutil.copy(root / "Normal" / "images" / "3.png", root / "Viral Pneumonia" / "copy.png")
    with pytest.raises(DataRefused, match=r"'Normal' and 'Viral Pneumonia': .*3\.png and .*copy\.png"):
        scan(root, 0.0)


def test_copy_within_a_class_counts_once(root):
    before = scan(root, 0.0)
    shutil.copy(root / "Normal" / "images" / "3.png", root / "Normal" / "copy.png")
    after = scan(root, 0.0)
    assert after.fingerprint == before.fingerprint
    assert after.counts() == before.counts()
    assert after.statistics["duplicates"] == 1


def test_images_keep_their_side_when_the_dataset_grows(root):
    before = {image.sha256: image.split for image in scan(root, 0.0).images}
    for number in range(200, 230):
        (root / "Normal" / "images" / f"{number}.png").write_bytes(png(number))
    after = {image.sha256: image.split for image in scan(root, 0.0).images}
    assert len(after) == len(before) + 30
    assert all(after[digest] == split for digest, split in before.items())


def test_fingerprint_follows_content_and_label_not_names(root, tmp_path):
    before = scan(root, 0.0).fingerprint
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)
    (moved / "Normal" / "images" / "3.png").rename(moved / "Normal" / "renamed.png")
    assert scan(moved, 0.0).fingerprint == before
    (moved / "Normal" / "renamed.png").rename(moved / "Viral Pneumonia" / "renamed.png")
    assert scan(moved, 0.0).fingerprint != before


def test_splits_have_about_the_shares_wanted():
    splits = [Split().side(hashlib.sha256(str(number).encode()).hexdigest()) for number in range(20_000)]
    shares = [splits.count(split) / len(splits) for split in SPLITS]
    assert shares == pytest.approx([0.68, 0.12, 0.20], abs=0.01)


def test_progress_reaches_the_number_of_files(root):
    heard = []
    scan(root, 0.0, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(number, 40) for number in range(1, 41)]


def test_arrays_hold_each_image_of_a_split_with_its_label(root):
    data = scan(root, 0.0)
    pixels, labels = data.arrays("train", 12)
    assert pixels.shape == (len(data.part("train")), 12, 12, 1)
    for image, picture, label in zip(data.part("train"), pixels, labels, strict=True):
        assert encode_png(picture) == image.path.read_bytes()
        assert data.labels[label] == image.label


def test_pixels_past_the_limit_are_the_same_on_disk(root, tmp_path, monkeypatch):
    in_memory, labels = scan(root, 0.0).arrays("train", 12)
    monkeypatch.setattr(model, "MAX_BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "room"))
    (tmp_path / "room").mkdir()
    on_disk, labels_too = scan(root, 0.0).arrays("train", 12)
    assert isinstance(on_disk, np.memmap) and not isinstance(in_memory, np.memmap)
    assert np.array_equal(on_disk, in_memory) and np.array_equal(labels, labels_too)
    assert not list((tmp_path / "room").iterdir())  # the file goes with the process, however that ends


def test_pixels_that_have_no_room_on_disk_are_told(root, monkeypatch):
    monkeypatch.setattr(model, "MAX_BYTES_IN_MEMORY", 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(InfrastructureError, match=r"no room for .*TMPDIR"):
            scan(root, 0.0).arrays("train", 12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_image_that_changes_after_the_scan_is_refused(root):
    data = scan(root, 0.0)
    data.part("train")[0].path.write_bytes(png(999))
    with pytest.raises(DataRefused, match="changed while"):
        data.arrays("train", 12)


def test_dataset_too_small_for_every_split_is_refused(tmp_path):
    for label in ("A", "B"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(png(ord(label)))
    with pytest.raises(DataRefused, match="Class 'A' has 1 image and none"):
        scan(tmp_path, 0.0).require_every_split()


@pytest.mark.parametrize("told", [0, 5, 1_000_000])
def test_a_file_is_read_whole_whatever_size_is_told_of_it(tmp_path, monkeypatch, told):
    """A file that has just grown, or one of a file system that tells no sizes."""
    content = bytes(range(256)) * 40
    (tmp_path / "x.png").write_bytes(content)
    monkeypatch.setattr(os, "fstat", lambda _: SimpleNamespace(st_size=told))
    assert _bytes(tmp_path / "x.png", 20_000) == content
    assert _bytes(tmp_path / "x.png", 7_000) == content[:7_000]
