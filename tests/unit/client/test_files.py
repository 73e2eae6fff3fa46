from pathlib import Path

import pytest

from serving.client.files import classify_all


def test_a_file_that_is_not_there_is_named_with_its_folder(tmp_path, monkeypatch):
    """./pants runs the command in another folder than the caller's."""
    monkeypatch.chdir(tmp_path)
    (outcome,) = classify_all([Path("a.png")], lambda image: pytest.fail("there is none"))
    assert outcome.error == f"{tmp_path}/a.png can't be read: no such file or directory."
