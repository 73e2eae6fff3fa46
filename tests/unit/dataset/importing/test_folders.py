import io
import os
import shutil
import tarfile
import time
import zipfile

import pytest

from cli import UsageError
from dataset import DataRefused, find
from tests.unit.dataset.conftest import png
from tests.unit.dataset.importing.conftest import names, reasons


def write(root, *files):
    for number, name in enumerate(files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(number))
    return root


def test_split_folders_are_joined_and_names_that_meet_are_told_apart(tmp_path, imported):
    source = write(tmp_path / "src", "train/A/1.png", "test/A/1.png", "val/A/2.png", "train/B/3.png")
    shutil.copy(source / "train/A/1.png", source / "val/A/1.png")
    account = imported(source)
    assert dict(account.taken) == {"A": 3, "B": 1} and account.already == 1
    found = find(tmp_path / "target")
    assert [len(files) for files in found.values()] == [3, 1]
    assert {file.read_bytes() for file in found["A"]} == {png(0), png(1), png(2)}


def test_files_of_one_name_that_are_taken_at_once_do_not_replace_each_other(tmp_path, imported, monkeypatch):
    source = write(tmp_path / "src", "test/A/1.png", "train/A/1.png", "val/A/1.png", "val/B/9.png")
    copy = shutil.copyfile

    def slow_copy(source, target):
        time.sleep(0.2)  # long enough for the other thread to look whether the name is free
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", slow_copy)
    account = imported(source)
    assert dict(account.taken) == {"A": 3, "B": 1}
    assert [len(files) for files in find(tmp_path / "target").values()] == [3, 1]


def test_kaggles_archive_becomes_a_dataset_without_masks_and_spreadsheets(tmp_path, imported):
    top = "COVID-19_Radiography_Dataset"
    source = write(
        tmp_path / "src", *(f"{top}/{c}/{k}/{n}.png" for c in "AB" for k in ("images", "masks") for n in "12")
    )
    (source / top / "A.metadata.xlsx").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as packed:
        for path in source.rglob("*"):
            if path.is_file():
                packed.write(path, path.relative_to(source).as_posix())
    for given in (tmp_path / "archive.zip", source):
        account = imported(given, target=tmp_path / f"made-{given.name}")
        assert dict(account.taken) == {"A": 2, "B": 2}
        assert reasons(account)["in folder 'masks', beside 'images'"] == 4
        assert list(find(tmp_path / f"made-{given.name}")) == ["A", "B"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".made")]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    "evil", ["../outside.png", "/tmp/trainyard-outside.png", "A/../../outside.png", "A\\..\\x.png"]
)
def test_archive_can_not_write_outside_of_the_target(tmp_path, imported, kind, evil):
    file = tmp_path / "inner" / f"archive.{kind}"
    write(tmp_path / "inner", "image.png")
    entries = {"A/1.png": png(1), "B/2.png": png(2), evil: png(3)}
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as packed:
            for name, content in entries.items():
                packed.writestr(zipfile.ZipInfo(name), content)
    else:
        with tarfile.open(file, "w:gz") as packed_too:
            for name, content in entries.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed_too.addfile(info, io.BytesIO(content))
    before = set(names(tmp_path))
    account = imported(file)
    assert account.images == 2
    assert reasons(account) == {"a name in the archive that leads outside of it": 1}
    assert set(names(tmp_path)) - before == {"target/A/1.png", "target/B/2.png"}
    assert not os.path.exists("/tmp/trainyard-outside.png")


