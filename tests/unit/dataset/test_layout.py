"""Folders as people have them, and what each is told."""

import shutil
import unicodedata

import pytest

from dataset import DataRefused, Limits, check, find, scan
from dataset.folder import look
from tests.unit.dataset.conftest import png


def files(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(number))


def refusal(root, **how):
    with pytest.raises(DataRefused) as refused:
        look(root, **how)
    return str(refused.value)


def test_numbered_parts_with_a_table_are_no_classes(tmp_path):
    files(tmp_path, "images_001/a.png", "images_002/b.png", "images_003/images/c.png")
    (tmp_path / "Data_Entry_2017.csv").write_text("Image Index,Finding Labels\n")
    said = refusal(tmp_path)
    assert f"{tmp_path} holds parts (images_001, images_002, images_003), not classes" in said
    assert f"dataset -- import {tmp_path} --labels {tmp_path / 'Data_Entry_2017.csv'}" in said


def test_split_folders_of_images_are_no_classes(tmp_path):
    files(tmp_path, "train/a.png", "test/b.png", "val/c.png")
    (tmp_path / "labels.csv").write_text("image,label\n")
    said = refusal(tmp_path)
    assert "is split into test, train, val; the labels are in labels.csv" in said
    # Somebody's class is called so.
    assert [*find_all(tmp_path, ("train", "test", "val"))] == ["test", "train", "val"]
    files(tmp_path, "zebra/d.png")
    assert list(find(tmp_path)) == ["test", "train", "val", "zebra"]


def find_all(root, classes):
    return look(root, classes=classes).labels


def test_classes_named_by_digits_are_classes(tmp_path):
    files(tmp_path, "0/a.png", "1/b.png", "10/c.png")
    assert list(find(tmp_path)) == ["0", "1", "10"]


def test_split_folders_of_classes_are_joined_by_import(tmp_path):
    files(tmp_path, *(f"{s}/{c}/1.png" for s in ("train", "test", "val") for c in ("NORMAL", "PNEUMONIA")))
    assert f"is split into test, train, val; `./pants run src/python/dataset -- import {tmp_path}" in refusal(tmp_path)


@pytest.mark.parametrize("above", ["", "archive", "archive/again"])
def test_folder_too_high_names_the_deeper_one(tmp_path, above):
    inner = tmp_path / above / "COVID-19_Radiography_Dataset"
    files(inner, "COVID/images/1.png", "Normal/images/2.png", "Normal/masks/2.png")
    assert f"The classes (COVID, Normal) lie deeper: name {inner} instead of {tmp_path}." in refusal(tmp_path)


def test_folder_too_high_over_a_split_names_the_deeper_one_and_import(tmp_path):
    inner = tmp_path / "chest_xray"
    files(inner, *(f"{s}/{c}/1.png" for s in ("train", "test", "val") for c in ("NORMAL", "PNEUMONIA")))
    said = refusal(tmp_path)
    assert f"in {inner}, split" in said and f"import {inner}" in said


def test_images_without_class_folders_ask_for_the_labels(tmp_path):
    files(tmp_path, "a.png", "b.png")
    assert "holds images but no class folders; where a CSV tells the labels" in refusal(tmp_path)


def test_archive_is_named_as_one(tmp_path):
    (tmp_path / "archive.zip").write_bytes(b"PK")
    assert f"is an archive; `./pants run src/python/dataset -- import {tmp_path}" in refusal(tmp_path / "archive.zip")


def test_relative_path_is_shown_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refusal(tmp_path.relative_to(tmp_path) / "xrays")
    assert str(tmp_path / "xrays") in said and "relative paths begin where the program runs" in said


def test_all_suffixes_of_jpeg_are_read(root):
    for place, suffix in enumerate((".jpg", ".JPEG", ".jfif", ".jpe")):
        (root / "COVID" / f"x{place}{suffix}").write_bytes(png(500 + place))
    assert len(find(root)["COVID"]) == 44


