"""Words fit their number."""

import pytest

from cli.text import counted, ordinal


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (21, "21st"), (111, "111th")],
)
def test_ordinals(number: int, expected: str) -> None:
    assert ordinal(number) == expected


def test_one_is_no_plural() -> None:
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert counted(2, "entry", "entries") == "2 entries"
