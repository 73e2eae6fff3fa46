"""What a request over HTTP has to pass before anything of it is read: names, origins, certificates, tokens, room."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.adapter import explained, request_ids
from serving.adapter.access import PROBES, Access, caller
from serving.adapter.hosts import is_loopback
from serving.adapter.metrics import CLASSIFY, EXPLAIN, INFER
from serving.adapter.problems import response_of
from serving.adapter.refusals import Forbidden, Overloaded, Refusal, Unauthenticated, WrongHost
from serving.adapter.service import Service

# What a browser has to get before there is anybody to ask for a token. None of it tells of the model.
_OPEN = ("/", "/models", "/docs")
_OPEN_BELOW = ("/page/", explained.PREFIX)
# The extension of the scope in which the connection says whether a client has shown a certificate.
CERTIFICATE = "trainyard.certificate"
_REQUEST_ID = request_ids.HEADER.encode()


class Gate:
    """Lets requests pass to `app`, or answers them itself."""

    def __init__(self, app: ASGIApp, service: Service, access: Access, loopback: bool) -> None:
        self._app, self._service, self._access = app, service, access
        self._hosts = {host.lower() for host in access.options.allowed_hosts}
        # Who listens on this machine alone is asked by its names alone: any other was made to point here.
        self._own_names_only = loopback and not self._hosts
        self._origins = {origin.rstrip("/").lower() for origin in access.options.allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = _plain(scope)
        if scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        send = _named(scope, send)
        try:
            self._check(scope)
        except Refusal as refusal:
            await response_of(refusal, scope["path"])(scope, receive, send)
            return
        if scope["method"] == "POST" and self._service.admission.full:
            # Refused, rather than answered late once there is room: those who come then are answered at once.
            try:
                await self._service.refuse(_counted_as(scope["path"]))
            except Overloaded as refusal:
                await response_of(refusal, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        self._check_host(host)
        self._check_origin(headers.get("origin"), host)
        if self._access.options.tls_client_ca and CERTIFICATE not in scope.get("extensions", {}):
            raise Unauthenticated("Show a client certificate of the authority that this adapter trusts.")
        path = scope["path"]
        if path in _OPEN or path.startswith(_OPEN_BELOW):
            return
        caller.set(self._access.identify(headers.get("authorization")))

    def _check_host(self, host: str) -> None:
        name = _name(host)
        if self._own_names_only:
            if not is_loopback(name):
                raise WrongHost(f"This adapter is not called '{host[:100]}'; --allowed-host lets it be.")
        elif self._hosts and name not in self._hosts:
            raise WrongHost(f"This adapter is not called '{host[:100]}'.")

    def _check_origin(self, origin: str | None, host: str) -> None:
        """A browser names the page's origin with whatever it sends for one; programs name none."""
        if origin is None or origin.lower() in self._origins:
            return
        try:
            same = urlsplit(origin).netloc.lower() == host.lower() != ""
        except ValueError:
            same = False
        if not same:
            raise Forbidden(f"Pages of {origin[:100]} may not ask this adapter; --allowed-origin lets them.")


def _named(scope: Scope, send: Send) -> Send:
    """Gives the request its name, and has the answer say it."""
    name = request_ids.begin(Headers(scope=scope).get(request_ids.HEADER)).encode()

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (_REQUEST_ID, name)]}
        await send(message)

    return told


def _counted_as(path: str) -> str:
    """The name that the metrics give a request that is refused before anybody has looked for its route."""
    if path.startswith("/v2/"):
        return INFER
    return EXPLAIN if path.endswith("/explain") else CLASSIFY


def _plain(scope: Scope) -> Scope:
    """HEAD is answered where GET is (the server leaves the body out), and a slash at the end changes nothing."""
    path = scope["path"]
    shorter = path[:-1] if len(path) > 1 and path.endswith("/") else path
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "path": shorter, "method": method}


def _name(host: str) -> str:
    """The name in a header Host, without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")
