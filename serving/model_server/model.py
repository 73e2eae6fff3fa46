"""One loaded SavedModel: a session and, per signature, a callable. None of the model's Python code runs."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session as tf_session

from serving.model_server.batching import Batcher, ModelBatcher, Result, joined
from serving.model_server.callers import Places, cores, deadline
from serving.model_server.constants import constant, with_constants
from serving.model_server.dtypes import Tensor, dtype_name
from serving.model_server.errors import failed_precondition, invalid, not_found
from serving.model_server.long_runs import GivingWay, Least, LongRuns, lowered
from serving.model_server.tensors import numpy_dtype, to_array

Array = np.ndarray[Any, Any]
DEFAULT_SIGNATURE = "serving_default"
# Of a run: which API asked for it ("Predict", "Classify", "Regress"), and its seconds.
Observe = Callable[[str, float], None]
# Waits, in an event loop, for what a thread does.
Over = Callable[[Result], Awaitable[list[Array]]]
_UNKNOWN_OPERATION = re.compile("Op type not registered '([^']+)'")
# Of all sessions together. One thread each: several in one look for work in each other's places, at a core's cost.
_GIVING_WAY = [
    config_pb2.ThreadPoolOptionProto(num_threads=1, global_name=f"giving-way-{number}") for number in range(cores())
]
_LEAST = Least(len(_GIVING_WAY))
_CALLABLES_KEPT = 64  # one per signature and output filter: a client must not fill memory with combinations


@dataclass(frozen=True)
class Threads:
    """Thread pools of a session: `intra` inside one operation; `inter` between them, 0 for the caller's thread."""

    intra: int = 1
    inter: int = 0


class Plan:
    """A signature with a choice of outputs, ready to be called with arrays."""

    def __init__(
        self,
        inputs: list[Tensor],
        outputs: list[Tensor],
        defaults: dict[str, Array],
        call: Callable[..., list[Array]],
        batcher: Batcher | ModelBatcher | None = None,
        observe: Observe = lambda api, seconds: None,
        places: Places | None = None,
        long_runs: LongRuns | None = None,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._aliases = frozenset(tensor.alias for tensor in inputs)
        self._expected = [(tensor.alias, numpy_dtype(tensor.dtype)) for tensor in inputs]
        self._defaults = defaults
        self._call = call
        self._batcher = batcher
        self._observe = observe
        self._places = places or Places()
        self._long_runs = long_runs or LongRuns()
        # Of one request, when requests are run together.
        self.most_rows = batcher.most_rows if batcher is not None else None

    def run(self, arrays: dict[str, Array], api: str = "Predict") -> list[Array]:
        """The outputs, in the order of `self.outputs`. Raises ServingError or TensorFlow's errors."""
        feeds = self._feeds(arrays)
        with self._observed(api):
            if self._batcher is not None:
                return self._batcher.run(self._call, feeds)
            with self._places, self._long_runs.turn(self._call):
                return self._call(*feeds)

    async def run_batched(self, arrays: dict[str, Array], over: Over, api: str = "Predict") -> list[Array]:
        """As `run`, where `batched`, in no thread of its own: `over` waits for what a thread of the batcher does."""
        assert self._batcher is not None
        feeds = self._feeds(arrays)
        with self._observed(api):
            return joined([await over(part) for part in self._batcher.begin(self._call, feeds)])

    @property
    def batched(self) -> bool:
        """Whether requests that wait at the same time run together."""
        return self._batcher is not None

    def _feeds(self, arrays: dict[str, Array]) -> list[Array]:
        if arrays.keys() != self._aliases:
            arrays = self._completed(arrays)
        feeds = []
        for position, (alias, dtype) in enumerate(self._expected):
            array = arrays[alias]
            if array.dtype != dtype:
                wanted = dtype_name(self.inputs[position].dtype)
                raise invalid(f"Expects arg[{position}] to be {wanted} but {array.dtype.name} is provided")
            feeds.append(array)
        return feeds

    @contextlib.contextmanager
    def _observed(self, api: str) -> Iterator[None]:
        """Around a run; one that fails is not measured."""
        started = time.perf_counter()
        yield
        self._observe(api, time.perf_counter() - started)

    def _completed(self, arrays: dict[str, Array]) -> dict[str, Array]:
        complete = {**self._defaults, **arrays}
        if complete.keys() == self._aliases:
            return complete
        sent, known = sorted(arrays), sorted(self._aliases)
        extra = [alias for alias in sent if alias not in self._aliases]
        if len(sent) == len(known):
            raise invalid(
                f"input tensor alias not found in signature: {extra[0]}. "
                f"Inputs expected to be in the set {{{','.join(known)}}}."
            )
        missing = [alias for alias in known if alias not in complete]
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(known)} len({{{','.join(sent)}}}) != "
            f"len({{{','.join(known)}}}). Sent extra: {{{','.join(extra)}}}. "
            f"Missing but required: {{{','.join(missing)}}}."
        )


