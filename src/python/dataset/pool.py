"""Work on many files by a few threads, without holding what they have all made."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

Progress = Callable[[int, int], None]  # files done, files in all
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_order(
    pool: Executor, work: Callable[[_In], _Out], items: Iterable[_In], ahead: int = 64, at_once: int = 1
) -> Iterator[_Out]:
    """`work` done on each item, in order, at most `ahead` calls of what is asked for: Executor.map queues all of them.

    Where the work on one is small beside handing it over, a call takes `at_once` of them.
    """
    waiting: deque[Future[list[_Out]]] = deque()
    rest = iter(items)
    while some := list(islice(rest, at_once)):
        waiting.append(pool.submit(lambda some: [work(one) for one in some], some))
        if len(waiting) >= ahead:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()
