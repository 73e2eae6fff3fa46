"""uv from PyPI fetches an interpreter for ./pants, from a mirror on this disk: an archive of the one that runs here."""

import hashlib
import json
import os
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
VERSION = "{}.{}".format(*sys.version_info)
LEFT_OUT = {"site-packages", "test", "__pycache__", "idlelib", "tkinter"}
CALL = f"""
set -euo pipefail
need_cache() {{ mkdir -p "$cache"; }}
. scripts/launch/fetch.sh
fetch_python {VERSION}
"""


def packed(archive: Path) -> None:
    """The interpreter that runs this, laid out as uv expects one."""
    base = Path(sys.base_prefix)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(base / "bin" / f"python{VERSION}", f"python/bin/python{VERSION}")
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"python/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, f"python{VERSION}"
            tar.addfile(link)
        for library in base.glob("lib/libpython*"):
            tar.add(library, f"python/lib/{library.name}")
        tar.add(
            base / "lib" / f"python{VERSION}",
            f"python/lib/python{VERSION}",
            filter=lambda each: None if LEFT_OUT & set(Path(each.name).parts) else each,
        )


def fetched(folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    major, minor, patch = sys.version_info[:3]
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    known = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": (folder / "python.tar.gz").as_uri(),
        "sha256": digest,
        "variant": None,
        "build": "20260101",
    }
    key = f"cpython-{major}.{minor}.{patch}-linux-{machine}-gnu"
    (folder / "downloads.json").write_text(json.dumps({key: known}))
    variables = {
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json"),
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "cache": str(folder / "cache of [ä] user"),
        "locks": str(HERE / "3rdparty/python"),
    }
    return subprocess.run(["bash", "-c", CALL], cwd=HERE, env=os.environ | variables, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the archive is one of Linux")
def test_python_is_fetched_from_a_mirror_and_only_what_its_hash_says(tmp_path: Path) -> None:
    packed(tmp_path / "python.tar.gz")
    digest = hashlib.sha256((tmp_path / "python.tar.gz").read_bytes()).hexdigest()

    forged = fetched(tmp_path, digest[::-1])
    assert forged.returncode == 6, forged.stderr
    assert "hash mismatch" in forged.stderr.lower()
    assert forged.stderr.splitlines()[-1].startswith(f"error: uv could not fetch Python {VERSION}; see above.")

    done = fetched(tmp_path, digest)
    assert done.returncode == 0, done.stderr
    (python,) = (tmp_path / "cache of [ä] user/python").glob(f"cpython-{VERSION}.*/bin/python")
    asked = subprocess.run([python, "-c", "import sys, venv, ssl; print(sys.prefix)"], capture_output=True, text=True)
    assert asked.stdout.strip() == str(python.parents[1])
