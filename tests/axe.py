"""What axe-core finds wrong with a page: contrast, labels, structure, names for screen readers."""

import base64
import functools
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

VERSION = "4.14.1"
# As npm's registry tells it.
_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm is installed: it brings axe-core")


@functools.cache
def _script() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--prefer-offline", f"axe-core@{VERSION}", "--pack-destination", folder]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)
        archive = next(Path(folder).glob("*.tgz"))
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        assert found == _SHA512, f"npm brought another axe-core than {VERSION}"
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/axe.min.js")
            assert member
            return member.read().decode()


def violations(page: Any) -> list[str]:
    """A line for each rule that a page of Playwright's breaks, with the first element that does."""
    page.evaluate(_script())
    found = page.evaluate("() => axe.run().then(result => result.violations)")
    return [f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:200]})" for one in found]
