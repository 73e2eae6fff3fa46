"""Files that change after they were published are found before anything loads them, and named."""

import os
from collections import Counter
from pathlib import Path

import pytest

from testkit import mutations
from testkit.tampering import mutate


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is killed here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_every_mutation_is_found_and_named(tmp_path: Path) -> None:
    found = list(mutate(tmp_path, 1000, seed=1))
    assert [one for one in found if not one.holds] == []
    assert len(found) == 1000 and min(Counter(one.kind for one in found).values()) >= 90


def test_files_that_nobody_changed_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would find whatever it looks for."""
    monkeypatch.setitem(mutations.KINDS, "flip", lambda draw, folder: "saved_model.pb")
    first = next(mutate(tmp_path, 1, seed=1))
    assert (first.said, first.holds) == ("", False)
    copied = [one.copied for one in mutate(tmp_path / "more", 40, seed=1) if one.kind == "flip"]
    assert any(copied)
