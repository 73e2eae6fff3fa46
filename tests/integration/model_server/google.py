"""Google Cloud Storage as TensorFlow reaches it: by Google's names and TLS, which lead to an emulator here."""

from __future__ import annotations

import datetime
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testkit import buckets

HOSTS = ["storage.googleapis.com", "www.googleapis.com"]


@contextmanager
def google(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The emulator's own address, and the variables with which TensorFlow takes the emulator for Google."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    write_certificate(certificate, key)
    port = buckets.free_port()
    tls = ["-port", str(port), "-cert-location", str(certificate), "-private-key-location", str(key)]
    with buckets.emulator(*tls, "-public-host", HOSTS[0]) as address, Tunnel(port) as tunnel:
        threading.Thread(target=tunnel.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{tunnel.server_address[1]}"
        yield address, {"https_proxy": proxy, "CURL_CA_BUNDLE": str(certificate), "NO_GCE_CHECK": "true"}
        tunnel.shutdown()


def write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


class Tunnel(socketserver.ThreadingTCPServer):
    """A proxy that leads whoever asks for one of HOSTS to a port of this machine, and nobody anywhere else."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connect)
        self.port = port


class _Connect(socketserver.StreamRequestHandler):
    rbufsize = 0  # or what follows the head would be read with it

    def handle(self) -> None:
        asked = self.rfile.readline().split()
        while self.rfile.readline().strip():
            pass
        if asked[0] != b"CONNECT" or asked[1].decode() not in [f"{host}:443" for host in HOSTS]:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        assert isinstance(self.server, Tunnel)
        with socket.create_connection(("127.0.0.1", self.server.port)) as other:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pour, args=(other, self.connection), daemon=True)
            back.start()
            _pour(self.connection, other)
            back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
