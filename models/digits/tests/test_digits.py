"""Model tests of digits, beside those that every model gets. What a test is given: src/python/testing/fixtures.py."""

DIGITS = {str(digit) for digit in range(10)}


def test_answers_know_the_ten_digits(answers):
    for answer in answers:
        assert set(answer.scores) == DIGITS, f"an answer knows {sorted(answer.scores)}, not {sorted(DIGITS)}"
