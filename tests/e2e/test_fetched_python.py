"""uv from PyPI fetches an interpreter for ./pants, from a mirror on this disk: an archive of the one that runs here."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interpreters import listed, packed

HERE = Path(__file__).parents[2]
VERSION = "{}.{}".format(*sys.version_info)
CALL = f"""
set -euo pipefail
need_cache() {{ mkdir -p "$cache"; }}
. scripts/launch/fetch.sh
fetch_python {VERSION}
"""


def fetched(folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    archive = folder / "python.tar.gz"
    release = "{}.{}.{}".format(*sys.version_info)
    (folder / "downloads.json").write_text(json.dumps(listed(archive, release, archive.as_uri(), digest)))
    variables = {
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json"),
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "cache": str(folder / "cache of [ä] user"),
        "locks": str(HERE / "3rdparty/python"),
    }
    return subprocess.run(["bash", "-c", CALL], cwd=HERE, env=os.environ | variables, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the archive is one of Linux")
def test_python_is_fetched_from_a_mirror_and_only_what_its_hash_says(tmp_path: Path) -> None:
    packed(tmp_path / "python.tar.gz", Path(sys.base_prefix), VERSION)
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
