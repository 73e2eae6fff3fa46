"""TensorFlow as training uses it: quiet, the same from run to run, on the processors that are there."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli import UsageError

if TYPE_CHECKING:
    from training.team import Team


def prepare_tensorflow() -> None:
    """Imports TensorFlow without its notes about its own build and about missing graphics cards.

    Some are written before any of its settings is read, so the stream itself is set aside; it is shown if the import
    fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A user's Keras configuration may name another backend.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            with _hidden("sklearn", "matplotlib"):
                import tensorflow

            tensorflow.config.list_physical_devices()
            # Every network asked is traced once, which TensorFlow takes for tracing one too often.
            tensorflow.get_logger().setLevel("ERROR")
            # The same seed gives the same weights, whatever order threads end in.
            tensorflow.config.experimental.enable_op_determinism()
        except BaseException:
            aside.seek(0)
            os.write(stderr, aside.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Makes imports within find none of the packages, unless they are imported already.

    Keras, which TensorFlow imports, goes on without them; with them, a third of the whole import is for wrappers and
    pictures that no training asks for. Whoever imports one of them later gets it as ever.
    """
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]


def team() -> "Team":
    """Who trains together, by TF_CONFIG and the processors of this machine.

    Raises:
        UsageError: TF_CONFIG is there, but names no cluster with this process in it.
    """
    from training.team import Team

    try:
        return Team.of_environment()
    except ValueError as error:
        raise UsageError(f"TF_CONFIG can't be used ({error}); give it cluster.worker and task, or remove it.") from None
