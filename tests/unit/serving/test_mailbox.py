"""What threads tell the event loop comes in order, and wakes it once for all that waits."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.mailbox import Mailbox


def test_calls_of_threads_come_in_order_and_none_is_lost():
    async def story():
        box, got, all_here = Mailbox(), [], asyncio.Event()

        def take(thread, number):
            got.append((thread, number))
            if len(got) == 4 * 500:
                all_here.set()

        def talk(thread):
            for number in range(500):
                box.tell(take, thread, number)

        threads = [threading.Thread(target=talk, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        await asyncio.wait_for(all_here.wait(), 20)
        for thread in range(4):
            assert [number for one, number in got if one == thread] == list(range(500))

    asyncio.run(story())


def test_the_loop_is_woken_once_for_what_waits(monkeypatch):
    async def story():
        woken, got = [], []
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: woken.append(1) or wake(*call))
        box = Mailbox()
        for number in range(10):
            box.tell(got.append, number)
        await asyncio.sleep(0)
        assert (got, len(woken)) == (list(range(10)), 1)
        box.tell(got.append, 10)
        await asyncio.sleep(0)
        assert (got[-1], len(woken)) == (10, 2)

    asyncio.run(story())


def test_a_loop_that_is_closed_is_told_nothing():
    async def made():
        return Mailbox()

    asyncio.run(made()).tell(print, "never")


def test_who_waits_for_a_thread_gets_what_it_returns_or_raises():
    async def story():
        box = Mailbox()
        with ThreadPoolExecutor(1) as pool:
            assert await box.over(pool.submit(lambda: 7)) == 7
            with pytest.raises(ZeroDivisionError):
                await box.over(pool.submit(lambda: 1 / 0))

    asyncio.run(story())


def test_who_gives_up_ends_what_has_not_begun_and_what_is_cancelled_ends_who_waits():
    async def story():
        box, gate = Mailbox(), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(gate.wait, 20)
            first, second = pool.submit(lambda: 1), pool.submit(lambda: 2)
            waits = [asyncio.create_task(box.over(work)) for work in (first, second)]
            await asyncio.sleep(0)
            waits[0].cancel()
            second.cancel()
            for one in waits:
                with pytest.raises(asyncio.CancelledError):
                    await one
            gate.set()
        assert first.cancelled()

    asyncio.run(story())
