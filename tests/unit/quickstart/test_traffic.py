"""What the traffic counts is what an application would have seen."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from quickstart.traffic import Traffic, classify_over_rest


@pytest.fixture
def service():
    """A REST service that fails every third request."""
    answered = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            answered.append(self.path)
            body = json.dumps({"label": "COVID", "version": 7}).encode()
            self.send_response(503 if len(answered) % 3 == 0 else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answered
    server.shutdown()


def test_rest_answer_is_label_and_version(service):
    assert classify_over_rest(service[0], b"image") == ("COVID", 7)


def test_refused_and_unreachable_requests_count_as_failed(service):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
        with Traffic(nobody, service[0], [b"image"], pause=0.01) as traffic:
            deadline = time.monotonic() + 30
            while (len(service[1]) < 6 or not any("Unavailable" in text for text in traffic.failures)) and (
                time.monotonic() < deadline
            ):
                time.sleep(0.05)
    assert set(traffic.answered_by) == {7}
    assert any("503" in failure for failure in traffic.failures)
    assert any("Unavailable" in failure for failure in traffic.failures)
    assert traffic.requests == traffic.answered_by[7] + len(traffic.failures)
