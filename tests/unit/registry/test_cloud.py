"""What stands for Cloud Storage on this machine is asked directly."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from registry.cloud import Cloud


@pytest.fixture
def emulator(monkeypatch):
    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), NotFound) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{listening.server_port}")
        yield
        listening.shutdown()


def test_emulator_is_never_asked_through_a_proxy(emulator, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # where nobody answers
    cloud = Cloud("bucket", patience=5)
    assert cloud.call(lambda: cloud.bucket.blob("x").exists()) is False
