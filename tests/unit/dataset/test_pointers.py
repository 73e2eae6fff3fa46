"""Pointers as DVC 3.67 wrote them, recorded; tests/integration/dataset has DVC itself write them."""

import hashlib
import json
from pathlib import Path

import pytest

from dataset import DataRefused, dvc, locate, stores
from tests.unit.dataset.conftest import png

CONFIG = """[core]
    analytics = false
    remote = local
['remote "local"']
    url = ../../remote
"""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Checkout:
    """A repository whose images are in a remote, laid out as by `dvc add` and `dvc push`."""

    def __init__(self, folder: Path) -> None:
        self.root, self.remote = folder / "repository", folder / "remote"
        (self.root / ".dvc").mkdir(parents=True)
        (self.root / "datasets").mkdir()
        (self.root / ".dvc" / "config").write_text(CONFIG)
        self.pointer = self.root / "datasets" / "xrays.dvc"
        self.files = {f"{label}/images/{n}.png": png(n + 9 * i) for i, label in enumerate("AB") for n in range(3)}
        self.point(self.files)

    def point(self, files: dict[str, bytes], names: dict[str, str] | None = None) -> None:
        listed = [{"md5": md5(content), "relpath": (names or {}).get(name, name)} for name, content in files.items()]
        content = json.dumps(listed).encode()
        digest = md5(content)
        self.keep(f"files/md5/{digest[:2]}/{digest[2:]}.dir", content)
        for one in files.values():
            self.keep(f"files/md5/{md5(one)[:2]}/{md5(one)[2:]}", one)
        self.pointer.write_text(f"outs:\n- md5: {digest}.dir\n  size: 9\n  nfiles: 6\n  hash: md5\n  path: xrays\n")

    def keep(self, key: str, content: bytes) -> None:
        (self.remote / key).parent.mkdir(parents=True, exist_ok=True)
        (self.remote / key).write_bytes(content)

    def place(self, content: bytes) -> Path:
        return self.remote / "files" / "md5" / md5(content)[:2] / md5(content)[2:]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Checkout(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_behind_a_pointer_are_brought_from_the_remote(checkout):
    heard = []
    folder = locate(str(checkout.pointer), lambda done, total: heard.append((done, total)))
    assert contents(folder) == checkout.files
    assert heard == [(number, 6) for number in range(1, 7)]
    # Once for all: the remote is asked no more.
    checkout.remote.rename(checkout.remote.with_name("gone"))
    assert locate(str(checkout.pointer)) == folder


def test_another_pointer_is_another_folder(checkout):
    before = locate(str(checkout.pointer))
    checkout.point({**checkout.files, "A/images/new.png": png(77)})
    after = locate(str(checkout.pointer))
    assert after != before
    assert len(contents(after)) == 7
    assert len(contents(before)) == 6


def test_local_cache_is_asked_first_and_dvc_2_kept_files_elsewhere(checkout):
    for file in checkout.remote.rglob("*"):
        if file.is_file():
            target = checkout.root / ".dvc" / "cache" / file.relative_to(checkout.remote / "files" / "md5")
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    assert contents(locate(str(checkout.pointer))) == checkout.files


def test_fetch_that_was_cut_off_goes_on_where_it_was(checkout, monkeypatch):
    broken = next(reversed(checkout.files.values()))
    kept = checkout.place(broken).read_bytes()
    checkout.place(broken).unlink()
    with pytest.raises(DataRefused, match=r"B/images/2\.png .* is not in .*`dvc push` it"):
        locate(str(checkout.pointer))
    checkout.place(broken).write_bytes(kept)
    fetched = []
    real = stores.FolderStore.get
    monkeypatch.setattr(stores.FolderStore, "get", lambda self, key, to: fetched.append(to.name) or real(self, key, to))
    assert contents(locate(str(checkout.pointer))) == checkout.files
    assert {name for name in fetched if name.endswith(".png")} == {name for name in fetched if name.endswith("-2.png")}


def test_damaged_file_is_refused_and_never_taken_for_whole(checkout):
    checkout.place(checkout.files["A/images/1.png"]).write_bytes(b"something else")
    with pytest.raises(DataRefused, match=r"A/images/1\.png in .* is not the file it was"):
        locate(str(checkout.pointer))
    assert not list(stores.cache().glob("dvc-*[!.part]/A/images/1.png"))
    with pytest.raises(DataRefused):
        locate(str(checkout.pointer))


@pytest.mark.parametrize("name", ["../outside.png", "/etc/outside.png", "A/../../outside.png", "..\\outside.png", ""])
def test_list_can_not_name_a_place_outside_of_its_folder(checkout, name):
    checkout.point(checkout.files, {"A/images/1.png": name})
    with pytest.raises(DataRefused, match="damaged"):
        locate(str(checkout.pointer))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "outs:",
        "outs:\n- path: x\n",
        "outs:\n- md5: 123.dir\n",
        f"outs:\n- md5: {'a' * 32}\n  path: file.zip\n",
        "\0",
        "[" * 999,
    ],
)
def test_other_files_are_refused_as_pointers(checkout, content):
    checkout.pointer.write_text(content)
    with pytest.raises(DataRefused, match=r"xrays\.dvc is no pointer to a folder; make one with `dvc add FOLDER`"):
        locate(str(checkout.pointer))


def test_missing_pointer_repository_or_remote_says_what_to_do(checkout):
    with pytest.raises(DataRefused, match=r"other\.dvc can't be read"):
        locate(str(checkout.pointer.with_name("other.dvc")))
    config = checkout.root / ".dvc" / "config"
    config.write_text("[core]\n    remote = gone\n")
    with pytest.raises(DataRefused, match="names the remote 'gone' but not its url"):
        locate(str(checkout.pointer))
    config.write_text(CONFIG.replace("../../remote", "s3://bucket/path"))
    with pytest.raises(DataRefused, match=r"can't be fetched from s3://bucket/path; use a folder or gs://"):
        locate(str(checkout.pointer))
    config.unlink()
    with pytest.raises(DataRefused, match="lies in no DVC repository; call `dvc init`"):
        locate(str(checkout.pointer))


def test_configuration_of_this_machine_comes_before_that_of_the_repository(checkout):
    moved = checkout.remote.rename(checkout.remote.with_name("elsewhere"))
    (checkout.root / ".dvc" / "config.local").write_text(f"['remote \"local\"']\n    url = {moved}\n")
    assert [place.where for place in dvc.stores(checkout.pointer)][1] == str(moved)
    assert contents(locate(str(checkout.pointer))) == checkout.files
