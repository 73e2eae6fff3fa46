"""The REST API: a method, a path and a body -> a status and a JSON text. No sockets here."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.model_server import json_input, json_output
from serving.model_server.errors import ServingError, as_serving_error, invalid
from serving.model_server.grpc_service import model_status
from serving.model_server.manager import Lease, Manager
from serving.model_server.model import DEFAULT_SIGNATURE
from serving.model_server.predict import metadata

log = logging.getLogger(__name__)
_TARGET = r"(?i:/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?)"
_VERB = re.compile(_TARGET + r":(\w+)")
_STATUS = re.compile(_TARGET + r"((?i:/metadata))?")
_NO_MODEL = re.compile(r"(?i:/v1/models/?)")
_HTTP = {
    "OK": 200, "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Which model a path names."""

    name: str
    version: int | None
    label: str | None


def error_reply(error: ServingError) -> tuple[int, bytes]:
    """Status and body of a failed request."""
    return _HTTP.get(error.code.name, 500), f'{{ "error": {json.dumps(error.message, ensure_ascii=False)} }}'.encode()


class RestApi:
    """Answers REST requests from the manager's models."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """(HTTP status, JSON) of a request; every failure is an answer, nothing is raised."""
        try:
            return 200, self._answer(method, path, body)
        except RecursionError:
            return error_reply(invalid("JSON Parse error: nested too deeply"))
        except Exception as problem:
            error = as_serving_error(problem)
            if _HTTP.get(error.code.name, 500) == 500:
                log.exception("REST request failed")
            return error_reply(error)

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        if method == "POST" and (match := _VERB.fullmatch(path)) and match[4] == "predict":
            return self._predict(_target(match), body)
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            return self._metadata(_target(match)) if match[4] else self._status(_target(match))
        if method == "GET" and _NO_MODEL.fullmatch(path):
            raise invalid("Missing model name in request.")
        raise invalid(f"Malformed request: {method} {path}")

    def _lease(self, target: Target) -> Lease:
        return self._manager.lease(target.name, target.version, target.label)

    def _status(self, target: Target) -> bytes:
        # A label does not narrow the answer (nor does it over gRPC).
        return _json(model_status(self._manager, target.name, target.version))

    def _metadata(self, target: Target) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = target.name
        with self._lease(target) as leased:
            response = metadata(leased.model, leased.version.number, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        spec = _json(response.model_spec).decode()
        return f'{{"model_spec": {spec}, "metadata": {{"signature_def": {_json(signatures).decode()}}}}}'.encode()

    def _predict(self, target: Target, body: bytes) -> bytes:
        document = json_input.parse(body)
        signature_name = json_input.signature_name(document) or DEFAULT_SIGNATURE
        with self._lease(target) as leased:
            if signature_name not in leased.model.signatures:
                raise invalid(f'Serving signature name: "{signature_name}" not found in signature def')
            plan = leased.model.plan(signature_name)
            row_form, arrays = json_input.predict_inputs(document, plan.inputs)
            return json_output.predictions(plan.outputs, plan.run(arrays), row_form)


def _target(match: re.Match[str]) -> Target:
    version = None
    if match[2] is not None:
        version = int(match[2]) if len(match[2]) < 20 else 2**63
        if version >= 2**63:
            raise invalid(f"Failed to convert version: {match[2]} to numeric.")
    return Target(match[1], version, match[3])


def _json(message: json_format.Message) -> bytes:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    ).encode()
