"""What a connection gets for which there is no room: the probes, so that nobody ends a pod because it is full."""

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.adapter.access import PROBES
from serving.adapter.problems import response_of
from serving.adapter.refusals import Overloaded

_ANSWERED = (*PROBES, "/metrics")


class Crowded:
    """Hands the probes' requests on, and refuses the others; one answer a connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _ANSWERED:
            await self._app(scope, receive, send)
            return
        refusal = Overloaded("There are too many connections; try again shortly.")
        response = response_of(refusal)
        response.headers["Connection"] = "close"
        await response(scope, receive, send)
