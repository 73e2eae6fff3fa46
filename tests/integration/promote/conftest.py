import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has written outlives the process; only a power cut would make a difference."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
