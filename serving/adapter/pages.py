"""The web page, and the documentation of the REST interface: everything comes from here, nothing from elsewhere."""

from collections.abc import Awaitable, Callable
from importlib import resources

import fastapi_offline
from fastapi import FastAPI, HTTPException, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.adapter import explained

_COMMON = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
_POLICY = _COMMON + "style-src 'self'; img-src 'self' blob:; form-action 'self'"
# Swagger UI writes style attributes and draws its icons from data: addresses.
_DOCS_POLICY = _COMMON + "style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'none'"
_HTML = "text/html; charset=utf-8"
_CSS = "text/css; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"

_OWN = "serving.adapter"
# Swagger UI, which FastAPI alone would have the browser load from a public server.
_SWAGGER = fastapi_offline.__name__
# Address -> package, file, media type.
_FILES = {
    "/": (_OWN, "page/index.html", _HTML),
    "/page/page.css": (_OWN, "page/page.css", _CSS),
    "/page/page.js": (_OWN, "page/page.js", _SCRIPT),
    "/page/access.js": (_OWN, "page/access.js", _SCRIPT),
    "/page/about.js": (_OWN, "page/about.js", _SCRIPT),
    "/page/heat.js": (_OWN, "page/heat.js", _SCRIPT),
    "/models": (_OWN, "page/models.html", _HTML),
    "/page/models.js": (_OWN, "page/models.js", _SCRIPT),
    "/page/icon.svg": (_OWN, "page/icon.svg", "image/svg+xml"),
    "/docs": (_OWN, "page/docs.html", _HTML),
    "/page/docs.js": (_OWN, "page/docs.js", _SCRIPT),
    "/page/swagger-ui.css": (_SWAGGER, "static/swagger-ui.css", _CSS),
    "/page/swagger-ui.js": (_SWAGGER, "static/swagger-ui-bundle.js", _SCRIPT),
}


def install(app: FastAPI) -> None:
    """Serve /, /models and the documentation at /docs, and put a content security policy on every answer."""
    for address, (package, name, media_type) in _FILES.items():
        app.add_api_route(address, _file(package, name, media_type), methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route(f"{explained.PREFIX}{{kind}}", _explain, methods=["GET"], include_in_schema=False)
    app.add_middleware(_ProtectiveHeaders)


async def _explain(kind: str) -> Response:
    content = explained.page(kind)
    if content is None:
        raise HTTPException(404)
    return Response(content, media_type=_HTML, headers={"Cache-Control": "no-cache"})


def _file(package: str, name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = resources.files(package).joinpath(name).read_bytes()

    async def send() -> Response:
        # Browsers ask whether it changed: a new adapter's page never runs with an old one's script.
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return send


class _ProtectiveHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _DOCS_POLICY if scope["path"] == "/docs" else _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_protected)
