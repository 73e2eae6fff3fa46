"""The REST API: a method, a path and a body -> a status and a JSON text. No sockets here."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from urllib.parse import unquote

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving.model_server import examples, json_examples, json_output, json_process, predict
from serving.model_server.errors import ServingError, answer_to, as_serving_error, failed_precondition, invalid
from serving.model_server.handlers import Handlers
from serving.model_server.json_reader import Body
from serving.model_server.metrics import Metrics
from serving.model_server.model import DEFAULT_SIGNATURE

_VERSION = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
# ASCII: to Python a digit is one of any script, which int() takes too.
_INFERENCE = re.compile(rf"(?i:/v1/models/([^/:]+){_VERSION}:(classify|regress|predict))", re.ASCII)
_STATUS = re.compile(rf"(?i:/v1/models(?:/([^/:]+))?{_VERSION}(/metadata)?)", re.ASCII)
_ORIGIN = re.compile(rb"https?://")
_VERBS = ("predict", "classify", "regress")
_MAX_INT64 = 2**63 - 1
_HTTP = {
    "OK": 200, "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


def error_reply(error: ServingError) -> tuple[int, bytes]:
    """Status and body of a failed request."""
    return _HTTP.get(error.code.name, 500), f'{{ "error": {json.dumps(error.message, ensure_ascii=False)} }}'.encode()


# What is large comes and goes in parts: to join them would keep every other thread waiting.
Parts = list[bytes]


class RestApi:
    """Answers REST requests."""

    def __init__(self, handlers: Handlers, metrics: Metrics) -> None:
        self._handlers = handlers
        self._metrics = metrics

    def handle(self, method: str, path: str, body: Parts) -> tuple[int, bytes | Parts]:
        """(HTTP status, JSON) of a request; every failure is an answer, nothing is raised."""
        try:
            return 200, self._answer(method, path, body)
        except Exception as problem:
            return error_reply(answer_to(problem))

    def preflight(self, origin: bytes) -> tuple[int, bytes]:
        """What a browser asks before it sends a page's request; whether it may is said by the headers, if at all."""
        status, answer = 200, b""
        if not _ORIGIN.search(origin):
            status, answer = error_reply(failed_precondition("Origin header is missing in CORS preflight"))
        self._metrics.request("", "", "REST", "OK" if status == 200 else "FAILED_PRECONDITION", 0.0)
        return status, answer

    def _answer(self, method: str, path: str, body: Parts) -> bytes | Parts:
        patterns = {"POST": _INFERENCE, "GET": _STATUS}
        match = patterns[method].fullmatch(path) if method in patterns else None
        verb = match[4] if match and method == "POST" else ""
        # Counted as the original counts: the API is the path's word, which status calls have none of; what means
        # nothing has no model's name either.
        name = unquote(match[1] or "") if match else ""
        started = time.perf_counter()
        status = "OK"
        try:
            if match is None:
                raise invalid(f"Malformed request: {method} {path}")
            spec = _spec(name, match)
            if verb:
                if verb not in _VERBS:  # its case counts, other than the path's
                    raise invalid(f"Malformed request: {method} {path}")
                return self._infer(verb, body, spec)
            if not name:
                raise invalid("Missing model name in request.")
            return self._metadata(spec) if match[4] == "/metadata" else self._status(spec)
        except Exception as problem:
            status = as_serving_error(problem).code.name
            raise
        finally:
            self._metrics.request(name, verb, "REST", status, time.perf_counter() - started)

    def _infer(self, verb: str, body: Parts, spec: model_pb2.ModelSpec) -> bytes | Parts:
        with contextlib.ExitStack() as reading:
            given = reading.enter_context(json_process.opened(body, verb))
            if verb == "predict":
                return self._predict(spec, given, reading.close)
            return self._examples(verb, spec, given, reading.close)

    def _status(self, spec: model_pb2.ModelSpec) -> bytes:
        return _json(self._handlers.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))).encode()

    def _metadata(self, spec: model_pb2.ModelSpec) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        response = self._handlers.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return (
            f'{{"model_spec": {_json(response.model_spec)}, "metadata": {{"signature_def": {_json(signatures)}}}}}'
        ).encode()

    def _predict(self, spec: model_pb2.ModelSpec, given: Body, done: Callable[[], None]) -> Parts:
        spec.signature_name = given.signature_name()
        name = spec.signature_name or DEFAULT_SIGNATURE
        with self._handlers.lease_spec(spec) as leased:
            if name not in leased.model.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            if self._handlers.options.check_method_name:
                predict.check_method_name(leased.model, name)
            plan = leased.model.plan(name)
            row_form, arrays = given.inputs(plan.inputs, plan.most_rows)
            done()  # whoever read it can read another one while the model works
            return json_output.predictions(plan.outputs, plan.run(arrays), row_form)

    def _examples(self, verb: str, spec: model_pb2.ModelSpec, given: Body, done: Callable[[], None]) -> bytes:
        spec.signature_name = given.signature_name()
        records = given.examples()
        done()
        with self._handlers.lease_spec(spec) as leased:
            check = self._handlers.options.check_method_name
            if verb == "classify":
                return json_examples.classifications(examples.classify(leased.model, spec, records, check))
            return json_examples.regressions(examples.regress(leased.model, spec, records, check))


def _spec(name: str, match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=name)
    if match[2] is not None:
        version = int(match[2][:20])  # twenty digits are more than any version has
        if version > _MAX_INT64:
            raise invalid(f"Failed to convert version: {match[2]} to numeric.")
        spec.version.value = version
    if match[3] is not None:
        spec.version_label = unquote(match[3])
    return spec


def _json(message: Message) -> str:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    )
