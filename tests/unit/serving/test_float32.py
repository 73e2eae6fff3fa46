import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.float32 import shortest


def test_number_is_as_it_was_written():
    for text in ("0.1", "0.5", "1.0", "0.0", "0.33333334", "1e-45"):
        assert shortest(float(np.float32(text))) == float(text)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_number_reads_back_as_the_same_float32(value):
    assert np.float32(shortest(value)) == np.float32(value)
    assert math.copysign(1, shortest(value)) == math.copysign(1, value)


@given(st.one_of(st.floats(0, 1, width=32), st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_number_is_what_numpy_calls_the_shortest(value):
    # Above a power of two floats lie twice as far apart as below: there NumPy may take a decimal that is not nearest.
    if math.frexp(value)[0] not in (0.5, -0.5):
        assert shortest(value) == float(np.format_float_positional(np.float32(value)))


@pytest.mark.parametrize("exponent", range(-149, 128))
def test_power_of_two_reads_back(exponent):
    assert np.float32(shortest(2.0**exponent)) == np.float32(2.0**exponent)
