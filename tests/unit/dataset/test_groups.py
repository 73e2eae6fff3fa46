"""Images of one patient: told, and never on two sides."""

import re
import shutil
import unicodedata

import pytest

from cli import UsageError
from contracts.grouping import described
from contracts.record import SplitRule
from dataset import DataRefused, Limits, Split, check, scan
from dataset.folder import File
from dataset.groups import grouping, suspected
from tests.unit.dataset.conftest import png

PATTERN = r"pattern:^(p\d+)_"


@pytest.fixture
def patients(tmp_path):
    """Two classes of 12 patients of 4 views each, by name of the file."""
    for label, base in (("A", 0), ("B", 100)):
        for number in range(48):
            file = tmp_path / "data" / label / f"p{base + number // 4:03}_v{number % 4}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(base * 10 + number))
    return tmp_path / "data"


def sides(data, of=lambda path: path.name.split("_")[0]):
    found: dict[str, set[str]] = {}
    for image in data.images:
        found.setdefault(of(image.path), set()).add(image.split)
    return found


def split_by(root, rule, **how):
    return scan(root, 0.0, rules=(Split(groups=rule),), **how)


def test_views_of_a_patient_are_on_two_sides_without_groups_and_on_one_with_them(patients):
    assert any(len(several) > 1 for several in sides(scan(patients, 0.0)).values())
    data = split_by(patients, PATTERN)
    assert len(sides(data)) == 24
    assert all(len(several) == 1 for several in sides(data).values())


def test_sub_folders_and_a_table_tell_the_same_groups_as_names(patients, tmp_path):
    by_name = sides(split_by(patients, PATTERN))
    table = ["image,patient", *(f"{file.name},{file.name.split('_')[0]}" for file in sorted(patients.rglob("*.png")))]
    (patients / "patients.csv").write_text("\n".join(table))
    assert sides(split_by(patients, "csv:patients.csv:image:patient")) == by_name
    for file in sorted(patients.rglob("*.png")):
        folder = file.parent / file.name.split("_")[0]
        folder.mkdir(exist_ok=True)
        file.rename(folder / file.name)
    assert sides(split_by(patients, "folder")) == by_name


def test_patient_of_two_classes_is_one_group(patients):
    for number in range(4):
        (patients / "B" / f"p000_w{number}.png").write_bytes(png(9000 + number))
    assert all(len(several) == 1 for several in sides(split_by(patients, PATTERN)).values())


@pytest.mark.parametrize("rule", ["folder", r"pattern:^(J\u00fcrg)_"])
def test_patient_in_two_forms_of_unicode_is_one_group(patients, rule):
    """As a folder of a Mac and its copy on another machine have it."""
    for place, form in enumerate(("NFC", "NFD")):
        name = unicodedata.normalize(form, "J\u00fcrg")
        folder = patients / "AB"[place] / name
        folder.mkdir()
        for number in range(8):
            target = folder if rule == "folder" else folder.parent
            (target / f"{name}_{number}.png").write_bytes(png(9000 + 10 * place + number))
    data = split_by(patients, rule)
    assert len({image.group for image in data.images if "rg_" in image.path.name}) == 1


def test_patients_keep_their_side_when_images_and_patients_come(patients):
    before = sides(split_by(patients, PATTERN))
    for number in range(24):
        (patients / "A" / f"p{number:03}_new.png").write_bytes(png(7000 + number))
    after = sides(split_by(patients, PATTERN))
    assert len(after) == 36 and before.items() <= after.items()


def test_copy_of_one_patients_picture_under_another_keeps_both_on_one_side(patients):
    one, other = "p000_v0.png", "p005_v9.png"
    for target in range(1, 12):
        shutil.copy(patients / "A" / one, patients / "A" / other)
        found = sides(split_by(patients, PATTERN))
        assert found["p000"] == found["p005"]
        other = f"p{target:03}_v9.png"


