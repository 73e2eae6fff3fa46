"""Which files the command classifies, and what became of each."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from serving.client.client import Prediction
from serving.client.errors import ClientError, Unauthenticated, Unavailable

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif"}
# Enough to keep an adapter busy, well below what it turns away.
_AT_ONCE = 8


@dataclass(frozen=True)
class Outcome:
    """One file's answer, or why it has none."""

    file: str
    prediction: Prediction | None = None
    error: str | None = None

    def as_json(self) -> dict[str, object]:
        if self.prediction is None:
            return {"file": self.file, "error": self.error}
        answer = self.prediction
        return {"file": self.file, "label": answer.label, "scores": answer.scores, "version": answer.version}


def expand(paths: Iterable[Path]) -> list[Path]:
    """The files of `paths`: a folder stands for the PNG and JPEG files in it and below, in order of their names."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.suffix.lower() in _IMAGE_SUFFIXES and p.is_file())
        else:
            files.append(path)
    return files


def classify_all(files: list[Path], classify: Callable[[bytes], Prediction]) -> Iterator[Outcome]:
    """What became of each file, in order, several at a time; a bad file is an outcome too.

    Raises:
        Unauthenticated, Unavailable: there is nobody to ask, for this file as for the rest.
    """

    def one(path: Path) -> Outcome:
        try:
            return Outcome(str(path), prediction=classify(path.read_bytes()))
        except OSError as error:
            # The absolute path: ./pants runs the program in its own folder, not in the caller's.
            why = (error.strerror or str(error)).lower()
            return Outcome(str(path), error=f"{path.absolute()} can't be read: {why}.")
        except (Unauthenticated, Unavailable):
            raise
        except ClientError as error:
            return Outcome(str(path), error=str(error))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            yield from pool.map(one, files)
        finally:
            pool.shutdown(cancel_futures=True)
