"""A path or a bucket: told apart in one place, the same way for registries, datasets and settings."""

from pathlib import Path

import pytest

from cli.errors import UsageError
from contracts import location
from contracts.location import InBucket, Local
from tests.names import URIS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry", Local(Path("registry"))),
        ("/data/x-rays", Local(Path("/data/x-rays"))),
        ("a:b", Local(Path("a:b"))),
        ("~/x", Local(Path.home() / "x")),
        ("gs://bucket", InBucket("bucket")),
        ("gs://bucket/", InBucket("bucket")),
        ("gs://bucket/a/b c", InBucket("bucket", "a/b c")),
        ("gs://bucket/a/", InBucket("bucket", "a")),
    ],
)
def test_text_is_a_path_or_a_bucket(text: str, expected: location.Location) -> None:
    assert location.parse(text) == expected


@pytest.mark.parametrize("text", ["gs://bucket", "gs://bucket/a/b", "/data", "data"])
def test_what_was_parsed_is_written_as_before(text: str) -> None:
    assert str(location.parse(text)) == text


def test_other_kinds_are_refused_in_one_sentence_that_names_what_they_were_to_be() -> None:
    # What only the registry refuses, of objects' names, is left to it.
    for text in [uri for uri in URIS if not uri.startswith("gs://bucket/")]:
        with pytest.raises(UsageError) as raised:
            location.parse(text, "registry")
        assert "registry" in str(raised.value) and "\n" not in str(raised.value)


def test_relative_paths_alone_are_anchored(tmp_path: Path) -> None:
    assert location.anchored("x/y", tmp_path) == str(tmp_path / "x" / "y")
    assert location.anchored("/x", tmp_path) == "/x"
    assert location.anchored("gs://bucket/x", tmp_path) == "gs://bucket/x"
    assert location.anchored("s3://bucket/x", tmp_path) == "s3://bucket/x"
