import pytest

from contracts.grouping import described


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "none"),
        ("folder", "by sub-folder of the class"),
        ("pattern:^(p[0-9]+)_", "by file name (^(p[0-9]+)_)"),
        ("csv:a:b.csv:image:patient", "by column 'patient' of a:b.csv"),
        ("csv:of a record that somebody wrote", "csv:of a record that somebody wrote"),
    ],
)
def test_rule_is_told_in_words(rule: str, words: str) -> None:
    assert described(rule) == words
