import pytest

from cli import UsageError
from dataset import DataRefused, find
from tests.unit.dataset.conftest import png
from tests.unit.dataset.importing.conftest import names, reasons

COLUMNS = {"image_column": "Image Index", "label_column": "Finding Labels"}


@pytest.fixture
def nih(tmp_path):
    """As NIH's collection lies: numbered parts, and the labels in a table."""
    for number in range(1, 9):
        file = tmp_path / "src" / f"images_{number % 2 + 1:03}" / "images" / f"{number:08}_000.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(number))
    return tmp_path / "src"


def table(nih, *rows, header="Image Index,Finding Labels,Patient ID"):
    (nih / "Data_Entry.csv").write_text("\ufeff" + "\n".join([header, *rows]) + "\n", "utf-8")
    return nih / "Data_Entry.csv"


def row(number, label, patient=None):
    return f"{number:08}_000.png,{label},{patient or number}"


def test_labels_of_a_table_make_classes(nih, tmp_path, imported):
    labels = table(nih, *(row(n, "No Finding" if n % 2 else "Mass") for n in range(1, 9)))
    account = imported(nih, labels=labels, **COLUMNS)
    assert dict(account.taken) == {"No Finding": 4, "Mass": 4}
    assert list(find(tmp_path / "target")) == ["Mass", "No Finding"]
    assert "target/Mass/00000002_000.png" in names(tmp_path)


def test_group_column_keeps_a_patients_images_in_one_folder_without_a_name(nih, tmp_path, imported):
    labels = table(nih, *(row(n, "A" if n < 5 else "B", f"patient-{n % 3}") for n in range(1, 9)))
    account = imported(nih, labels=labels, group_column="Patient ID", **COLUMNS)
    assert len(account.groups) == 3 and account.images == 8
    for name in names(tmp_path / "target"):
        assert "patient" not in name and "_000" not in name
    assert len({path.parent.name for path in (tmp_path / "target").rglob("*.png")}) == 3


def test_images_of_several_labels_are_left_out_up_to_the_limit(nih, imported):
    labels = table(nih, *(row(n, "A" if n < 5 else "B") for n in range(1, 8)), row(8, "A|B"), row(1, "B"))
    with pytest.raises(DataRefused) as refused:
        imported(nih, labels=labels, **COLUMNS)
    assert "2 of 8 images of" in str(refused.value) and "have several labels" in str(refused.value)
    assert "00000001_000.png: A, B" in str(refused.value) and "--max-conflicts" in str(refused.value)
    with pytest.raises(DataRefused):
        imported(nih, labels=labels, max_conflicts=0.24, **COLUMNS)
    account = imported(nih, labels=labels, max_conflicts=0.25, **COLUMNS)
    assert account.images == 6
    assert reasons(account)["several labels"] == 2


def test_missing_files_further_rows_and_unnamed_images_are_counted(nih, imported):
    rows = [row(n, "A" if n < 4 else "B") for n in range(1, 7)]
    labels = table(nih, *rows, rows[0], row(99, "A"), ",A,3", row(7, ""))
    account = imported(nih, labels=labels, **COLUMNS)
    found = reasons(account)
    assert account.images == 6
    assert found["a further row of the same image in Data_Entry.csv"] == 1
    assert found[f"named in Data_Entry.csv and not found below {nih}"] == 1
    assert found["a row of Data_Entry.csv without an image"] == 1
    assert found["no label"] == 1
    assert found["not named in Data_Entry.csv"] == 1


def test_table_that_names_no_image_is_refused(nih, imported):
    labels = table(nih, "a.png,A,1", "b.png,B,2")
    with pytest.raises(
        DataRefused, match=r"No row of .*Data_Entry\.csv names an image below .* in column 'Image Index'"
    ):
        imported(nih, labels=labels, **COLUMNS)


def test_unknown_column_names_those_there_are(nih, imported):
    labels = table(nih, row(1, "A"))
    with pytest.raises(UsageError, match="no column 'Label' for --label-column; its columns are Image Index, Finding"):
        imported(nih, labels=labels, image_column="Image Index", label_column="Label")
    with pytest.raises(UsageError, match="no column 'Who' for --group-column"):
        imported(nih, labels=labels, group_column="Who", **COLUMNS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\0\0", "is not UTF-8"),
        (b'a,b\n"x', "is no CSV"),
        (b"a,a\nx,y\n", "has two columns of one name"),
    ],
)
def test_file_that_is_no_table_says_what_is_wrong(nih, imported, content, said):
    (nih / "t.csv").write_bytes(content)
    with pytest.raises(DataRefused, match=said):
        imported(nih, labels=nih / "t.csv", **COLUMNS)


def test_empty_lines_before_the_names_of_columns_are_passed_over(nih, imported):
    (nih / "t.csv").write_text("\n\nwho,what\n")
    with pytest.raises(UsageError, match="its columns are who, what"):
        imported(nih, labels=nih / "t.csv", **COLUMNS)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_understood(nih, imported, separator):
    rows = [separator.join((f"{n:08}_000", "A" if n < 5 else "B", "1")) for n in range(1, 9)]
    labels = table(nih, *rows, header=separator.join(("Image Index", "Finding Labels", "Patient ID")))
    assert imported(nih, labels=labels, **COLUMNS).images == 8


@pytest.mark.parametrize("label", ["../up", "a/b", ".hidden", "_off", "x" * 300])
def test_label_that_can_not_be_a_folder_is_left_out(nih, tmp_path, imported, label):
    labels = table(nih, *(row(n, "A" if n < 5 else "B") for n in range(1, 8)), row(8, label))
    account = imported(nih, labels=labels, **COLUMNS)
    assert reasons(account)["a label that can't be the name of a folder"] == 1
    assert account.images == 7 and sorted(p.name for p in (tmp_path / "target").iterdir()) == ["A", "B"]


def test_two_classes_that_are_one_folder_on_this_disk_are_refused(nih, tmp_path, imported):
    """As on a disk that takes capitals for small letters."""
    labels = table(nih, *(row(n, "Cat" if n < 5 else "cat") for n in range(1, 9)))
    assert imported(nih, labels=labels, **COLUMNS).images == 8
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "Cat").mkdir()
    (tmp_path / "one" / "cat").symlink_to(tmp_path / "one" / "Cat")
    with pytest.raises(
        DataRefused, match=r"Classes '(C|c)at' and '(C|c)at' are one folder on the disk of .*one; rename"
    ):
        imported(nih, labels=labels, target=tmp_path / "one", **COLUMNS)
