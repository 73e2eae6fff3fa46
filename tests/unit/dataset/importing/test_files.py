"""A table names its images in whichever way a person or a program wrote their paths."""

import unicodedata

import pytest

from cli import DataRefused
from tests.unit.dataset.conftest import png
from tests.unit.dataset.importing.conftest import names, reasons

COLUMNS = {"image_column": "image", "label_column": "label"}
FILES = ("a/1.png", "a/2.png", "b/1.png", "bl\u00e4tter.png")


@pytest.fixture
def source(tmp_path):
    for number, name in enumerate(FILES):
        file = tmp_path / "src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(number))
    return tmp_path / "src"


def table(source, text):
    file = source.with_name("labels.csv")
    file.write_bytes(text.replace("{src}", str(source)).encode())
    return file


WAYS = {
    "with a shell's ./": ("./a/1.png,x", ".//b/1.png,y"),
    "without a suffix": ("a/1,x", "b/1,y"),
    "of Windows": ("a\\1.png,x", "b\\1.png,y"),
    "whole": ("{src}/a/1.png,x", "{src}/b/1.png,y"),
    "whole, of another machine": ("/content/drive/My Drive/a/1.png,x", "/content/drive/My Drive/b/1.png,y"),
    "whole, of another Windows": ("C:\\Users\\me\\a\\1.png,x", "C:\\Users\\me\\b\\1.png,y"),
    # As CheXpert's table does.
    "with the archive's own folder": ("Set-v1.0/a/1.png,x", "Set-v1.0/b/1.png,y"),
}


@pytest.mark.parametrize("way", WAYS)
def test_path_is_understood(source, tmp_path, imported, way):
    account = imported(source, labels=table(source, "\n".join(["image,label", *WAYS[way]])), **COLUMNS)
    assert dict(account.taken) == {"x": 1, "y": 1}
    assert (tmp_path / "target/x/1.png").read_bytes() == png(0)
    assert (tmp_path / "target/y/1.png").read_bytes() == png(2)


def test_folders_are_left_out_of_all_paths_or_of_none(source, imported):
    """Else a path whose file is missing might mean another file of that name."""
    labels = table(source, "image,label\na/1.png,x\ngone/b/1.png,y\na/2.png,y\n")
    account = imported(source, labels=labels, **COLUMNS)
    assert dict(account.taken) == {"x": 1, "y": 1}
    assert reasons(account)[f"named in labels.csv and not found below {source}"] == 1


def test_whole_path_comes_before_a_name(source, tmp_path, imported):
    (source / "1.png").write_bytes(png(9))
    account = imported(source, labels=table(source, "image,label\n1.png,x\na/1.png,y\n"), **COLUMNS)
    assert account.images == 2
    assert (tmp_path / "target/x/1.png").read_bytes() == png(9)


def test_two_ways_to_write_one_file_are_rows_of_one_image(source, imported):
    labels = table(source, "image,label\n2,x\na/2.png,y\nb/1.png,y\n")
    with pytest.raises(DataRefused, match=r"1 of 2 images of .* have several labels \(a/2\.png: x, y\)"):
        imported(source, labels=labels, **COLUMNS)
    labels = table(source, "image,label\n2,x\na/2.png,x\nb/1.png,y\n")
    account = imported(source, labels=labels, **COLUMNS)
    assert dict(account.taken) == {"x": 1, "y": 1} and account.already == 0
    assert reasons(account)["a further row of the same image in labels.csv"] == 1


def test_name_in_another_form_of_unicode_is_the_same(source, imported):
    """macOS gives files names in one form, and spreadsheets write the other."""
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, "bl\u00e4tter.png")
        labels = table(source, f"image,label\n{written},x\na/1.png,y\n")
        assert imported(source, labels=labels, target=source.with_name(form), **COLUMNS).images == 2


def test_two_groups_of_one_image_are_refused(source, imported):
    labels = table(source, "image,label,who\na/1.png,x,1\na/1.png,x,2\nb/1.png,y,3\n")
    with pytest.raises(DataRefused, match=r"names two groups for a/1\.png; keep the right row"):
        imported(source, labels=labels, group_column="who", **COLUMNS)


def test_path_can_not_lead_outside_of_the_folder(source, tmp_path, imported):
    (tmp_path / "secret.png").write_bytes(png(8))
    rows = ("../secret.png,x", f"{tmp_path}/secret.png,x", "a/../../secret.png,x", "a/1.png,y")
    account = imported(source, labels=table(source, "\n".join(["image,label", *rows])), **COLUMNS)
    assert dict(account.taken) == {"y": 1}
    assert all(png(8) != file.read_bytes() for file in (tmp_path / "target").rglob("*.png"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_in_quotes_may_hold_line_breaks_and_any_character(source, imported, end):
    rows = ["image,note,label", 'a/1.png,"two\nlines, ""said""",x', "b/1.png,one\u2028line\x85,y", ""]
    assert dict(imported(source, labels=table(source, end.join(rows)), **COLUMNS).taken) == {"x": 1, "y": 1}


def test_table_that_names_nothing_says_what_it_names(source, imported):
    with pytest.raises(DataRefused, match=r"No row of .*labels\.csv names an image .* \(the first says 'q/9\.png'\)"):
        imported(source, labels=table(source, "image,label\nq/9.png,x\n"), **COLUMNS)
    assert names(source.parent)  # and the source is as it was


def test_line_that_tells_a_spreadsheet_the_separator_is_no_header(source, imported):
    labels = table(source, "\ufeffsep=;\r\nimage;label\r\na/1.png;x,z\r\nb/1.png;y\r\n")
    assert dict(imported(source, labels=labels, **COLUMNS).taken) == {"x,z": 1, "y": 1}