class SavedModel:
    """A SavedModel in a TensorFlow session.

    A session serves TF1 and TF2 models alike (as TensorFlow Serving does); measured with a callable that runs in the
    caller's thread it is also faster than a concrete function: 15 µs a call against 330 µs for a tiny model.
    """

    def __init__(
        self,
        path: str,
        threads: Threads = Threads(),
        tags: Sequence[str] = ("serve",),
        batcher: Batcher | ModelBatcher | None = None,
        observe: Observe = lambda api, seconds: None,
        session: config_pb2.ConfigProto | None = None,
        constants: bool = True,
        long_runs: LongRuns | None = None,
    ) -> None:
        """Load the version folder `path`; `session`, where given, decides on threads too.

        `constants`: whether variables that nothing writes may be taken for constants. `long_runs`: of all models.

        Raises ServingError for a folder without a model, or without the graph with these tags, or TensorFlow's errors.
        """
        config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=threads.intra, inter_op_parallelism_threads=max(threads.inter, 1)
        )
        if session is not None:
            config = config_pb2.ConfigProto.FromString(session.SerializeToString())
            threads = Threads(session.intra_op_parallelism_threads, session.inter_op_parallelism_threads)
        self._giving_way = _add_threads_that_give_way(config)
        self.path = path
        self._batcher = batcher
        self._observe = observe
        self._places = Places()
        self._long_runs = long_runs or LongRuns()
        self._in_caller = threads.inter == 0
        self.session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with self.session.graph.as_default(), _plain(path) as folder:
                graph = tf.compat.v1.saved_model.loader.load(self.session, list(tags), folder)
        except BaseException as error:
            self.session.close()
            if isinstance(error, OSError):
                raise not_found(
                    f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
                ) from None
            if isinstance(error, RuntimeError):
                wanted = " ".join(tags)
                raise not_found(f"Could not find meta graph def matching supplied tags: {{ {wanted} }}") from None
            if unknown := _UNKNOWN_OPERATION.search(str(error)):
                raise not_found(
                    f"Op type not registered '{unknown[1]}': this operation is not in TensorFlow's own package, as "
                    "those of TensorFlow Text, Decision Forests and other libraries are not. Export the model without "
                    "it and let the client do that step, or serve it with TensorFlow Serving where that has it."
                ) from None
            raise
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(graph.signature_def)
        outputs = [tensor.name for signature in self.signatures.values() for tensor in signature.outputs.values()]
        self.constants = with_constants(self.session, filter(None, outputs)) if constants else frozenset()
        self._plans: dict[tuple[str, tuple[str, ...]], Plan] = {}
        self._callable = functools.lru_cache(_CALLABLES_KEPT)(self._make_callable)

    def call(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[Array]]:
        """A callable from arrays for the tensors named `feeds` to arrays of the tensors named `fetches`."""
        return self._callable(feeds, fetches)

    def close(self) -> None:
        """Free the session; calls that still run must have ended."""
        self._plans.clear()
        self._callable.cache_clear()
        self.session.close()

    def plan(self, signature_name: str, output_filter: tuple[str, ...] = ()) -> Plan:
        """How to run a signature, with all outputs or these. Raises ServingError for one that the model does not have.

        The first time for each choice takes milliseconds, and more for a large graph.
        """
        plan = self.made_plan(signature_name, output_filter)
        if plan is None:
            plan = self._make_plan(signature_name, output_filter)
            if len(self._plans) >= _CALLABLES_KEPT:
                self._plans.clear()
            self._plans[signature_name, output_filter] = plan
        return plan

    def made_plan(self, signature_name: str, output_filter: tuple[str, ...] = ()) -> Plan | None:
        """The plan, if it is there already."""
        return self._plans.get((signature_name, output_filter))

    def _make_plan(self, signature_name: str, output_filter: tuple[str, ...]) -> Plan:
        signature = self.signatures.get(signature_name)
        if signature is None:
            raise failed_precondition(f'Serving signature key "{signature_name}" not found.')
        aliases = list(output_filter) or sorted(signature.outputs)
        for position, alias in enumerate(aliases):
            if alias not in signature.outputs:
                known = ",".join(sorted(signature.outputs))
                raise invalid(
                    f"output tensor alias not found in signature: {alias} "
                    f"Outputs expected to be in the set {{{known}}}."
                )
            if alias in aliases[:position]:
                raise invalid(f"duplicate output tensor alias: {alias}")
        inputs = [self._tensor(alias, info) for alias, info in sorted(signature.inputs.items())]
        outputs = [self._tensor(alias, signature.outputs[alias]) for alias in aliases]
        defaults = {alias: to_array(proto, alias) for alias, proto in signature.defaults.items()}
        call = self.call(tuple(tensor.name for tensor in inputs), tuple(tensor.name for tensor in outputs))
        return Plan(inputs, outputs, defaults, call, self._batcher, self._observe, self._places, self._long_runs)

    def _make_callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[Array]]:
        if all(name.partition(":")[0] in self.constants for name in feeds + fetches):
            feeds, fetches = tuple(map(constant, feeds)), tuple(map(constant, fetches))
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        if self._in_caller:
            options.run_options.inter_op_thread_pool = -1
        # The public Session.make_callable takes no RunOptions, and hands every call over to a thread pool.
        make = self.session._make_callable_from_options
        run = make(options)

        def call(*arrays: Array) -> list[Array]:
            return _arrays(run(*arrays))

        if not self._in_caller:
            return call
        return GivingWay(call, functools.partial(self._make_giving_way, feeds, fetches), self._long_runs)

    def _make_giving_way(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[Array]]:
        """The same by a thread of lower priority.

        Not by a callable, which belongs to one pool of threads, and is the graph once more, optimized once more.
        """
        tensor = self.session.graph.get_tensor_by_name
        inputs, outputs = ([tensor(name)._as_tf_output() for name in names] for names in (feeds, fetches))

        def call(*arrays: Array) -> list[Array]:
            options = config_pb2.RunOptions(timeout_in_ms=_milliseconds_left())
            with _LEAST.one() as pool:
                options.inter_op_thread_pool = self._giving_way + pool
                fed = dict(zip(inputs, arrays, strict=True))
                with _buffer(options) as said:
                    return _arrays(self.session._call_tf_sessionrun(said, fed, outputs, [], None))

        return call

    def _tensor(self, alias: str, info: meta_graph_pb2.TensorInfo) -> Tensor:
        if not info.name:
            raise invalid(f"Tensor {alias} of the signature is sparse or composite; only dense tensors are served.")
        try:
            # The graph knows the type; signatures of old models are wrong about it, or name a reference to it.
            dtype = self.session.graph.get_tensor_by_name(info.name).dtype.base_dtype
        except (KeyError, ValueError):
            raise invalid(f"Tensor {info.name} of the signature is not in the graph.") from None
        return Tensor(alias, info.name, dtype.as_datatype_enum)


