"""What can go wrong in a registry, as errors that commands end with.

TrainyardError
├── UsageError
│   ├── BadName          a model, version or report name that is not allowed
│   └── UnknownVersion   no record, or no model files, for a version
├── DataRefused
│   ├── Tampered         the files of a model differ from its record
│   ├── Unsigned         a version without a signature
│   ├── WrongSignature   one by an unknown key, over something else, or damaged
│   └── Corrupt          a record, journal entry or models.config that can't be parsed
├── Conflict
│   └── Immutable        a version that exists already, or a state that can't follow
└── InfrastructureError  disk full, no permission, a file where a folder should be
    └── Refused          a bucket gives this account no access

Missing is not among them: it is how a store says "no such key", and never leaves the registry.
"""

from typing import TYPE_CHECKING

from cli.errors import Conflict, DataRefused, InfrastructureError, UsageError

if TYPE_CHECKING:
    from registry.manifest import Difference

__all__ = [
    "BadName",
    "Conflict",
    "Corrupt",
    "DataRefused",
    "Immutable",
    "InfrastructureError",
    "Missing",
    "Refused",
    "Tampered",
    "UnknownVersion",
    "Unsigned",
    "UsageError",
    "WrongSignature",
]


class Missing(KeyError):
    """A store holds nothing under this key."""


class BadName(UsageError):
    pass


class UnknownVersion(UsageError):
    pass


class Tampered(DataRefused):
    """The files of a model are not those its record names; `difference` lists them."""

    def __init__(self, message: str, difference: "Difference") -> None:
        super().__init__(message)
        self.difference = difference


class Unsigned(DataRefused):
    pass


class WrongSignature(DataRefused):
    pass


class Corrupt(DataRefused):
    pass


class Immutable(Conflict):
    pass


class Refused(InfrastructureError):
    pass
