"""What waits while the model works goes to it together, and everybody gets their own answer."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from imaging import ImageInput
from serving.adapter.backend import Scores, ServedVersion, StaleVersion
from serving.adapter.gathering import Gathering
from serving.adapter.limits import Limits
from serving.adapter.refusals import Fault, Unavailable
from tests.unit.adapter.fakes import FakeVersion, adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG
from tests.unit.adapter.waiting import decoded, wait_until

ONE, TWO = ServedVersion(1, ImageInput(8)), ServedVersion(2, ImageInput(8))
BAD = b"bad"


class Model:
    """Answers an image with its own bytes; waits while it is `held`."""

    def __init__(self):
        self.calls, self.now, self.most = [], 0, 0
        self.open = asyncio.Event()
        self.cancelled = 0
        self.error = None

    async def predict(self, version, images):
        self.calls.append((version.number, list(images)))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        if self.error:
            raise self.error
        if BAD in images:
            raise Fault("The answer contains NaN or infinity.")
        return [Scores((image.decode(),), (float(version.number),)) for image in images]


def run(story):
    """Runs `story(model, ask)`; `ask(version, *images)` is a task, begun in order."""

    async def told():
        model = Model()
        gathering = Gathering(model.predict, 4)

        async def ask(version, *images):
            task = asyncio.create_task(gathering.predict(version, images))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return task

        await asyncio.wait_for(story(model, ask), 10)
        await asyncio.sleep(0)
        assert gathering._lines == {}

    asyncio.run(told())


async def answers(*tasks):
    return [[one.labels[0] for one in await task] for task in tasks]


def test_alone_an_image_goes_at_once_and_what_waits_goes_together():
    async def story(model, ask):
        first = await ask(ONE, b"a")
        await asyncio.sleep(0)
        assert model.calls == [(1, [b"a"])]
        rest = [await ask(ONE, bytes([letter])) for letter in b"bcd"]
        model.open.set()
        assert await answers(first, *rest) == [["a"], ["b"], ["c"], ["d"]]
        assert model.calls == [(1, [b"a"]), (1, [b"b", b"c", b"d"])]
        assert model.most == 1

    run(story)


def test_as_many_as_are_worth_a_call_go_beside_the_first_and_the_others_wait():
    async def story(model, ask):
        tasks = [await ask(ONE, bytes([letter])) for letter in b"abcdefghij"]
        await asyncio.sleep(0)
        assert model.calls == [(1, [b"a"]), (1, [b"b", b"c", b"d", b"e"])]
        model.open.set()
        assert await answers(*tasks) == [[letter] for letter in "abcdefghij"]
        assert sum(len(images) for _, images in model.calls) == 10
        assert model.most == 2

    run(story)


def test_a_requests_images_stay_together_and_more_than_fit_go_alone():
    async def story(model, ask):
        tasks = [
            await ask(ONE, b"a"),
            await ask(ONE, *[b"b"] * 3),
            await ask(ONE, *[b"c"] * 2),
            await ask(ONE, *[b"d"] * 9),
        ]
        model.open.set()
        assert [len(one) for one in await answers(*tasks)] == [1, 3, 2, 9]
        assert [len(images) for _, images in model.calls] == [1, 3, 2, 9]

    run(story)


def test_versions_never_mix_and_never_wait_for_each_other():
    async def story(model, ask):
        tasks = [await ask(version, b"x") for version in (ONE, TWO) * 3]
        model.open.set()
        found = [(await task)[0].probabilities[0] for task in tasks]
        assert found == [1.0, 2.0] * 3
        assert sorted(len(images) for _, images in model.calls) == [1, 1, 2, 2]
        assert model.most == 2

    run(story)


def test_one_that_the_model_fails_on_fails_alone():
    async def story(model, ask):
        first = await ask(ONE, b"a")
        neighbours = [await ask(ONE, image) for image in (b"b", BAD, b"c")]
        model.open.set()
        assert await answers(first, neighbours[0], neighbours[2]) == [["a"], ["b"], ["c"]]
        with pytest.raises(Fault):
            await neighbours[1]

    run(story)


@pytest.mark.parametrize(("error", "calls"), [(StaleVersion(), 4), (Unavailable("gone"), 2)])
def test_what_is_wrong_with_the_model_server_is_told_to_all_and_the_next_is_asked_anew(error, calls):
    async def story(model, ask):
        model.error = error
        tasks = [await ask(ONE, b"a"), await ask(ONE, b"b"), await ask(ONE, b"c")]
        model.open.set()
        for task in tasks:
            with pytest.raises(type(error)):
                await task
        assert len(model.calls) == calls
        model.error = None
        assert await answers(await ask(ONE, b"d")) == [["d"]]

    run(story)


def test_who_is_cancelled_leaves_the_batch_and_costs_nobody_their_answer():
    async def story(model, ask):
        first, gone, stays = await ask(ONE, b"a"), await ask(ONE, b"b"), await ask(ONE, b"c")
        gone.cancel()
        await asyncio.sleep(0)
        model.open.set()
        assert await answers(first, stays) == [["a"], ["c"]]
        assert model.calls[1] == (1, [b"c"])

    run(story)


def test_a_call_that_nobody_waits_for_any_more_is_ended_and_the_next_goes():
    async def story(model, ask):
        first, second = await ask(ONE, b"a"), await ask(ONE, b"b")
        await asyncio.sleep(0)
        first.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert model.cancelled == 1
        model.open.set()
        assert await answers(second) == [["b"]]

    run(story)


def test_many_clients_at_once_get_their_own_answers_in_few_calls(model_server):
    """Through the whole adapter: each picture's brightness comes back to who sent it."""
    opened = threading.Event()
    model_server.versions[2] = FakeVersion()
    with (
        decoded() as waiting,
        adapter(f"127.0.0.1:{model_server.port}", Limits(max_gathered=32)) as it,
        ThreadPoolExecutor(24) as pool,
        httpx.Client(base_url=it.http, trust_env=False) as rest,
    ):
        for version in (1, 2):
            rest.post(f"/v1/classify?version={version}", content=gray(1), headers=PNG)
        before = sum(method == "Predict" for method, _ in model_server.calls)
        model_server.before = lambda method, _: method == "Predict" and opened.wait(20)

        def classify(number):
            return rest.post(f"/v1/classify?version={1 + number % 2}", content=gray(number * 10), headers=PNG).json()

        asked = [pool.submit(classify, number) for number in range(24)]
        wait_until(lambda: len(waiting) == 2 + 24)
        opened.set()
        for number, answer in enumerate(one.result(20) for one in asked):
            assert answer["version"] == 1 + number % 2
            assert answer["scores"]["COVID"] == pytest.approx(number * 10 / 255, abs=1e-6)
        calls = sum(method == "Predict" for method, _ in model_server.calls) - before
    assert calls < 12


def test_a_model_server_that_takes_fewer_images_at_once_answers_each_by_itself(model_server):
    model_server.most_rows = 1
    opened = threading.Event()
    with (
        decoded() as waiting,
        adapter(f"127.0.0.1:{model_server.port}", Limits(max_gathered=32)) as it,
        ThreadPoolExecutor(8) as pool,
        httpx.Client(base_url=it.http, trust_env=False) as rest,
    ):
        rest.post("/v1/classify", content=gray(1), headers=PNG)
        model_server.before = lambda method, _: method == "Predict" and opened.wait(20)
        asked = [pool.submit(rest.post, "/v1/classify", content=gray(10 * n), headers=PNG) for n in range(8)]
        wait_until(lambda: len(waiting) == 1 + 8)
        opened.set()
        for number, answer in enumerate(one.result(20) for one in asked):
            assert answer.status_code == 200, answer.text
            assert answer.json()["scores"]["COVID"] == pytest.approx(number * 10 / 255, abs=1e-6)
