"""Several processes promote at the same time, round after round."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkContext
from typing import Any

from cli.errors import Conflict
from registry import Registry
from testkit.registries import promotable
from testkit.storage import BASE, Place, promote

_SECONDS = 120.0


@dataclass(frozen=True)
class Round:
    # What each process got: "won", "conflict", or what else became of it.
    results: tuple[str, ...]

    @property
    def clear(self) -> bool:
        """One won and all others were told that it is under way."""
        return sorted(self.results) == ["conflict"] * (len(self.results) - 1) + ["won"]


def contend(place: Place, rounds: int, promoters: int) -> list[Round]:
    """In round n all promoters promote version n; who wins goes on only after all others have ended."""
    registry = place.make(BASE)
    for _ in range(rounds):
        promotable(registry, place.folder / "models")
    context = get_context("fork")
    table = _Table(context, promoters)
    workers = [context.Process(target=_promoter, args=(place, table, rounds)) for _ in range(promoters)]
    for worker in workers:
        worker.start()
    # They come as they come, those of one round perhaps among those of the next.
    told = [table.results.get(timeout=_SECONDS) for _ in range(rounds * promoters)]
    for worker in workers:
        worker.join(_SECONDS)
    return [Round(tuple(result for told_of, result in told if told_of == n)) for n in range(1, rounds + 1)]


def check_journal(registry: Registry, rounds: int) -> None:
    """Every promotion stands in the journal once, in order, and says what it followed."""
    keys = registry.store.list("journal")
    assert keys == [f"journal/{number:08}.json" for number in range(1, 2 * rounds + 1)]  # as many were published
    entries = [entry for entry in registry.journal.entries() if entry.action == "promote"]
    assert [(entry.before, entry.after) for entry in entries] == [(n - 1 or None, n) for n in range(1, rounds + 1)]
    states = [record.state for record in registry.records()]
    assert states == ["retired"] * (rounds - 1) + ["production"]
    assert registry.serving().stable == rounds


class _Table:
    """What the processes of a contest share."""

    def __init__(self, context: ForkContext, promoters: int) -> None:
        self.start = context.Barrier(promoters)
        self.lost = context.Semaphore(0)
        self.results: Any = context.Queue()
        self.others = promoters - 1


def _promoter(place: Place, table: _Table, rounds: int) -> None:
    registry = place.open(BASE)
    for number in range(1, rounds + 1):
        waited = False

        def wait_for_the_others(step: str) -> None:
            nonlocal waited
            if not waited:
                waited = all(table.lost.acquire(timeout=_SECONDS) for _ in range(table.others))

        table.start.wait(_SECONDS)
        try:
            promote(registry, number, waiting=wait_for_the_others)
            result = "won"
        except Conflict as error:
            result = "conflict" if "is under way" in str(error) else f"unclear: {error}"
            table.lost.release()
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
            table.lost.release()
        table.results.put((number, result))
        table.start.wait(_SECONDS)