def test_links_and_devices_of_an_archive_are_not_followed(tmp_path, imported):
    (tmp_path / "secret.png").write_bytes(png(9))
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for kind, name in (
            (tarfile.SYMTYPE, "A/link.png"),
            (tarfile.LNKTYPE, "A/hard.png"),
            (tarfile.CHRTYPE, "A/d.png"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.png")
            packed.addfile(info)
        packed.add(write(tmp_path / "x", "1.png") / "1.png", "A/1.png")
        packed.add(write(tmp_path / "y", "0.png", "2.png") / "2.png", "B/2.png")
    account = imported(tmp_path / "a.tar")
    assert names(tmp_path / "target") == ["A/1.png", "B/2.png"]
    assert sum(reasons(account).values()) == 3


def test_damaged_archive_and_wrong_source_are_one_sentence(tmp_path, imported):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 cut")
    with pytest.raises(DataRefused, match=r"a\.zip is no ZIP or TAR file, or damaged .*; download it again"):
        imported(tmp_path / "a.zip")
    with pytest.raises(DataRefused, match="does not exist; name a folder or an archive"):
        imported(tmp_path / "nowhere")
    with pytest.raises(DataRefused, match=r"holds no folders of images named by class; .* give --labels FILE"):
        imported(write(tmp_path / "flat", "1.png"))
    with pytest.raises(UsageError, match="lie in each other"):
        imported(write(tmp_path / "src", "A/1.png", "B/2.png"), target=tmp_path / "src" / "made")
    assert not (tmp_path / "target").exists()


def test_whatever_is_left_out_is_counted_with_the_reason(tmp_path, imported):
    source = write(tmp_path / "src", "A/1.png", "B/2.jfif", "B/cut.png")
    (source / "B/cut.png").write_bytes(png(5)[:-20])
    for name in ("A/x.webp", "A/y.webp", "A/Thumbs.db", "B/lfs.png"):
        (source / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    account = imported(source)
    # Named by what it is.
    assert names(tmp_path / "target") == ["A/1.png", "B/2.png"]
    found = reasons(account)
    assert found["no image (.webp)"] == 2 and found["no image (.db)"] == 1
    assert any("Git LFS pointer" in reason for reason in found) and any("cut off" in reason for reason in found)
    assert sum(found.values()) == 5


def test_links_take_no_room_and_copies_stand_alone(tmp_path, imported):
    source = write(tmp_path / "src", "A/1.png", "B/2.png")
    imported(source, link=True, target=tmp_path / "linked")
    imported(source, target=tmp_path / "copied")
    assert os.path.samefile(tmp_path / "linked/A/1.png", source / "A/1.png")
    assert not os.path.samefile(tmp_path / "copied/A/1.png", source / "A/1.png")


def test_second_import_adds_what_is_new_and_leaves_the_rest(tmp_path, imported):
    source = write(tmp_path / "src", "A/1.png", "B/2.png")
    imported(source)
    write(source / "more", "0.png", "1.png", "2.png")
    shutil.move(source / "more/2.png", source / "A/3.png")
    shutil.rmtree(source / "more")
    account = imported(source)
    assert dict(account.taken) == {"A": 1, "B": 0} and account.already == 2


def test_patients_of_folders_are_named_by_hashes_that_only_one_key_gives(tmp_path, imported):
    source = write(tmp_path / "src", "A/jane/1.png", "A/jane/2.png", "A/john/3.png", "B/jane/4.png")
    account = imported(source, groups="folder")
    assert len(account.groups) == 2
    assert not any(secret in name for name in names(tmp_path / "target") for secret in ("jane", "john"))
    by_group = {path.parent.name for path in (tmp_path / "target").rglob("*.png")}
    assert by_group == account.groups
    # The same key gives the same names, another one other names and is noticed.
    again = imported(source, groups="folder", target=tmp_path / "again")
    assert again.groups == account.groups
    with pytest.raises(UsageError, match=r"were named by another key than .*other\.key; give that with --group-key"):
        imported(source, groups="folder", group_key=tmp_path / "other.key")
    assert (
        imported(source, groups="folder", group_key=tmp_path / "other.key", target=tmp_path / "o").groups
        != account.groups
    )
    assert (tmp_path / "groups.key").stat().st_mode & 0o077 == 0


def test_link_to_nothing_and_file_that_is_nobodys_are_left_out(tmp_path, imported):
    """One of them must not end the import of thousands."""
    source = write(tmp_path / "src", "A/1.png", "B/2.png")
    (source / "A/gone.png").symlink_to("nowhere.png")
    (source / "A/folder.png").mkdir()
    os.mkfifo(source / "B/pipe")
    account = imported(source)
    assert dict(account.taken) == {"A": 1, "B": 1}
    assert reasons(account)["can't be read (No such file or directory)"] == 1


def test_images_where_nobody_looks_are_counted(tmp_path, imported):
    source = write(tmp_path / "src", "train/A/1.png", "test/B/2.png", "stray.png", "train/stray.png", "_old/A/3.png")
    write(source, "train/A/.hidden.png", "train/A/_old/4.png")
    write(tmp_path / "elsewhere", "5.png")
    (source / "train/A/more").symlink_to(tmp_path / "elsewhere")
    account = imported(source)
    assert dict(account.taken) == {"A": 1, "B": 1}
    assert reasons(account) == {
        "hidden, by a name that begins with . or _": 3,
        "in no folder of a class": 2,
        "a link to a folder": 1,
    }


def test_class_folder_may_be_a_link(tmp_path, imported):
    source = write(tmp_path / "src", "A/1.png")
    write(tmp_path / "elsewhere", "2.png")
    (source / "B").symlink_to(tmp_path / "elsewhere")
    account = imported(source)
    assert dict(account.taken) == {"A": 1, "B": 1} and reasons(account) == {}


def test_archive_of_windows_has_folders(tmp_path, imported):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name, content in {"set\\A\\1.png": png(1), "set\\B\\2.png": png(2)}.items():
            packed.writestr(name, content)
    assert dict(imported(tmp_path / "a.zip").taken) == {"A": 1, "B": 1}


def test_name_that_no_file_can_have_is_left_out(tmp_path, imported):
    """One of them must not end the import of thousands."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("set/A", "set/A/1.png", f"set/B/{'x' * 300}.png", "set/B/2.png", "set/C/3.png"):
            packed.writestr(name, png(len(name)))
    account = imported(tmp_path / "a.zip")
    assert dict(account.taken) == {"B": 1, "C": 1}
    assert reasons(account)["a name in the archive that no file can have here"] == 2


def test_archive_without_classes_is_called_by_its_own_name(tmp_path, imported):
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as packed:
        packed.writestr("1.png", png(1))
    with pytest.raises(DataRefused, match=r"/flat\.zip holds no folders of images named by class"):
        imported(tmp_path / "flat.zip")


def test_a_space_around_a_folders_name_is_no_part_of_the_class(tmp_path, imported):
    account = imported(write(tmp_path / "src", " A/1.png", "A/2.png", "B /3.png"))
    assert dict(account.taken) == {"A": 2, "B": 1}
    assert list(find(tmp_path / "target")) == ["A", "B"]


@pytest.mark.parametrize("above", [".", "archive", "train"])
def test_a_folder_beside_the_classes_without_an_image_is_named(tmp_path, imported, above):
    source = write(tmp_path / "src", f"{above}/A/1.png", f"{above}/B/images/2.png", f"{above}/B/masks/3.png")
    for name in ("Empty", "Texts", ".hidden"):
        (source / above / name).mkdir()
    (source / above / "Texts" / "a.txt").write_text("x")
    account = imported(source)
    assert dict(account.taken) == {"A": 1, "B": 1}
    empty = [(source / above / name).relative_to(source).as_posix() for name in ("Empty", "Texts")]
    assert account.out["a folder without an image"] == empty
