"""Where the adapter writes what happens: as text for people, or one JSON object a line. Images are in neither."""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from serving.adapter import request_ids, spans

# One line for each request that was answered or refused; off by default.
REQUESTS = "serving.adapter.requests"
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"
# An exception may quote what it could not read: base64, hexadecimal and escaped bytes are left out.
_QUOTED = re.compile(r"[A-Za-z0-9+/=_\\-]{40,}")
_MOST_CHARACTERS = 2000
_json = False


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


def configure(form: Format, requests: bool) -> None:
    """Everything that is logged goes to standard error in `form`, with a line for each request if `requests`."""
    global _json
    _json = form is Format.JSON
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if _json else _Text(_TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(_json)
    logging.getLogger(REQUESTS).setLevel(logging.INFO if requests else logging.WARNING)


def say(line: str) -> None:
    """A line for whoever started the adapter."""
    print(_object("INFO", "serving.adapter", line) if _json else line, file=sys.stderr, flush=True)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        name = request_ids.current.get()
        record.request = f" [request {name}]" if name else ""
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object a record, with the request and the trace that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        more: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0]:
            kind, error, where = record.exc_info
            more["error"] = {
                "type": kind.__name__,
                "message": _shown(str(error)),
                "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(where)],
            }
        return _object(record.levelname, record.name, _shown(record.getMessage()), more, record.created)


def _object(
    severity: str, logger: str, message: str, more: dict[str, Any] | None = None, created: float | None = None
) -> str:
    time = datetime.now(UTC) if created is None else datetime.fromtimestamp(created, UTC)
    # Cloud Logging knows the first three by these names.
    told: dict[str, Any] = {"time": time.isoformat(timespec="milliseconds"), "severity": severity, "message": message}
    told["logger"] = logger
    if name := request_ids.current.get():
        told["request_id"] = name
    return json.dumps({**told, **spans.ids(), **(more or {})}, default=str)


def _shown(text: str) -> str:
    return _QUOTED.sub("…", text)[:_MOST_CHARACTERS]
