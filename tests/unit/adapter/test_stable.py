"""What promotion relies on: an adapter that has told a version never goes back to the one before it."""

import asyncio

import pytest

from imaging import ImageInput
from serving.adapter.backend import ServedVersion
from serving.adapter.refusals import Unavailable
from serving.adapter.stable import RecentVersion
from tests.unit.adapter.fakes import FakeVersion
from tests.unit.adapter.images import gray
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep


class Server:
    """Answers with what is stable at the moment it is asked, but only once `open` is set."""

    def __init__(self):
        self.stable = 1
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def ask(self):
        self.asked += 1
        answer, opened = ServedVersion(self.stable, ImageInput(8)), self.open
        await opened.wait()
        return answer


def test_known_version_is_not_asked_for_again():
    async def case():
        server = Server()
        stable = RecentVersion(server.ask, max_age=60)
        for _ in range(10):
            await stable.current()
        return server.asked

    assert asyncio.run(case()) == 1


def test_version_that_was_known_too_long_ago_is_asked_for_again():
    async def case():
        server = Server()
        stable = RecentVersion(server.ask, max_age=0.01)
        await stable.current()
        server.stable = 2
        await asyncio.sleep(0.05)
        return (await stable.current()).number

    assert asyncio.run(case()) == 2


def test_fresh_version_is_what_later_requests_get():
    async def case():
        server = Server()
        stable = RecentVersion(server.ask, max_age=60)
        await stable.current()
        server.stable = 2
        assert (await stable.fresh()).number == 2
        return (await stable.current()).number

    assert asyncio.run(case()) == 2


def test_answer_on_its_way_from_before_does_not_replace_a_fresh_one():
    async def case():
        server = Server()
        stable = RecentVersion(server.ask, max_age=60)
        server.open.clear()
        early = asyncio.create_task(stable.fresh())
        await asyncio.sleep(0)
        # The label moves while the first answer is on its way, and only that answer is slow.
        server.stable, held, server.open = 2, server.open, asyncio.Event()
        server.open.set()
        late = asyncio.create_task(stable.fresh())
        await asyncio.sleep(0.05)
        held.set()
        return (await early).number, (await late).number, (await stable.current()).number

    assert asyncio.run(case()) == (1, 2, 2)


def test_callers_at_the_same_time_share_a_question():
    async def case():
        server = Server()
        stable = RecentVersion(server.ask)
        server.open.clear()
        callers = [asyncio.create_task(stable.fresh()) for _ in range(50)]
        await asyncio.sleep(0)
        server.open.set()
        await asyncio.gather(*callers)
        return server.asked

    # One was on its way when the others asked, and one more answers all of those.
    assert asyncio.run(case()) == 2


def test_failed_question_is_asked_again_and_forgotten():
    async def case():
        failing = True

        async def ask():
            if failing:
                raise Unavailable("down")
            return ServedVersion(3, ImageInput(8))

        stable = RecentVersion(ask)
        with pytest.raises(Unavailable):
            await stable.current()
        failing = False
        return (await stable.current()).number

    assert asyncio.run(case()) == 3


def test_cancelled_question_leaves_the_others_alone():
    async def case():
        server = Server()
        stable = RecentVersion(server.ask)
        server.open.clear()
        first, second = (asyncio.create_task(stable.fresh()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        server.open.set()
        return (await second).number

    assert asyncio.run(case()) == 1


def classify(stub):
    return stub.Classify(api.ClassifyRequest(image=gray(200)), timeout=20)


def test_after_get_model_has_told_a_version_every_request_is_answered_by_it(model_server, stub):
    for version in range(2, 12):
        classify(stub)
        model_server.versions[version] = FakeVersion()
        model_server.labels["stable"] = version

        assert stub.GetModel(api.GetModelRequest()).version_labels["stable"] == version
        assert classify(stub).version == version


def test_rollover_to_another_image_size_fails_no_request(model_server, stub):
    versions = [classify(stub).version]
    for version in range(2, 12):
        model_server.versions[version] = FakeVersion(image_size=8 * version)
        model_server.labels["stable"] = version
        # Without a grace: the version that the adapter still takes for stable is gone.
        del model_server.versions[version - 1]
        versions += [classify(stub).version for _ in range(5)]

    assert versions == sorted(versions)
    assert versions[-1] == 11


def test_other_model_under_a_known_number_is_noticed(model_server, stub):
    classify(stub)
    model_server.versions[1] = FakeVersion(image_size=32)

    assert classify(stub).version == 1


def test_model_server_is_not_asked_for_the_version_with_every_request(model_server, stub):
    classify(stub)
    model_server.calls.clear()

    for _ in range(100):
        classify(stub)

    assert sum(method == "Predict" for method, _ in model_server.calls) == 100
    # Only the adapter's own regular look.
    assert sum(method == "GetModelMetadata" for method, _ in model_server.calls) < 50
    assert all(version == 1 for method, version in model_server.calls if method == "Predict")
