"""Whether traces are on: the standard OTEL_* variables say so. Without them nothing of OpenTelemetry is loaded."""

import os
from typing import TYPE_CHECKING

from cli.errors import UsageError

if TYPE_CHECKING:
    from serving.adapter.otlp import Traces

_SIGNAL = "OTEL_EXPORTER_OTLP_TRACES_"
_ALL = "OTEL_EXPORTER_OTLP_"
_PROTOCOLS = ("http/protobuf", "grpc")


def traces() -> "Traces | None":
    """What records and sends traces; None where no endpoint is set, or OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER
    switch them off.

    Raises:
        UsageError: a variable holds what can't be used.
    """
    endpoint = _told("ENDPOINT")
    if not endpoint or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if exporter == "none":
        return None
    if exporter != "otlp":
        raise UsageError(f"OTEL_TRACES_EXPORTER is '{exporter}'; expected otlp or none.")
    protocol = _told("PROTOCOL") or _PROTOCOLS[0]
    if protocol not in _PROTOCOLS:
        raise UsageError(f"OTEL_EXPORTER_OTLP_PROTOCOL is '{protocol}'; expected {' or '.join(_PROTOCOLS)}.")
    if not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"OTEL_EXPORTER_OTLP_ENDPOINT is '{endpoint}'; expected http://… or https://….")
    # Here, so that who wants no traces does not pay for them.
    from serving.adapter.otlp import Traces

    try:
        return Traces(grpc=protocol == "grpc")
    except (ValueError, OSError) as error:
        raise UsageError(f"The variables OTEL_* can't be used: {error}.") from None


def _told(name: str) -> str:
    return (os.environ.get(_SIGNAL + name) or os.environ.get(_ALL + name, "")).strip()
