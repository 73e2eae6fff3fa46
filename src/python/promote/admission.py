"""The checks of a model's files before a server loads them."""

import tempfile
from pathlib import Path

import inspection
from cli.errors import DataRefused, InfrastructureError
from contracts.about import of_record
from contracts.record import Record
from imaging import ImageInput
from registry import Registry


def check(registry: Registry, record: Record) -> None:
    """Holds a version that was never in production against its record, its signature and the list of operations.

    Its test did so too; this asks again because a record that says "tested" is just a file.

    Raises:
        Tampered: a file is not the recorded one.
        Unsigned, WrongSignature: nobody that is trusted answers for the files.
        DataRefused: the model holds what no server may load.
        InfrastructureError: it can't be copied to this machine.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            copy = registry.fetch(record.version, Path(folder))
            image = ImageInput.recorded(record.input, record.image_size)
            problems = inspection.problems(copy, record.labels, image, of_record(record))
    except OSError as error:
        raise InfrastructureError(
            f"{tempfile.gettempdir()} can't be written: {error.strerror}; the model is copied there to be checked."
        ) from None
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataRefused(f"Version {record.version} must not be loaded: {problems[0]}{more}")
