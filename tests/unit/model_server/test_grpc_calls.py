"""Which gRPC calls take a thread, and what becomes of those whose client leaves; with functions in place of a model."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import inference_pb2, predict_pb2

from serving.model_server import grpc_calls
from serving.model_server.batching import Batcher
from serving.model_server.batching_parameters import BatchingParameters
from serving.model_server.dtypes import Tensor
from serving.model_server.errors import ServingError
from serving.model_server.grpc_calls import Calls, Threads
from serving.model_server.metrics import Metrics
from serving.model_server.model import Plan
from serving.model_server.predict import PredictOptions


class Model:
    """Answers `rows` numbers for each one it gets; remembers in which threads it was planned."""

    def __init__(self, batcher: Batcher | None, width: int = 1) -> None:
        self.signatures = {"serving_default": SimpleNamespace(method_name="tensorflow/serving/predict")}
        self.planned: list[str] = []
        self.gate, self.began = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self._width, self._plan = width, None
        self._batcher = batcher

    def plan(self, signature: str, outputs: tuple[str, ...] = ()) -> Plan:
        self.planned.append(threading.current_thread().name)
        tensor = Tensor("x", "x:0", types_pb2.DT_FLOAT)
        self._plan = Plan([tensor], [tensor], {}, self, self._batcher)  # type: ignore[assignment]
        return self._plan  # type: ignore[return-value]

    def made_plan(self, signature: str, outputs: tuple[str, ...] = ()) -> Plan | None:
        return self._plan

    def __call__(self, array: Any) -> list[Any]:
        self.began.release()
        assert self.gate.wait(20)
        return [np.repeat(array.reshape(-1, 1), self._width, axis=1)]


class Served:
    """Calls on a model, with what was counted and how often a thread was asked for."""

    def __init__(self, model: Model, **options: bool) -> None:
        self.metrics, self.asked, self.whole = Metrics(), 0, []
        threads = Threads(2, "predict")
        run = threads.run

        async def counted(work: Any) -> Any:
            self.asked += 1
            return await run(work)

        threads.run = counted  # type: ignore[method-assign]
        leased = SimpleNamespace(model=model, version=SimpleNamespace(number=3))

        def predict(request: Any) -> Any:
            self.whole.append(threading.current_thread().name)
            return predict_pb2.PredictResponse()

        handlers: Any = SimpleNamespace(
            lease=lambda request: nullcontext(leased), options=PredictOptions(**options), predict=predict
        )
        self.calls = Calls(handlers, self.metrics, threads)

    def counted(self, status: str) -> int:
        return self.metrics.requests._values.get(("m", status), 0)


def request(*values: float) -> bytes:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "m"
    tensor = message.inputs["x"]
    tensor.dtype = types_pb2.DT_FLOAT
    tensor.tensor_shape.dim.add(size=len(values))
    tensor.tensor_content = np.array(values, np.float32).tobytes()
    return message.SerializeToString()


def numbers(data: bytes) -> list[float]:
    return list(predict_pb2.PredictResponse.FromString(data).outputs["x"].float_val)


def test_a_small_request_that_goes_into_a_batch_takes_no_thread_but_to_plan_it_the_first_time():
    model = Model(Batcher(BatchingParameters(max_batch_size=8, threads=1)))

    async def story() -> None:
        served = Served(model)
        for _ in range(3):
            assert numbers(await served.calls.predict(request(1, 2))) == [1, 2]
        assert served.asked == 1 and [name.split("_")[0] for name in model.planned] == ["predict"]
        assert served.counted("OK") == 3

    asyncio.run(story())


def test_without_batching_each_runs_in_a_thread():
    async def story() -> None:
        served = Served(Model(None))
        assert numbers(await served.calls.predict(request(4))) == [4]
        assert served.asked == 2

    asyncio.run(story())


def test_what_is_large_is_read_and_written_in_a_thread(monkeypatch):
    monkeypatch.setattr(grpc_calls, "_SMALL", 200)

    async def story() -> None:
        model = Model(Batcher(BatchingParameters(max_batch_size=100, threads=1)), width=60)
        served = Served(model)
        assert len(numbers(await served.calls.predict(request(7)))) == 60
        assert served.asked == 2  # to plan it, and to write 240 bytes
        await served.calls.predict(request(*range(60)))
        assert [name.split("_")[0] for name in served.whole] == ["predict"]
        assert served.counted("OK") == 2

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["large by its shape", "many"])
def test_a_small_message_whose_arrays_take_time_is_read_in_a_thread(kind):
    message = predict_pb2.PredictRequest.FromString(request(1))
    if kind == "many":
        for number in range(100):
            message.inputs[str(number)].CopyFrom(message.inputs["x"])
    else:
        tensor = message.inputs["x"]
        tensor.tensor_content = b""
        tensor.float_val.append(5)
        tensor.tensor_shape.dim[0].size = 200_000
    batcher = Batcher(BatchingParameters(max_batch_size=200_000, threads=1))

    async def story() -> None:
        served = Served(Model(batcher))
        await served.calls.predict(request(1))
        before = served.asked
        if kind == "many":
            with pytest.raises(ServingError, match="input size does not match"):
                await served.calls.predict(message.SerializeToString())
            assert served.asked == before + 1
        else:
            assert len(numbers(await served.calls.predict(message.SerializeToString()))) == 200_000
            assert served.asked == before + 2  # its answer is written there too

    asyncio.run(story())


def test_a_client_that_leaves_is_counted_so_and_its_rows_leave_the_batch():
    batcher = Batcher(BatchingParameters(max_batch_size=8, threads=1))
    model = Model(batcher)

    async def story() -> None:
        served = Served(model)
        await served.calls.predict(request(1))
        model.gate.clear()
        while model.began.acquire(blocking=False):
            pass
        runs = asyncio.create_task(served.calls.predict(request(1)))
        assert await asyncio.to_thread(model.began.acquire, timeout=20)
        leaves, stays = (asyncio.create_task(served.calls.predict(request(value))) for value in (2, 3))
        await until(lambda: waiting(batcher) == 2)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert waiting(batcher) == 1
        model.gate.set()
        assert numbers(await runs) == [1] and numbers(await stays) == [3]
        assert (served.counted("OK"), served.counted("CANCELLED")) == (3, 1)

    asyncio.run(story())


def test_the_method_name_of_a_signature_is_checked_each_time():
    model = Model(Batcher(BatchingParameters(max_batch_size=8, threads=1)))
    model.signatures["serving_default"].method_name = "something/else"

    async def story() -> None:
        served = Served(model, check_method_name=True)
        for _ in range(2):
            with pytest.raises(ServingError, match="method_name"):
                await served.calls.predict(request(1))
        assert served.counted("INTERNAL") == 2

    asyncio.run(story())


def test_several_inferences_are_counted_as_one_request():
    asked = inference_pb2.MultiInferenceRequest()
    for _ in range(2):
        asked.tasks.add().model_spec.name = "m"

    async def story() -> None:
        served = Served(Model(None))
        request, data = inference_pb2.MultiInferenceRequest, asked.SerializeToString()
        assert await served.calls.in_a_thread("MultiInference", lambda message: message, request, data) == data
        assert served.counted("OK") == 1

    asyncio.run(story())


def waiting(batcher: Batcher) -> int:
    return sum(batch.size for queue in batcher._queues.values() for batch in queue)


async def until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.005)
