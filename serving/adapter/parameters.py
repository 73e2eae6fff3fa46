"""The parameters of the REST interface that say which model and which version is meant."""

import re
from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator

_MAX_VERSION = 2**63 - 1


def _version_number(text: str) -> str:
    # What int() takes for a number as well, such as 01, +1, 1.0 or 1_000, is none here.
    if not re.fullmatch("[1-9][0-9]*", text):
        raise ValueError("a version is a whole number from 1 up")
    return text


Name = Annotated[str, Path(description="The model's name.")]
Version = Annotated[
    int | None,
    BeforeValidator(_version_number),
    Query(ge=1, le=_MAX_VERSION, description="Ask this version instead of the stable one."),
]
Label = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="Ask the version with this label instead; not with version."),
]
