"""Pointers that DVC itself makes, with a folder as remote; and datasets in Cloud Storage."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from cli import DataRefused
from dataset import locate, scan, write_sample
from testkit import buckets

BUCKET = "images"
_PEX = Path("3rdparty.python/dvc.pex/__main__.py")


@pytest.fixture(scope="module")
def program() -> str:
    """Pants builds it for this test; elsewhere an installed one will do."""
    found = str(_PEX.absolute()) if _PEX.exists() else shutil.which("dvc") or os.environ.get("DVC")
    if not found:
        pytest.skip("there is no dvc; `./pants test` brings its own")
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.timeout(280)
def test_what_dvc_adds_and_pushes_is_what_is_trained_on(program, tmp_path):
    root = tmp_path / "repository"
    images = root / "datasets" / "xrays"
    write_sample(images, 3, seed=3)

    def dvc(*arguments: str) -> None:
        # A home of its own: no configuration of the user's.
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(tmp_path),
        }
        done = subprocess.run([program, *arguments], cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc("init", "-q")
    dvc("remote", "add", "-q", "-d", "local", str(tmp_path / "remote"))
    dvc("add", "-q", "datasets/xrays")
    dvc("push", "-q")
    before = contents(images)
    pointer = root / "datasets" / "xrays.dvc"
    # Another machine: no images, no cache, just what is in Git and the remote.
    shutil.rmtree(images)
    shutil.rmtree(root / ".dvc" / "cache")
    first = locate(str(pointer))
    assert contents(first) == before
    assert scan(first, 0.0).counts() == {"COVID": 3, "Normal": 3, "Viral Pneumonia": 3}

    # New images: another pointer, without a push its files are nowhere to be had from but here.
    write_sample(images, 5, seed=3)
    dvc("add", "-q", "datasets/xrays")
    assert contents(locate(str(pointer))) == contents(images)
    assert len(contents(images)) == 15
    assert contents(first) == before


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    with buckets.emulator() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        buckets.make_bucket(BUCKET)
        yield storage.Client(project="p", credentials=AnonymousCredentials()).bucket(BUCKET)


def test_bucket_is_a_dataset_and_a_new_image_makes_another(bucket, tmp_path):
    write_sample(tmp_path / "sample", 2, seed=3)
    files = contents(tmp_path / "sample")
    for name, content in files.items():
        bucket.blob(f"data/xrays/{name}").upload_from_string(content)
    uri = f"gs://{BUCKET}/data/xrays"
    first = locate(uri)
    assert contents(first) == files
    assert locate(uri + "/") == first
    bucket.blob("data/xrays/COVID/images/new.png").upload_from_string(next(iter(files.values())))
    assert len(contents(locate(uri))) == len(files) + 1
    with pytest.raises(DataRefused, match="holds nothing"):
        locate(f"gs://{BUCKET}/data/nothing")


def test_remote_of_dvc_may_be_a_bucket(bucket, tmp_path):
    from tests.unit.dataset.test_pointers import CONFIG, Checkout

    checkout = Checkout(tmp_path)
    for file in checkout.remote.rglob("*"):
        if file.is_file():
            bucket.blob(f"dvc/{file.relative_to(checkout.remote)}").upload_from_filename(file)
    shutil.rmtree(checkout.remote)
    config = CONFIG.replace("../../remote", f"gs://{BUCKET}/dvc")
    (checkout.root / ".dvc" / "config").write_text(config)
    assert contents(locate(str(checkout.pointer))) == checkout.files
