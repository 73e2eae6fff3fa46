import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import UsageError
from dataset import Limits, Previous, check, previous, report
from imaging.array import encode_png
from tests.unit.dataset.conftest import png

LIMITS = Limits(max_unreadable=0.05)


def as_previous(checked, **changes):
    data = checked.dataset
    return replace(Previous("version 1", data.counts(), data.fingerprint, data.statistics), **changes)


def found_in(checked):
    """All but the note that so small a dataset has few images on some side."""
    return [finding for finding in checked.findings if finding.kind != "few"]


def kinds(checked):
    return [finding.kind for finding in found_in(checked)]


def brighter(folder: Path, levels: int) -> None:
    for file in folder.rglob("*.png"):
        pixels = np.asarray(Image.open(file)).astype(int)
        file.write_bytes(encode_png(np.clip(pixels + levels, 0, 255).astype(np.uint8)))


def test_sound_dataset_has_no_findings_against_itself(root):
    first = check(root, LIMITS)
    assert kinds(first) == []
    assert kinds(check(root, LIMITS, as_previous(first))) == []


def test_wrong_layout_is_a_refusal_not_an_exception(tmp_path):
    checked = check(tmp_path / "nowhere", LIMITS)
    assert kinds(checked) == ["layout"]
    with pytest.raises(Exception, match="does not exist"):
        checked.require()
    assert b"does not exist" in report.render(checked)


def test_unreadable_files_are_named_whether_refused_or_left_out(root):
    cut = root / "Normal" / "images" / "cut.png"
    cut.write_bytes(png(7)[:-20])
    for limit, refused in ((0.05, False), (0.0, True)):
        (finding,) = found_in(check(root, replace(LIMITS, max_unreadable=limit)))
        assert (finding.kind, finding.refused) == ("unreadable", refused)
        assert [(one.path, one.label) for one in finding.offenders] == [(cut, "Normal")]


def test_picture_in_two_classes_is_refused_even_when_it_was_saved_anew(root):
    original = root / "Normal" / "images" / "3.png"
    Image.open(original).save(root / "COVID" / "images" / "other.png", compress_level=0)
    (finding,) = found_in(check(root, LIMITS))
    assert (finding.kind, finding.refused) == ("conflict", True)
    assert {one.path.name for one in finding.offenders} == {"3.png", "other.png"}


def test_below_the_limit_all_copies_of_such_a_picture_are_left_out(root):
    shutil.copy(root / "Normal" / "images" / "3.png", root / "COVID" / "images" / "copy.png")
    checked = check(root, replace(LIMITS, max_conflicts=0.05))
    assert not checked.refused
    assert checked.require().counts() == {"COVID": 40, "Normal": 39}


def test_class_that_the_version_before_had_may_not_vanish(root):
    before = as_previous(check(root, LIMITS), classes={"COVID": 40, "Normal": 40, "Pneumonia": 9})
    (finding, *_) = found_in(check(root, LIMITS, before))
    assert (finding.kind, finding.refused) == ("vanished-class", True)
    assert "'Pneumonia', which version 1 has" in finding.message
    # Wanted so: the settings say which classes there are.
    assert not check(root, replace(LIMITS, classes=("COVID", "Normal")), before).refused


def test_new_class_is_told_and_refused_only_where_the_settings_name_the_classes(root):
    before = as_previous(check(root, LIMITS), classes={"COVID": 40})
    assert [(f.kind, f.refused) for f in found_in(check(root, LIMITS, before)) if "class" in f.kind] == [
        ("new-class", False)
    ]
    named = check(root, replace(LIMITS, classes=("COVID", "Viral Pneumonia")))
    assert {(f.kind, f.refused) for f in found_in(named)} == {("vanished-class", True), ("new-class", True)}


def test_names_of_classes_that_differ_in_capitals_spaces_or_dashes_alone_are_told(root):
    assert kinds(check(root, LIMITS)) == []
    (root / "Normal").rename(root / "covid ")
    finding, padded = found_in(check(root, LIMITS))
    assert (finding.kind, finding.refused) == ("alike-classes", False)
    assert finding.message.startswith("'COVID' and 'covid ' count as 2 classes")
    assert (padded.kind, padded.refused) == ("padded-class", False)
    assert padded.message == "The name of class 'covid ' begins or ends with a space; rename its folder to 'covid'."


