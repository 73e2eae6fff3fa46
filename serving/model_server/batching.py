"""Runs requests that wait at the same time as one, as --enable_batching asks for."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import grpc
import numpy as np

from serving.model_server.batching_parameters import BatchingParameters
from serving.model_server.callers import deadline, ending_at, wait_for
from serving.model_server.errors import ServingError, failed_precondition, invalid
from serving.model_server.long_runs import LongRuns

Array = np.ndarray[Any, Any]
Call = Callable[..., list[Array]]
Result = Future[list[Array]]
End = Callable[[], None]
# While the cores are busy, about the time from a request's answer until its client's next one waits here.
_AROUND_SECONDS = 0.6e-3
# Of those that wait or run, as many at most are on their way so: a tiny model is run the better in large batches.
_MOST_ON_THEIR_WAY = 0.5


class _Part(Future[list[Array]]):
    """What a request, or a part of it, waits for, and until when."""

    def __init__(self) -> None:
        super().__init__()
        self.until = deadline()


@dataclass(eq=False)
class _Batch:
    due: float
    chosen: BatchingParameters
    size: int = 0
    tasks: list[tuple[list[Array], _Part]] = field(default_factory=list)

    def add(self, feeds: list[Array], result: _Part) -> None:
        self.tasks.append((feeds, result))
        self.size += len(feeds[0])

    def first(self, most: int) -> _Batch:
        """Takes the first of it out, of at most so many rows but of one request at least."""
        first = _Batch(self.due, self.chosen)
        while self.tasks and (not first.tasks or first.size + len(self.tasks[0][0][0]) <= most):
            first.add(*self.tasks.pop(0))
        self.size -= first.size
        return first

    @property
    def until(self) -> float | None:
        """When the last of its clients goes."""
        ends = [result.until for _, result in self.tasks]
        known = [end for end in ends if end is not None]
        return max(known) if len(known) == len(ends) else None


@dataclass
class _UnderWay:
    """What runs now of one model."""

    runs: int = 0
    rows: int = 0


class Batcher:
    """Queues of requests, one for each callable and shape of rows, and threads that run them.

    A request waits at most `timeout_seconds` for others while a thread is free; if that is no time, its own thread
    runs it. Rows of different shape share a batch only where they are padded to the largest, and a batch that fails is
    run again one by one, so that a bad request fails alone.

    Without such a time, and without sizes that rows are padded to, a thread leaves the model's others as much as it
    takes: closed loops of clients would end up in one large batch, beside which all other cores have nothing to do.
    """

    def __init__(self, chosen: BatchingParameters, long_runs: LongRuns | None = None) -> None:
        self._chosen = chosen
        self._long_runs = long_runs or LongRuns()
        self._long_runs.when_ended(self._look_again)
        self.most_rows = chosen.max_batch_size
        self._queues: dict[tuple[Any, ...], deque[_Batch]] = {}
        self._changed = threading.Condition()
        self._under_way: dict[int, _UnderWay] = {}
        self._row_seconds: WeakKeyDictionary[Call, float] = WeakKeyDictionary()
        # One more than may run batches of one model, so that no model takes all.
        for _ in range(chosen.threads + 1):
            threading.Thread(target=self._work, name="batch", daemon=True).start()

    def run(self, call: Call, feeds: list[Array], chosen: BatchingParameters | None = None) -> list[Array]:
        """`call(*feeds)`, together with others. Raises ServingError when it cannot be queued, or what `call` raises.

        `chosen`: what holds for this model in place of the common sizes and times; its number of threads does not.
        """
        chosen = chosen or self._chosen
        key = _checked(call, feeds, chosen)
        rows = len(feeds[0])
        end = self._begun_at_once(key, rows, chosen) if rows <= chosen.execution_size else None
        if end is not None:
            try:
                return _run_one(chosen, call, feeds)
            finally:
                self._ended(call, rows, end)
        return joined([wait_for(result) for result in self._in_parts(key, feeds, chosen)])

    def begin(self, call: Call, feeds: list[Array], chosen: BatchingParameters | None = None) -> list[Result]:
        """As `run`, for who does not wait in a thread: the outputs to come of each part of the request, in order.

        They are `joined` to the request's own. One that is cancelled before its turn is not run.
        """
        chosen = chosen or self._chosen
        return self._in_parts(_checked(call, feeds, chosen), feeds, chosen)

    def _in_parts(self, key: tuple[Any, ...], feeds: list[Array], chosen: BatchingParameters) -> list[Result]:
        most = chosen.execution_size
        parts = [feeds] if len(feeds[0]) <= most else _split(feeds, most)
        return [self._queue(key, part, chosen) for part in parts]

    def _begun_at_once(self, key: tuple[Any, ...], rows: int, chosen: BatchingParameters) -> End | None:
        """Takes one of the model's places for this very thread, when nobody waits and none is to be waited for.

        Two threads that hand a request to each other cost more than the rest of the server.
        """
        with self._changed:
            if chosen.timeout_seconds or key in self._queues or not self._has_place(key[0]):
                return None
            end = self._long_runs.begin(key[0])
            if end is not None:
                self._began(key[0], rows)
            return end

    def _has_place(self, call: Call) -> bool:
        return self._now(call).runs < self._chosen.threads

    def _now(self, call: Call) -> _UnderWay:
        return self._under_way.get(id(call)) or _UnderWay()

    def _began(self, call: Call, rows: int) -> None:
        under_way = self._under_way.setdefault(id(call), _UnderWay())
        under_way.runs += 1
        under_way.rows += rows

    def _look_again(self) -> None:
        with self._changed:
            self._changed.notify()

    def _ended(self, call: Call, rows: int, end: End) -> None:
        end()
        with self._changed:
            under_way = self._under_way[id(call)]
            under_way.runs -= 1
            under_way.rows -= rows
            if not under_way.runs:
                del self._under_way[id(call)]
            self._changed.notify()

    def _queue(self, key: tuple[Any, ...], feeds: list[Array], chosen: BatchingParameters) -> Result:
        result = _Part()
        with self._changed:
            batch = self._open_batch(key, len(feeds[0]), chosen)
            batch.add(feeds, result)
            # Where all places are taken, the end of a run tells.
            if self._has_place(key[0]):
                self._changed.notify()
        result.add_done_callback(lambda _: self._drop(key, batch, result) if result.cancelled() else None)
        return result

    def _drop(self, key: tuple[Any, ...], batch: _Batch, abandoned: Result) -> None:
        """Nobody waits for it any longer: its rows leave room for others', and a batch without any for another."""
        with self._changed:
            for task in batch.tasks:
                if task[1] is abandoned:
                    batch.tasks.remove(task)
                    batch.size -= len(task[0][0])
                    break
            queue = self._queues.get(key)
            if queue and not batch.tasks and batch in queue:
                queue.remove(batch)
                if not queue:
                    del self._queues[key]

    def _open_batch(self, key: tuple[Any, ...], size: int, chosen: BatchingParameters) -> _Batch:
        queue = self._queues.setdefault(key, deque())
        if queue and queue[-1].size + size <= chosen.execution_size:
            return queue[-1]
        if len(queue) >= chosen.max_enqueued_batches:
            raise ServingError(
                grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
            )
        queue.append(_Batch(time.monotonic() + chosen.timeout_seconds, chosen))
        return queue[-1]

    def _work(self) -> None:
        while True:
            call, batch, end = self._next()
            began = time.perf_counter()
            try:
                self._execute(call, batch)
            except BaseException as error:
                for _, result in batch.tasks:
                    if not result.done():
                        result.set_exception(error)
            finally:
                self._row_seconds[call] = (time.perf_counter() - began) / max(1, batch.size)
                self._ended(call, batch.size, end)

    def _next(self) -> tuple[Call, _Batch, End]:
        """The batch that has been due for longest: full, followed by another, or past its time."""
        with self._changed:
            while True:
                now = time.monotonic()
                first: tuple[tuple[Any, ...], float] | None = None
                for key, queue in self._queues.items():
                    if not self._has_place(key[0]) or not self._long_runs.may_begin(key[0]):
                        continue
                    full = len(queue) > 1 or queue[0].size >= queue[0].chosen.execution_size
                    due = min(queue[0].due, now) if full else queue[0].due
                    if first is None or due < first[1]:
                        first = (key, due)
                if first is not None and first[1] <= now:
                    # Taken before the batch, as its clients may still leave as long as there is no place for it.
                    end = self._long_runs.begin(first[0][0])
                    if end is None:
                        continue
                    batch = self._take(first[0])
                    # From here on a client that goes away changes nothing.
                    batch.tasks = [task for task in batch.tasks if task[1].set_running_or_notify_cancel()]
                    batch.size = sum(len(feeds[0]) for feeds, _ in batch.tasks)
                    if not batch.tasks:
                        end()
                        continue
                    self._began(first[0][0], batch.size)
                    return first[0][0], batch, end
                self._changed.wait(None if first is None else first[1] - now)

    def _take(self, key: tuple[Any, ...]) -> _Batch:
        """The first batch that waits there, or its beginning."""
        queue = self._queues[key]
        batch = queue[0]
        if self._chosen.threads > 1 and not batch.chosen.timeout_seconds and not batch.chosen.allowed_batch_sizes:
            # What is left stays the batch that it was, from which clients may still leave.
            batch = batch.first(self._share(key[0], batch.size))
            if queue[0].tasks:
                self._changed.notify()
                return batch
        queue.popleft()
        if not queue:
            del self._queues[key]
        return batch

    def _share(self, call: Call, waiting: int) -> int:
        """How many rows each thread gets of those that wait and run, if some more are on their way."""
        on_their_way = min(_MOST_ON_THEIR_WAY, _AROUND_SECONDS / self._row_seconds.get(call, math.inf))
        return math.ceil((self._now(call).rows + waiting) / (1 + on_their_way) / self._chosen.threads)

    def _execute(self, call: Call, batch: _Batch) -> None:
        if len(batch.tasks) > 1:
            until = batch.until
            try:
                with ending_at(until):
                    parts = _run_together(call, batch)
            except Exception:
                if until is not None and time.monotonic() >= until:
                    raise  # for whom would each be run again?
                parts = None
            if parts is not None:
                for (_, result), part in zip(batch.tasks, parts, strict=True):
                    result.set_result(part)
                return
        for feeds, result in batch.tasks:
            try:
                with ending_at(result.until):
                    result.set_result(_run_one(batch.chosen, call, feeds))
            except Exception as error:
                result.set_exception(error)


