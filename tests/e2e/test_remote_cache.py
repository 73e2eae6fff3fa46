"""The two variables of a remote cache reach Pants itself: a stand-in for the cache hears it ask, with the token."""

import os
import shutil
import subprocess
import uuid
from concurrent import futures
from pathlib import Path

import grpc

HERE = Path(__file__).parents[2]
LOOKED_UP = "/build.bazel.remote.execution.v2.ActionCache/GetActionResult"


class Listener(grpc.GenericRpcHandler):
    """Knows nothing, and keeps which methods were called with which authorization."""

    def __init__(self) -> None:
        self.heard: set[tuple[str, str]] = set()

    def service(self, details):
        self.heard.add((details.method, dict(details.invocation_metadata).get("authorization", "")))
        code = grpc.StatusCode.NOT_FOUND if details.method == LOOKED_UP else grpc.StatusCode.UNIMPLEMENTED
        return grpc.unary_unary_rpc_method_handler(lambda request, context: context.abort(code, "not here"))


def test_pants_asks_the_cache_with_the_token(tmp_path: Path) -> None:
    listener = Listener()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((listener,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    root = tmp_path / "repository"
    shutil.copytree(HERE / "3rdparty/python", root / "3rdparty/python", ignore=shutil.ignore_patterns("BUILD"))
    shutil.copy(HERE / "pants", root / "pants")
    (root / "pants.toml").write_text('[GLOBAL]\npants_version = "2.17.1"\n')
    (root / "BUILD").write_text(
        'files(name="text", sources=["*.txt"])\narchive(name="a", format="tar", files=[":text"])\n'
    )
    # Not in this machine's own cache: that would answer first.
    (root / "new.txt").write_text(uuid.uuid4().hex)
    (tmp_path / "token").write_text("sesame\n")
    variables = {
        "TRAINYARD_REMOTE_CACHE": f"grpc://127.0.0.1:{port}",
        "TRAINYARD_REMOTE_CACHE_TOKEN_FILE": str(tmp_path / "token"),
        "PANTS_PANTSD": "False",
    }
    command = ["./pants", "package", "//:a"]
    result = subprocess.run(command, cwd=root, env=os.environ | variables, capture_output=True, text=True)
    server.stop(None)
    assert (LOOKED_UP, "Bearer sesame") in listener.heard, result.stderr
    # A cache that fails is no reason to fail.
    assert result.returncode == 0, result.stderr
    assert (root / "dist" / "a.tar").is_file()
