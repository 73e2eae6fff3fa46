"""What leaves the machine when Pants builds: questions to a shared cache, and downloads through the only way out.

A stand-in for the cache hears what Pants asks. The package index is served on loopback under a name that only a proxy
can resolve.
"""

import base64
import datetime
import http.server
import io
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = Path(__file__).parents[2]
LOOKED_UP = "/build.bazel.remote.execution.v2.ActionCache/GetActionResult"
INDEX = "packages.invalid"
WHEEL = "tiny-1.0-py3-none-any.whl"
BUILD = """
python_requirement(name="tiny", requirements=["tiny==1.0"])
pex_binary(name="app", script="tiny", dependencies=[":tiny"])
"""
PANTS_TOML = """
[GLOBAL]
pants_version = "2.17.1"
backend_packages = ["pants.backend.python"]
[python]
interpreter_constraints = ["CPython==3.11.*"]
pip_version = "20.3.4-patched"  # the one that Pex brings
[python-bootstrap]
search_path = ["<PATH>", "<PYENV>"]
[python-infer]
use_rust_parser = true
"""


class Cache(grpc.GenericRpcHandler):
    """Knows nothing, and keeps what was asked with which authorization."""

    def __init__(self) -> None:
        self.heard: set[tuple[str, str]] = set()
        self.looked_up: set[bytes] = set()

    def service(self, details):
        self.heard.add((details.method, dict(details.invocation_metadata).get("authorization", "")))
        code = grpc.StatusCode.NOT_FOUND if details.method == LOOKED_UP else grpc.StatusCode.UNIMPLEMENTED

        def answer(request, context):
            if details.method == LOOKED_UP:
                self.looked_up.add(request)
            context.abort(code, "not here")

        return grpc.unary_unary_rpc_method_handler(answer)


class Index(http.server.BaseHTTPRequestHandler):
    """A package index with one package."""

    def do_GET(self) -> None:
        page = f'<a href="/{WHEEL}">{WHEEL}</a>'.encode()
        body, kind = (wheel(), "application/zip") if self.path.endswith(WHEEL) else (page, "text/html")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def wheel() -> bytes:
    data = io.BytesIO()
    info = "tiny-1.0.dist-info"
    files = {
        "tiny.py": "def main():\n    print('tiny')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(data, "w") as file:
        for name, text in files.items():
            file.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


class Proxy(http.server.BaseHTTPRequestHandler):
    """Takes every tunnel to the index, and keeps who asked for one to where."""

    index: int
    asked: set[tuple[str, str]]

    def do_CONNECT(self) -> None:
        who = base64.b64decode(self.headers.get("Proxy-Authorization", "Basic ").split()[-1]).decode()
        self.asked.add((who, self.path))
        with socket.create_connection(("127.0.0.1", self.index)) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(there, self.connection))
            back.start()
            _pump(self.connection, there)
            back.join()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def serving(handler: type, context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def certificate(folder: Path) -> Path:
    """A certificate for the index and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, INDEX)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(INDEX)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "index.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


def installed_again(home: Path, root: Path) -> None:
    """The machine's own installation of Pants as one below `home`, whose proxies are none of the machine's."""
    cache = home / "trainyard"
    mine = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trainyard"
    if not (mine / f"tools-{key(mine, root)}").is_dir():
        subprocess.run([root / "pants", "--version"], env=os.environ | {"PANTS_PANTSD": "False"}, check=True)
    source, target = ((folder / f"tools-{key(folder, root)}").resolve() for folder in (mine, cache))
    for name in ("pex.file", "pex.digest"):
        (target / "pants/bin").mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(source / name)
    for name in ("pyvenv.cfg", "bin/python", "bin/pants"):
        shutil.copy(source / "pants" / name, target / "pants" / name, follow_symlinks=False)
    (packages := target / "pants/lib/python3.9/site-packages").mkdir(parents=True)
    (packages / "machine.pth").write_text(f"{source}/pants/lib/python3.9/site-packages\n")


def key(cache: Path, root: Path) -> str:
    locks = b"".join((root / f"3rdparty/python/{name}.lock").read_bytes() for name in ("pants", "pex"))
    (arguments,) = re.findall(r'^pex_arguments="(.*)"$', (root / "pants").read_text(), re.MULTILINE)
    told = subprocess.run(
        ["cksum"], input=f"{cache}{arguments}".encode() + locks, capture_output=True, check=True
    ).stdout
    return "-".join(told.decode().split())


@pytest.fixture
def cache() -> Iterator[tuple[Cache, str]]:
    known = Cache()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((known,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield known, f"grpc://127.0.0.1:{port}"
    server.stop(None)


def test_machines_behind_different_proxies_share_a_cache(tmp_path: Path, cache: tuple[Cache, str]) -> None:
    known, address = cache
    root = tmp_path / "repository"
    shutil.copytree(HERE / "3rdparty/python", root / "3rdparty/python", ignore=shutil.ignore_patterns("BUILD"))
    shutil.copy(HERE / "pants", root / "pants")
    (root / "pants.toml").write_text(PANTS_TOML)
    (root / "BUILD").write_text(BUILD)
    (tmp_path / "token").write_text("sesame\n")
    installed_again(tmp_path / "cache", root)

    # The index stands in pip's settings alone.
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = https://{INDEX}/simple\n")
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith("PIP_") and "proxy" not in name.lower()
    }
    looked_up = []
    with serving(Index, context) as index:
        for variable, user in (("HTTPS_PROXY", "alice"), ("https_proxy", "bob")):
            proxy = type("OneProxy", (Proxy,), {"index": index, "asked": set()})
            known.looked_up.clear()
            with serving(proxy) as port:
                variables = {
                    "XDG_CACHE_HOME": str(tmp_path / "cache"),
                    "TRAINYARD_REMOTE_CACHE": address,
                    "TRAINYARD_REMOTE_CACHE_TOKEN_FILE": str(tmp_path / "token"),
                    # Of what this machine has, nothing answers for it.
                    "PANTS_LOCAL_CACHE": "False",
                    "PANTS_NAMED_CACHES_DIR": str(tmp_path / f"named-{user}"),
                    "PANTS_PANTSD": "False",
                    "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
                    "PIP_CERT": str(pem),
                    # Under Pants this stands for the machine itself.
                    "TRAINYARD_NETWORK": "",
                    variable: f"http://{user}:secret-of-{user}@127.0.0.1:{port}",
                }
                command = ["./pants", "package", "//:app"]
                result = subprocess.run(command, cwd=root, env=bare | variables, capture_output=True, text=True)
            # A cache that fails is no reason to fail.
            assert result.returncode == 0, result.stderr
            assert proxy.asked == {(f"{user}:secret-of-{user}", f"{INDEX}:443")}
            looked_up.append(frozenset(known.looked_up))
            said = result.stdout + result.stderr
            said += "".join(
                path.read_text(errors="replace") for path in (root / ".pants.d").rglob("*") if path.is_file()
            )
            assert "secret-of" not in said
    assert {token for method, token in known.heard if method == LOOKED_UP} == {"Bearer sesame"}
    assert looked_up[0], "nothing was looked up"
    assert looked_up[0] == looked_up[1]
