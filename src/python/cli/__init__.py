"""What every Trainyard command shares: exit codes, one-sentence errors, JSON results."""

from cli.app import command_line, print_json, progress_console, run, version_number
from cli.errors import (
    EXIT_CODES,
    Bug,
    Conflict,
    DataRefused,
    Exit,
    GateNotPassed,
    InfrastructureError,
    TrainyardError,
    UsageError,
)

__all__ = [
    "EXIT_CODES",
    "Bug",
    "Conflict",
    "DataRefused",
    "Exit",
    "GateNotPassed",
    "InfrastructureError",
    "TrainyardError",
    "UsageError",
    "command_line",
    "print_json",
    "progress_console",
    "run",
    "version_number",
]
