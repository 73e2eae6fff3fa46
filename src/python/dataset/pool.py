"""Work on many files by a few threads, without holding what they have all made."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Progress = Callable[[int, int], None]  # files done, files in all
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_order(pool: Executor, work: Callable[[_In], _Out], items: Iterable[_In], ahead: int = 64) -> Iterator[_Out]:
    """`work` done on each item, in order, at most `ahead` of what is asked for: Executor.map queues all of them."""
    waiting: deque[Future[_Out]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