def test_class_too_small_for_every_split_is_refused(root):
    for number in range(1, 40):
        (root / "COVID" / "images" / f"{number}.png").unlink()
    checked = check(root, replace(LIMITS, max_imbalance=100))
    assert [(f.kind, f.refused) for f in found_in(checked)] == [("small-class", True)]


def test_copies_are_reported_with_what_they_copy(root):
    shutil.copy(root / "Normal" / "images" / "3.png", root / "Normal" / "copy.png")
    (finding,) = found_in(check(root, LIMITS))
    assert (finding.kind, finding.refused) == ("duplicate", False)
    assert "1 of 81 files" in finding.message


def test_imbalance_is_reported_past_its_limit(root):
    assert kinds(check(root, replace(LIMITS, max_imbalance=1.0))) == []
    for number in range(3):
        (root / "COVID" / "images" / f"{number}.png").unlink()
    assert kinds(check(root, replace(LIMITS, max_imbalance=1.0))) == ["imbalance"]
    assert kinds(check(root, replace(LIMITS, max_imbalance=1.1))) == []


def test_moved_brightness_is_reported_for_the_class_that_moved(root):
    before = as_previous(check(root, LIMITS))
    brighter(root / "COVID", 60)
    checked = check(root, LIMITS, before)
    assert not checked.refused
    moved = [finding.message for finding in checked.findings if finding.kind == "brightness"]
    assert len(moved) == 1
    assert "'COVID'" in moved[0]


def test_moved_mix_is_reported(root):
    before = as_previous(check(root, LIMITS), classes={"COVID": 10, "Normal": 70})
    moved = [finding.message for finding in check(root, LIMITS, before).findings if finding.kind == "mix"]
    assert moved == [
        "'COVID' is 50% of the images; in version 1 it was 12%.",
        "'Normal' is 50% of the images; in version 1 it was 88%.",
    ]


def test_format_that_tells_the_class_is_reported(root):
    for file in (root / "COVID" / "images").iterdir():
        Image.open(file).save(file.with_suffix(".jpg"), quality=95)
        file.unlink()
    (finding,) = [finding for finding in check(root, LIMITS).findings if finding.kind == "shortcut"]
    assert "100% of the images (guessing: 50%)" in finding.message


def test_sizes_that_are_all_different_tell_no_class(root):
    for number, file in enumerate(sorted(root.rglob("*.png"))):
        Image.open(file).resize((20 + number, 20)).save(file)
    assert "shortcut" not in kinds(check(root, LIMITS))


def test_empty_and_unusual_pictures_are_shown(root):
    (root / "Normal" / "black.png").write_bytes(encode_png(np.zeros((30, 30), np.uint8)))
    bright = np.random.default_rng(0).integers(225, 256, (30, 30)).astype(np.uint8)
    (root / "COVID" / "white.png").write_bytes(encode_png(bright))
    found = {finding.kind: [one.path.name for one in finding.offenders] for finding in found_in(check(root, LIMITS))}
    assert found == {"blank": ["black.png"], "outlier": ["white.png"]}


def test_page_shows_offenders_and_trusts_no_name(root):
    strange = root / "<b>bold"
    (root / "Normal").rename(strange)
    shutil.copy(strange / "images" / "3.png", strange / "copy <script>.png")
    (strange / "cut.png").write_bytes(png(7)[:-20])
    page = report.render(check(root, LIMITS)).decode()
    assert page.count('<img src="data:image/png;base64,') == 1
    assert "no picture" in page
    assert "<b>bold" not in page
    assert "<script" not in page


def test_json_of_one_check_is_what_the_next_is_held_against(root, tmp_path):
    file = tmp_path / "check.json"
    file.write_text(json.dumps(report.as_json(check(root, LIMITS))))
    before = previous.of_file(file)
    assert (before.name, dict(before.classes)) == ("check.json", {"COVID": 40, "Normal": 40})
    brighter(root, 60)
    assert kinds(check(root, LIMITS, before)).count("brightness") == 2


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"dataset": {"classes": 3}}', "\0"])
def test_other_files_are_refused_as_earlier_dataset(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UsageError, match=r"x\.json does not describe a dataset"):
        previous.of_file(tmp_path / "x.json")
