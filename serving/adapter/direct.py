"""The request that nearly every request is, past FastAPI: images for the stable version.

FastAPI describes it, and answers it with a query. To find its route and look for parameters that are not there took a
third of the event loop's time (a profile with 32 clients).
"""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.adapter.problems import response_of
from serving.adapter.refusals import Refusal

PATH = "/v1/classify"


class Direct:
    """Answers POST /v1/classify without a query by `classify`, byte for byte as `app` does; the rest is `app`'s."""

    def __init__(self, app: ASGIApp, classify: Callable[[Request], Awaitable[BaseModel]]) -> None:
        self._app, self._classify = app, classify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH or scope["method"] != "POST" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        try:
            response = JSONResponse((await self._classify(Request(scope, receive))).model_dump(mode="json"))
        except Refusal as refusal:
            response = response_of(refusal, PATH)
        await response(scope, receive, send)