def _arrays(outputs: Sequence[Any]) -> list[Array]:
    """A scalar comes back as a bare value, and NumPy would cut the zero bytes off the end of a bare string."""
    return [np.array(out, object) if isinstance(out, bytes) else np.asarray(out) for out in outputs]


def _milliseconds_left() -> int:
    """Until nobody waits any longer for what is run here; 0 if nobody knows. TensorFlow ends loops then."""
    until = deadline()
    return 0 if until is None else max(1, math.ceil((until - time.monotonic()) * 1000))


@contextlib.contextmanager
def _buffer(options: config_pb2.RunOptions) -> Iterator[Any]:
    buffer = tf_session.TF_NewBufferFromString(options.SerializeToString())
    try:
        yield buffer
    finally:
        tf_session.TF_DeleteBuffer(buffer)


def _add_threads_that_give_way(config: config_pb2.ConfigProto) -> int:
    """Adds threads of lower priority to the pools that a session has between operations; the first one's number."""
    pools = config.session_inter_op_thread_pool
    if not pools:
        # The one that a session has without a list of them.
        between = config.inter_op_parallelism_threads
        pools.add(num_threads=between, global_name=f"between-{between}")
    _make_threads_that_give_way(config.intra_op_parallelism_threads)
    pools.extend(_GIVING_WAY)
    return len(pools) - len(_GIVING_WAY)


@functools.cache
def _make_threads_that_give_way(inside: int) -> None:
    """TensorFlow makes a pool that has a name once, for the first session that asks for it, and in its thread."""
    session = functools.partial(tf.compat.v1.Session, graph=tf.Graph())
    # The very first session also makes the threads inside operations, whose priority stays as it is.
    session(config=config_pb2.ConfigProto(intra_op_parallelism_threads=inside)).close()
    low = config_pb2.ConfigProto(intra_op_parallelism_threads=inside, session_inter_op_thread_pool=_GIVING_WAY)
    lowered(lambda: session(config=low).close())


@contextlib.contextmanager
def _plain(path: str) -> Iterator[str]:
    """`path`, or a link to it where its name would be a pattern to TensorFlow, which asks so for the variables."""
    if "://" in path or not set(path) & set("*?[]\\"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "model")
        os.symlink(os.path.abspath(path), link)
        yield link
