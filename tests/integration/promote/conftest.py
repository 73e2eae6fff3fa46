import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has written outlives the process; only a power cut would make a difference."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def copies_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion that is killed leaves the copy of the model that it looks at: among the test's files, then."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
