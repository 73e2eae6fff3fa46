"""Numbers of 32 bits as people write them, the same in REST's answers and in the client's."""

import struct

_FLOAT32 = struct.Struct("<f")
# Six digits always survive a float32; below its normal range they may be more than it needs.
_KEPT_DIGITS = 6
_LEAST_NORMAL = 2.0**-126
_MAX_DIGITS = 9


def shortest(value: float) -> float:
    """The float32 `value` rounded to as few digits as still stand for it: 0.1 rather than 0.10000000149011612."""
    fewest = _KEPT_DIGITS if abs(value) >= _LEAST_NORMAL else 1
    for digits in range(fewest, _MAX_DIGITS):
        rounded = float(f"{value:.{digits}g}")
        if _FLOAT32.unpack(_FLOAT32.pack(rounded))[0] == value:
            return rounded
    return float(f"{value:.{_MAX_DIGITS}g}")
