"""The errors a command ends with, and the exit code each stands for.

TrainyardError
├── UsageError           2  the call or the settings are wrong
├── GateNotPassed        3  the model fell short, or its tests failed
├── DataRefused          4  the dataset, or a file of a model, can't be used as it is
├── Conflict             5  somebody else changed the same thing at the same time
├── InfrastructureError  6  disk, network, storage, a server: a retry may help
└── Bug                  1  our own mistake
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of all commands."""

    OK = 0
    BUG = 1
    USAGE = 2
    GATE = 3
    DATA = 4
    CONFLICT = 5
    INFRASTRUCTURE = 6


EXIT_CODES = {
    Exit.OK: "ok",
    Exit.BUG: "a bug in Trainyard",
    Exit.USAGE: "wrong usage or settings",
    Exit.GATE: "gate not passed, or model tests failed",
    Exit.DATA: "data refused",
    Exit.CONFLICT: "conflict with another run",
    Exit.INFRASTRUCTURE: "infrastructure failed, a retry may help",
}


class TrainyardError(Exception):
    """A failure that is told in one sentence: what failed, on what, and what to do next."""

    exit_code = Exit.BUG


class UsageError(TrainyardError):
    exit_code = Exit.USAGE


class HeldError(UsageError):
    """Code of a user's has left threads that go on; the program ends without waiting for them."""


class GateNotPassed(TrainyardError):
    exit_code = Exit.GATE


class DataRefused(TrainyardError):
    exit_code = Exit.DATA


class Conflict(TrainyardError):
    exit_code = Exit.CONFLICT


class InfrastructureError(TrainyardError):
    exit_code = Exit.INFRASTRUCTURE


class Bug(TrainyardError):
    exit_code = Exit.BUG
