"""Who is alone is served without a thread for its picture; among others, and for what may take long, there is one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serving.adapter import alone, predictor
from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG
from tests.unit.adapter.waiting import decoded, wait_until


@pytest.fixture
def threads(monkeypatch):
    """Names of the threads in which pictures were decoded."""
    names, decode = [], predictor._decode

    def told(*arguments):
        names.append(threading.current_thread().name)
        return decode(*arguments)

    monkeypatch.setattr(predictor, "_decode", told)
    return names


def ask(it, *pictures):
    if len(pictures) == 1:
        return httpx.post(f"{it.http}/v1/classify", content=pictures[0], headers=PNG, trust_env=False, timeout=20)
    files = [("images", ("one.png", picture)) for picture in pictures]
    return httpx.post(f"{it.http}/v1/classify", files=files, trust_env=False, timeout=20)


def test_a_small_picture_alone_is_decoded_where_it_came(model_server, threads):
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        assert [ask(it, gray(9)).json()["scores"]["COVID"] for _ in range(2)] == [pytest.approx(9 / 255, abs=1e-6)] * 2
    assert not any(name.startswith("decode") for name in threads) and len(threads) == 2


@pytest.mark.parametrize(
    "picture",
    [gray(9, size=400), gray(9)[:33] + b"zTXt" + gray(9)[33:], gray(9) + bytes(70_000)],
    ids=["many pixels", "compressed texts", "many bytes"],
)
def test_what_may_take_long_gets_a_thread(model_server, threads, picture):
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        ask(it, picture)
    assert [name.startswith("decode") for name in threads] == [True]


def test_several_pictures_of_a_request_get_threads(model_server, threads):
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        assert ask(it, gray(1), gray(2)).status_code == 200
    assert [name.startswith("decode") for name in threads] == [True] * 2


def test_who_is_not_alone_gets_a_thread_and_so_does_the_next_one(model_server, threads, monkeypatch):
    monkeypatch.setattr(alone, "_FOR_SECONDS", 3600)
    opened = threading.Event()
    model_server.before = lambda method, _: method == "Predict" and opened.wait(20)
    with (
        decoded() as waiting,
        adapter(f"127.0.0.1:{model_server.port}", Limits(max_gathered=32)) as it,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(ask, it, gray(1))
        wait_until(lambda: len(waiting) == 1)
        second = pool.submit(ask, it, gray(2))
        wait_until(lambda: len(waiting) == 2)
        opened.set()
        assert [one.result().status_code for one in (first, second)] == [200, 200]
        ask(it, gray(3))
    assert [name.startswith("decode") for name in threads] == [False, True, True]
