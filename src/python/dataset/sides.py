"""Which image was on which side of the split, kept with a version: what came later has to fit in with that."""

import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np

from dataset.facts import PRINT_BYTES
from dataset.split import SPLITS

NAME = "sides.npy"  # of the report of a version
_DIGEST_BYTES = 16  # of the image's sha256: enough to tell images apart
_ROW = np.dtype(
    [("sha256", f"V{_DIGEST_BYTES}"), ("side", "u1"), ("telling", "?"), ("print", f"V{PRINT_BYTES}")], align=False
)


def _none() -> np.ndarray:
    return np.zeros(0, _ROW)


@dataclass(frozen=True)
class Sides:
    """Of a version and all its ancestors. `complete` is False where one of them kept no such list."""

    rows: np.ndarray = field(default_factory=_none)
    complete: bool = True
    _by_digest: dict[bytes, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for digest, side in zip(self.rows["sha256"], self.rows["side"], strict=True):
            # Of two versions that are held against each other, one may have trained on what tests the other.
            self._by_digest[digest.tobytes()] = min(int(side), self._by_digest.get(digest.tobytes(), len(SPLITS)))

    def of(self, sha256: str) -> str | None:
        """One of SPLITS for the image whose bytes have this digest; None for one that came later."""
        side = self._by_digest.get(bytes.fromhex(sha256)[:_DIGEST_BYTES])
        return None if side is None else SPLITS[side]

    def absent(self, present: Iterable[str]) -> "Sides":
        """What is known of images that are not among `present`, and have a perceptual hash."""
        here = {bytes.fromhex(sha256)[:_DIGEST_BYTES] for sha256 in present}
        keep = [
            bool(telling) and digest.tobytes() not in here
            for digest, telling in zip(self.rows["sha256"], self.rows["telling"], strict=True)
        ]
        return Sides(self.rows[keep], self.complete)

    def prints(self) -> list[bytes]:
        return [one.tobytes() for one in self.rows["print"]]

    def grown(self, images: Iterable[tuple[str, str, bytes]]) -> "Sides":
        """With the (sha256, side, perceptual hash or nothing) of images as they are split now."""
        now = {
            bytes.fromhex(sha256)[:_DIGEST_BYTES]: (SPLITS.index(side), bool(shown), shown[:PRINT_BYTES])
            for sha256, side, shown in images
        }
        before = [row for row in self.rows if row["sha256"].tobytes() not in now]
        rows = np.zeros(len(before) + len(now), _ROW)
        for place, row in enumerate(before):
            rows[place] = row
        for place, (digest, (side, telling, shown)) in enumerate(sorted(now.items()), len(before)):
            rows[place] = (np.void(digest), side, telling, np.void(shown.ljust(PRINT_BYTES, b"\0")))
        return Sides(rows)

    def as_bytes(self) -> bytes:
        stream = io.BytesIO()
        np.save(stream, self.rows, allow_pickle=False)
        return stream.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes | None) -> "Sides":
        """What `as_bytes` wrote; not `complete` where it is missing or something else."""
        try:
            rows = np.load(io.BytesIO(content or b""), allow_pickle=False)
            if rows.dtype == _ROW and rows.ndim == 1 and (rows["side"] < len(SPLITS)).all():
                return cls(rows)
        except (ValueError, OSError, EOFError):
            pass
        return cls(complete=False)

    @classmethod
    def together(cls, several: Collection["Sides"]) -> "Sides":
        """Where several versions are judged by the same images: what one of them saw is seen."""
        return cls(np.concatenate([_none(), *(one.rows for one in several)]), all(one.complete for one in several))