def test_whatever_is_not_read_is_counted_and_said(root):
    for place in range(6):
        (root / "COVID" / f"{place}.webp").write_bytes(b"x")
    for name in ("a.TIF", "b.tif", "noext", "c.dcm"):
        (root / "COVID" / name).write_bytes(b"x")
    files(root, "Normal/masks/1.png", "Normal/masks/2.png", "_old/3.png", "Normal/images/._0.png")
    (root / "README.md").write_text("x")
    (finding,) = [one for one in check(root, Limits()).findings if one.kind == "left-out"]
    assert not finding.refused
    assert "files of other kinds in class folders (6 .webp, 2 .tif, 1 without a suffix, 1 .dcm)" in finding.message
    assert "2 images in sub-folders such as 'masks'" in finding.message
    assert "2 images with names, or in folders, that begin with a dot or an underscore" in finding.message
    assert "beside the class folders README.md" in finding.message
    assert "converts DICOM" in finding.message and "mogrify -format png '*.tif'" in finding.message


def test_class_folder_of_other_files_alone_says_which(tmp_path):
    files(tmp_path, "A/1.png", "B/1.tif", "B/2.tif")
    assert "B holds no .png, .jpg, .jpeg, .jfif, .jpe files" in (said := refusal(tmp_path))
    assert "(2 .tif)" in said and "mogrify" in said


def test_class_folder_of_sub_folders_alone_asks_for_groups(tmp_path):
    files(tmp_path, "A/patient1/1.png", "A/patient1/2.png", "B/patient2/1.png")
    assert "but 3 images in sub-folders. If each" in (said := refusal(tmp_path)) and 'groups = "folder"' in said
    assert len(look(tmp_path, by_folder=True).files) == 3


def test_name_in_another_form_of_unicode_is_the_same_class(root, tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Lungenentzündung") for form in ("NFC", "NFD"))
    assert composed != decomposed
    (root / "COVID").rename(root / decomposed)
    before = scan(root, 0.0)
    assert before.labels == [composed, "Normal"]
    # Beside one in the other form: one class, not two.
    (root / composed / "images").mkdir(parents=True)
    shutil.move(root / decomposed / "images" / "1.png", root / composed / "images" / "1.png")
    after = scan(root, 0.0)
    assert (after.labels, after.fingerprint) == (before.labels, before.fingerprint)


def test_class_of_an_older_version_in_another_form_has_neither_vanished_nor_come(root):
    from dataset import Previous

    (root / "COVID").rename(root / unicodedata.normalize("NFC", "Später"))
    data = check(root, Limits()).require()
    kept = {"Normal": 40, unicodedata.normalize("NFD", "Später"): 40}
    figures = {
        measure: {unicodedata.normalize("NFD", label): value for label, value in by_class.items()}
        for measure, by_class in data.statistics.items()
        if measure in ("brightness", "contrast", "bytes", "side")
    }
    checked = check(root, Limits(), Previous("version 1", kept, "", figures))
    assert [one.kind for one in checked.findings] == ["few"]


def test_dataset_may_be_named_and_ordered_as_an_older_version_was(root):
    """The forms sort differently: as NFC "Écho" comes last, as NFD it comes before "Zebra"."""
    for old, new in (("COVID", "Écho"), ("Normal", "Zebra")):
        (root / old).rename(root / unicodedata.normalize("NFD", new))
    data = scan(root, 0.0)
    older = sorted(unicodedata.normalize("NFD", label) for label in data.labels)
    assert older != data.labels != [unicodedata.normalize("NFC", label) for label in older]
    named = data.named_as(older)
    assert named.counts() == {label: 40 for label in older} and list(named.counts()) == older
    assert (named.arrays("test", 8)[0] == data.arrays("test", 8)[0]).all()
    assert (named.arrays("test", 8)[1] == 1 - data.arrays("test", 8)[1]).all()
    assert data.named_as(data.labels) is data
    with pytest.raises(ValueError, match=r"Expected the classes Zebra, Écho\. Received: Zebra"):
        data.named_as(["Zebra"])


def test_the_line_to_paste_quotes_a_folder_with_a_space(tmp_path):
    root = tmp_path / "meine Bilder"
    files(root, *(f"{s}/{c}/1.png" for s in ("train", "test") for c in "AB"))
    assert f"dataset -- import '{root}' --to DIR`" in refusal(root)
    (tmp_path / "my archive.zip").write_bytes(b"PK")
    assert f"import '{tmp_path / 'my archive.zip'}' --to" in refusal(tmp_path / "my archive.zip")
    files(tmp_path / "no classes", "a.png")
    (tmp_path / "no classes" / "labels.csv").write_text("image,label\n")
    said = refusal(tmp_path / "no classes")
    assert f"import '{tmp_path / 'no classes'}' --labels '{tmp_path / 'no classes' / 'labels.csv'}' --image" in said
