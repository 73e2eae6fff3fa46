"""Errors over HTTP: problem documents (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from serving.adapter import explained, request_ids
from serving.adapter.refusals import Fault, Refusal

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    # Where on this adapter it is told what to do about it; none for what HTTP itself names.
    help: str | None = None
    # Which request it was, for who looks into the log.
    request_id: str | None = None


def problem(refusal: Refusal) -> Problem:
    return Problem(
        type=f"urn:trainyard:problem:{refusal.kind}",
        title=refusal.title,
        status=refusal.status,
        detail=str(refusal),
        help=f"{explained.PREFIX}{refusal.kind}",
    )


def response_of(refusal: Refusal, path: str = "") -> JSONResponse:
    """The problem document with the headers that belong to it; below /v2 the error of the Open Inference Protocol."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="trainyard"'
    return _response(problem(refusal), headers, path)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    def refused(request: Request, refusal: Refusal) -> JSONResponse:
        return response_of(refusal, request.url.path)

    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        path = request.url.path
        detail = {
            404: f"There is nothing at {path[:100]}; /docs lists what there is.",
            405: f"{path} does not take {request.method}.",
        }.get(error.status_code, str(error.detail))
        about = Problem(type="about:blank", title=phrase, status=error.status_code, detail=detail)
        return _response(about, error.headers, path)

    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        about = Problem(
            type="about:blank", title=HTTPStatus(422).phrase, status=422, detail=f"The {where}: {first['msg']}."
        )
        return _response(about, path=request.url.path)

    def failed(request: Request, error: Exception) -> JSONResponse:
        # Beyond the gate, which has answers say the request's name.
        named = {request_ids.HEADER: request_ids.current.get()}
        return _response(problem(Fault("The adapter failed on this request.")), named, request.url.path)

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, failed)


def _response(about: Problem, headers: Mapping[str, str] | None = None, path: str = "") -> JSONResponse:
    if path == "/v2" or path.startswith("/v2/"):
        return JSONResponse({"error": f"{about.title}: {about.detail}"}, about.status, headers)
    about.request_id = request_ids.current.get() or None
    return JSONResponse(about.model_dump(exclude_none=True), about.status, headers, media_type=MEDIA_TYPE)
