"""What a connection gets for which there is no room: the probes, so that nobody ends a pod because it is full."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.adapter.problems import MEDIA_TYPE, problem
from serving.adapter.refusals import Overloaded

PROBES = ("/livez", "/readyz", "/metrics")


class Crowded:
    """Hands requests for PROBES on, and refuses the others; one answer a connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        refusal = Overloaded("There are too many connections; try again shortly.")
        headers = {"Retry-After": str(refusal.retry_after), "Connection": "close", "Cache-Control": "no-store"}
        response = JSONResponse(problem(refusal).model_dump(), refusal.status, headers, media_type=MEDIA_TYPE)
        await response(scope, receive, send)
