"""When many ask at one moment, who asks whether the adapter is alive does not wait for all of them."""

import asyncio
import contextlib
import socket

from serving.adapter.connection import ConnectionLimits
from serving.adapter.http_server import HttpServer, config, listening
from serving.adapter.turns import Turns


def test_a_few_are_begun_in_each_turn_in_the_order_they_came():
    async def story():
        turns, begun, after_turn = Turns(), [], []
        for number in range(10):
            turns.begin(lambda number=number: begun.append(number))
        while len(begun) < 10:
            await asyncio.sleep(0)
            after_turn.append(len(begun))
        assert begun == list(range(10))
        assert len(after_turn) >= 3 and after_turn[0] < 10
        turns.begin(lambda: begun.append("later"))
        await asyncio.sleep(0.01)
        assert begun[-1] == "later"

    asyncio.run(story())


def test_a_probe_overtakes_whoever_came_with_it():
    many = 100

    async def story():
        asked = []

        async def app(scope, receive, send):
            asked.append(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

        with contextlib.ExitStack() as stack:
            bound = stack.enter_context(listening("127.0.0.1", 0, "--http-port"))
            server = HttpServer(config(app, ConnectionLimits()))
            serving = asyncio.create_task(server.serve([bound]))
            while not server.started:
                await asyncio.sleep(0.01)
            # The loop does not run meanwhile, so that it finds them all at once.
            for path in ["/v1/classify"] * many + ["/livez"]:
                client = stack.enter_context(socket.create_connection(bound.getsockname()))
                client.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" % path.encode())
            while len(asked) <= many:
                await asyncio.sleep(0.01)
            server.should_exit = True
            await serving
        assert asked.index("/livez") < many / 2

    asyncio.run(asyncio.wait_for(story(), 60))
