"""The client and its command by TLS: a real server of gRPC's ends it before an adapter."""

import contextlib
import datetime
import ipaddress
from concurrent import futures

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from serving.client import Client, Unavailable
from serving.client import __main__ as command
from tests.unit.adapter.images import gray

INFRASTRUCTURE, USAGE = 6, 2


def signed_by_itself(*names):
    """Key and certificate for `names`, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an adapter")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
        key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, made.public_bytes(pem)


class Forwards(grpc.GenericRpcHandler):
    """Hands every call on as it is."""

    def __init__(self, channel):
        self._channel = channel

    def service(self, details):
        call = self._channel.unary_unary(details.method)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: call(request, timeout=10))


@contextlib.contextmanager
def ending_tls(adapter, key, certificate):
    """The port of a server that ends TLS and asks `adapter`."""
    with grpc.insecure_channel(adapter) as channel:
        server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Forwards(channel)])
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait(10)


@pytest.fixture
def secured(served, tmp_path):
    """(port, certificate's file) of a server for the names localhost and 127.0.0.1."""
    names = x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    key, certificate = signed_by_itself(*names)
    file = tmp_path / "authority.pem"
    file.write_bytes(certificate)
    with ending_tls(served.grpc, key, certificate) as port:
        yield port, file


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_certificate_of_the_named_authority_is_enough(secured, host):
    port, file = secured
    with Client(f"{host}:{port}", tls=True, authorities=file.read_bytes()) as client:
        assert client.classify(gray(255)).label == "COVID"


def test_certificate_of_nobody_known_is_refused(secured):
    port, _ = secured
    other = signed_by_itself(x509.DNSName("localhost"))[1]
    for authorities in (None, other):
        with (
            Client(f"localhost:{port}", tls=True, authorities=authorities) as client,
            pytest.raises(Unavailable, match="authority that is not known here"),
        ):
            client.classify(gray(1), timeout=5)


def test_certificate_for_another_name_is_refused(served):
    key, certificate = signed_by_itself(x509.DNSName("models.example.com"))
    with (
        ending_tls(served.grpc, key, certificate) as port,
        Client(f"localhost:{port}", tls=True, authorities=certificate) as client,
        pytest.raises(Unavailable, match="certificate for another name"),
    ):
        client.classify(gray(1), timeout=5)


def test_tls_where_there_is_none_and_none_where_there_is_are_told(served, secured):
    port, _ = secured
    with Client(served.grpc, tls=True) as client, pytest.raises(Unavailable, match="by TLS"):
        client.classify(gray(1), timeout=5)
    with Client(f"localhost:{port}") as client, pytest.raises(Unavailable, match="want TLS"):
        client.classify(gray(1), timeout=5)


def call(*arguments):
    result = CliRunner().invoke(command.app, [*map(str, arguments)])
    return result.exception.exit_code if hasattr(result.exception, "exit_code") else result.exit_code, result


def test_command_trusts_the_file_it_is_given(secured, tmp_path):
    port, file = secured
    (tmp_path / "a.png").write_bytes(gray(255))
    code, result = call("classify", tmp_path / "a.png", "--address", f"localhost:{port}", "--ca", file, "--csv")
    assert code == 0 and "COVID,1" in result.stdout
    code, _ = call("model", "--address", f"localhost:{port}", "--ca", file)
    assert code == 0
    code, result = call("model", "--address", f"localhost:{port}", "--tls", "--timeout", 5)
    assert code == INFRASTRUCTURE and "not known here" in str(result.exception)


@pytest.mark.parametrize(
    ("address", "flags", "tls"),
    [
        ("127.0.0.1:9090", [], False),
        ("localhost:9090", [], False),
        ("[::1]:9090", [], False),
        ("unix:/run/adapter.sock", [], False),
        ("models.example.com:443", [], True),
        ("10.0.0.7:9090", [], True),
        ("10.0.0.7:9090", ["--plaintext"], False),
        ("localhost:9090", ["--tls"], True),
    ],
)
def test_only_what_stays_on_this_machine_goes_without_tls_unless_asked(monkeypatch, address, flags, tls):
    made = []

    class Nobody(Client):
        def __init__(self, address, **options):
            made.append(options["tls"])
            super().__init__("127.0.0.1:1")

    monkeypatch.setattr("serving.client.client.Client", Nobody)
    code, _ = call("model", "--address", address, *flags)
    assert (code, made) == (INFRASTRUCTURE, [tls])


def test_file_that_is_no_authority_is_told(tmp_path):
    (tmp_path / "key.pem").write_bytes(signed_by_itself(x509.DNSName("localhost"))[0])
    for flags, told in (
        (["--ca", tmp_path / "missing.pem"], "no such file"),
        (["--ca", tmp_path / "key.pem"], "no certificate"),
        (["--ca", tmp_path / "key.pem", "--plaintext"], "not both"),
    ):
        code, result = call("model", *flags)
        assert code == USAGE and told in str(result.exception)