def test_groups_are_numbers_that_tell_no_name(patients):
    data = split_by(patients, PATTERN)
    groups = data.groups("train")
    assert len(set(groups)) == len({image.path.name.split("_")[0] for image in data.part("train")})
    assert all(isinstance(group, int) for group in groups)
    assert scan(patients, 0.0).groups("train") is None


def test_record_and_check_say_how_groups_are_told(patients):
    data = split_by(patients, PATTERN)
    used = data.used("somewhere")
    assert used.groups == PATTERN
    assert used.splits == [SplitRule(test=0.2, validation=0.12, groups=PATTERN)]
    assert "p001" not in used.model_dump_json()
    assert described(PATTERN) == r"by file name (^(p\d+)_)"
    assert described("folder") == "by sub-folder of the class"
    assert described("csv:a/b.csv:image:patient") == "by column 'patient' of a/b.csv"


def test_names_that_look_like_views_of_patients_are_noted_unless_groups_are_set(patients):
    (finding,) = [one for one in check(patients, Limits()).findings if one.kind == "patients"]
    assert not finding.refused and "look like several images of one patient" in finding.message
    rule = re.search(r"set groups = '(.*)' under", finding.message)[1].replace("\\\\", "\\")
    assert all(len(several) == 1 for several in sides(split_by(patients, rule)).values())
    with_groups = check(patients, Limits(), rules=(Split(groups=PATTERN),))
    assert "patients" not in {one.kind for one in with_groups.findings}


@pytest.mark.parametrize(
    ("name", "several"),
    [
        ("p{0:02}_v{1}", True),
        ("{0:08}_{1:03}", True),
        ("person{0}_bacteria_{1}", True),
        ("patient{0}-lateral{1}", True),
        ("COVID-{2}", False),
        ("Normal ({2})", False),
        ("scan_{2:04}", False),
        ("{2:016x}", False),
        ("image{2}", False),
    ],
)
def test_names_of_patients_are_told_from_numbers(tmp_path, name, several):
    files = [
        File(tmp_path / label / f"{name.format(patient, view, patient * 3 + view)}.png", label)
        for label in ("COVID", "Normal")
        for patient in range(20)
        for view in range(3)
    ]
    assert bool(suspected(files)) is several


def test_numbers_after_the_class_are_no_views(tmp_path):
    files = [File(tmp_path / str(digit) / f"{digit}-{n}.png", str(digit)) for digit in range(10) for n in range(9)]
    assert suspected(files) == ""


def test_images_without_a_group_are_counted(patients):
    (patients / "A" / "odd.png").write_bytes(png(8888))
    found = {one.kind: one for one in check(patients, Limits(), rules=(Split(groups=PATTERN),)).findings}
    assert found["ungrouped"].message.startswith("1 images have no group (groups are set by file name")


@pytest.mark.parametrize(
    ("rule", "error", "said"),
    [
        ("folders", UsageError, 'write "folder", "pattern:REGEX" or "csv:FILE:IMAGE_COLUMN:GROUP_COLUMN"'),
        ("pattern:", UsageError, "groups under"),
        ("pattern:(", UsageError, "is no regular expression"),
        ("pattern:p[0-9]+", UsageError, "must have one group in round brackets.* It has 0"),
        ("csv:t.csv:image", UsageError, "groups under"),
        ("csv:gone.csv:image:patient", DataRefused, r"gone\.csv can't be read"),
        (
            "csv:t.csv:image:who",
            UsageError,
            "has no column 'who' for the groups under .* its columns are image, patient",
        ),
        ("csv:two.csv:image:patient", DataRefused, r"two\.csv names two groups for a\.png; keep the right row"),
    ],
)
def test_rule_that_can_not_be_used_says_why(tmp_path, rule, error, said):
    (tmp_path / "t.csv").write_text("image,patient\na.png,1\n")
    (tmp_path / "two.csv").write_text("image,patient\na.png,1\na.png,2\n")
    with pytest.raises(error, match=said):
        grouping(rule, tmp_path)
