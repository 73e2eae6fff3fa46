"""What tests.warm_server imports once for many model servers, as serving.model_server.__main__ does."""

import sys

sys.modules.setdefault("keras", None)  # type: ignore[arg-type]

import serving.model_server.server  # noqa: E402, F401