class ModelBatcher:
    """A batcher for one model that has sizes and times of its own; the threads are everybody's."""

    def __init__(self, batcher: Batcher, chosen: BatchingParameters) -> None:
        self._batcher = batcher
        self._chosen = chosen
        self.most_rows = chosen.max_batch_size

    def run(self, call: Call, feeds: list[Array]) -> list[Array]:
        """See Batcher."""
        return self._batcher.run(call, feeds, self._chosen)

    def begin(self, call: Call, feeds: list[Array]) -> list[Result]:
        """See Batcher."""
        return self._batcher.begin(call, feeds, self._chosen)


def joined(parts: list[list[Array]]) -> list[Array]:
    """The outputs of a request from those of its parts."""
    return parts[0] if len(parts) == 1 else [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def _checked(call: Call, feeds: list[Array], chosen: BatchingParameters) -> tuple[Any, ...]:
    """What requests that may run together have in common. Raises ServingError for one that can't be in a batch."""
    if not feeds:
        raise invalid("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in feeds):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    size = len(feeds[0])
    if any(len(array) != size for array in feeds):
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    if size > chosen.max_batch_size:
        raise invalid(f"Task size {size} is larger than maximum input batch size {chosen.max_batch_size}")
    return (call, *(array.ndim if chosen.pad_variable_length else array.shape[1:] for array in feeds))


def _run_one(chosen: BatchingParameters, call: Call, feeds: list[Array]) -> list[Array]:
    return [output[: len(feeds[0])] for output in _run_padded(chosen, call, feeds)]


def _run_together(call: Call, batch: _Batch) -> list[list[Array]]:
    outputs = _run_padded(
        batch.chosen,
        call,
        [np.concatenate(_padded(columns)) for columns in zip(*(t[0] for t in batch.tasks), strict=True)],
    )
    parts, start = [], 0
    for feeds, _ in batch.tasks:
        end = start + len(feeds[0])
        parts.append([output[start:end] for output in outputs])
        start = end
    return parts


def _run_padded(chosen: BatchingParameters, call: Call, feeds: list[Array]) -> list[Array]:
    size = len(feeds[0])
    padded = next((allowed for allowed in chosen.allowed_batch_sizes if allowed >= size), size)
    if 0 < size < padded:
        feeds = [np.concatenate([array, np.repeat(array[:1], padded - size, axis=0)]) for array in feeds]
    outputs = call(*feeds)
    if any(output.ndim == 0 or len(output) != len(feeds[0]) for output in outputs):
        raise failed_precondition(
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
            "input tensors"
        )
    return outputs


def _split(feeds: list[Array], most: int) -> list[list[Array]]:
    """The rows of a request in parts of at most `most`."""
    return [[array[start : start + most] for array in feeds] for start in range(0, len(feeds[0]), most)]


def _padded(arrays: Sequence[Array]) -> Sequence[Array]:
    """Arrays of one rank, all with the largest of their sizes but for the rows; filled up with each one's first value.

    Raises:
        ServingError: one without a value has to be filled up.
    """
    largest = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
    if all(array.shape[1:] == largest for array in arrays):
        return arrays
    filled = []
    for array in arrays:
        if not array.size:
            raise invalid("Got empty tensor in batch of non-empty tensors.")
        wide = np.full((len(array), *largest), array.flat[0], array.dtype)
        wide[tuple(slice(size) for size in array.shape)] = array
        filled.append(wide)
    return filled
