"""Tokens of an identity provider: who is let in by them, and what an attacker may try."""

import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cli.errors import UsageError
from serving.adapter import jwks
from serving.adapter.access import Access as CheckedAccess
from serving.adapter.access import AccessOptions
from serving.adapter.jwks import KeySet
from serving.adapter.refusals import Unauthenticated
from serving.adapter.signed_tokens import SignedTokens
from serving.client import Access, Client, ClientError
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, problem

ISSUER, AUDIENCE = "https://issuer.example", "trainyard"


@cache
def private(name):
    return ec.generate_private_key(ec.SECP256R1()) if name == "ec" else rsa.generate_private_key(65537, 2048)


def public(name, **more):
    algorithm = jwt.algorithms.ECAlgorithm if name == "ec" else jwt.algorithms.RSAAlgorithm
    return {**json.loads(algorithm.to_jwk(private(name).public_key())), "kid": name, **more}


def claims(**changes):
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "exp": time.time() + 300, **changes}
    return {name: value for name, value in told.items() if value is not None}


def token(key="rsa", algorithm="RS256", kid="rsa", **changes):
    # Below the part of the library that refuses to write what nobody should.
    payload = json.dumps(claims(**changes)).encode()
    return jwt.api_jws.encode(payload, private(key), algorithm, {"kid": kid} if kid else {})


def forged(header, key=b""):
    """A token with this header, signed by HMAC with `key`, or with nothing."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims())]
    signed = b".".join(parts)
    seal = hmac.new(key, signed, hashlib.sha256).digest() if key else b""
    return (signed + b"." + base64.urlsafe_b64encode(seal).rstrip(b"=")).decode()


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [public("rsa"), public("ec")]}))
    return file


@pytest.fixture
def signed(keys):
    return SignedTokens(str(keys), ISSUER, AUDIENCE)


def refused(signed, sent):
    with pytest.raises(Unauthenticated) as error:
        signed.identify(f"Bearer {sent}")
    assert "Traceback" not in str(error.value)
    return str(error.value)


def test_tokens_of_the_issuer_are_taken_and_name_their_subject(signed):
    assert signed.identify(f"Bearer {token()}") == signed.identify(f"bearer {token('ec', 'ES256', 'ec')}")
    assert signed.identify(f"Bearer {token(algorithm='PS384')}") != signed.identify(f"Bearer {token(sub='another')}")
    # Clocks differ a little.
    assert signed.identify(f"Bearer {token(exp=time.time() - 40)}")
    assert signed.identify(f"Bearer {token(aud=['else', AUDIENCE], nbf=time.time() + 40)}")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"}, {"iss": None}, {"iss": [ISSUER]}, {"aud": "else"}, {"aud": None}, {"aud": []},
        {"exp": time.time() - 4000}, {"exp": None}, {"exp": "soon"}, {"nbf": time.time() + 4000}, {"sub": None},
        {"sub": 7}, {"iat": time.time() + 4000},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_are_not_as_they_should_be_open_nothing(signed, changes):
    refused(signed, token(**changes))


def test_no_algorithm_and_no_shared_secret_opens_anything(signed, keys):
    pem = (
        private("rsa")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for alg in ("none", "None", "nOnE", ""):
        refused(signed, forged({"alg": alg, "kid": "rsa"}))
        refused(signed, forged({"alg": alg, "kid": "rsa"}, b"x"))
    for secret in (
        pem,
        pem.strip(),
        keys.read_bytes(),
        json.dumps(public("rsa")).encode(),
        public("rsa")["n"].encode(),
    ):
        for alg in ("HS256", "RS256", "ES256"):
            refused(signed, forged({"alg": alg, "kid": "rsa"}, secret))
            refused(
                signed, forged({"alg": alg, "kid": "rsa", "jwk": public("rsa"), "jku": "http://x", "x5u": "http://x"})
            )


def test_another_key_and_a_changed_token_open_nothing(signed):
    refused(signed, token("stranger"))
    refused(signed, jwt.encode(claims(), private("stranger"), "RS256", {"kid": "rsa", "jwk": public("stranger")}))
    refused(signed, jwt.encode(claims(), private("ec"), "ES256", {"kid": "rsa"}))
    head, body, seal = token().split(".")
    other = token(sub="admin").split(".")[1]
    for sent in (
        f"{head}.{other}.{seal}",
        f"{head}.{body}.",
        f"{head}.{body}",
        "a.b.c",
        "." * 1000,
        "ü.ü.ü",
        "x" * 99_999,
    ):
        refused(signed, sent)
    for sent in (None, "", "Bearer", "Basic eDp5", token()):
        with pytest.raises(Unauthenticated):
            signed.identify(sent)
    # Two keys, and no name of one.
    assert "key" in refused(signed, token(kid=None))


def test_keys_that_are_weak_secret_or_for_something_else_are_no_keys(tmp_path):
    file = tmp_path / "jwks.json"
    weak = rsa.generate_private_key(65537, 1024)
    others = [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "rsa"},
        public("rsa", use="enc"), public("rsa", alg="HS256"), public("rsa", alg="none"), {"kty": "RSA"}, 7, None,
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key())), "kid": "rsa"},
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private("rsa"))),
    ]  # fmt: skip
    for other in others:
        file.write_text(json.dumps({"keys": [other]}))
        with pytest.raises(UsageError):
            KeySet(str(file))
    for text in ("", "[]", "{}", '{"keys": {}}', "[" * 100_000, "x" * (jwks.MOST_BYTES + 1)):
        file.write_text(text)
        with pytest.raises(UsageError):
            KeySet(str(file))
    with pytest.raises(UsageError):
        KeySet(str(tmp_path / "absent"))
    with pytest.raises(UsageError):
        KeySet("http://issuer.example/keys")


@contextlib.contextmanager
def provider():
    """An address with keys; `answers` is what it does, `asked` how often it was."""

    class Handler(BaseHTTPRequestHandler):
        answers, asked = {"keys": [public("rsa")]}, 0
        status = 200

        def do_GET(self):
            Handler.asked += 1
            body = Handler.answers if isinstance(Handler.answers, bytes) else json.dumps(Handler.answers).encode()
            self.send_response(Handler.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Handler, f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()


def test_an_address_that_is_down_opens_nothing_and_closes_nothing(monkeypatch):
    monkeypatch.setattr(jwks, "_AGAIN", 0.0)
    monkeypatch.setattr(jwks, "_EVERY", 0.0)
    with provider() as (server, address):
        signed = SignedTokens(address, ISSUER, AUDIENCE)
        refused(signed, token())  # nobody has been asked yet
        server.status = 500
        signed.keys.refresh()
        refused(signed, token())
        server.status = 200
        signed.keys.refresh()
        assert signed.identify(f"Bearer {token()}")
        for status, answers in ((200, b"x" * 300_000), (200, b"<html>"), (302, {"keys": []}), (200, {"keys": []})):
            server.status, server.answers = status, answers
            signed.keys.refresh()
            assert signed.identify(f"Bearer {token()}")
            refused(signed, forged({"alg": "none", "kid": "rsa"}))
    signed.keys.refresh()
    assert signed.identify(f"Bearer {token()}")


def test_names_of_keys_that_somebody_makes_up_ask_the_address_no_more_often():
    with provider() as (server, address):
        signed = SignedTokens(address, ISSUER, AUDIENCE)
        signed.keys.refresh()
        for number in range(200):
            refused(signed, token(kid=f"made-up-{number}"))
            signed.keys.refresh()
        assert server.asked == 1


def test_a_key_that_is_new_is_fetched_soon(monkeypatch):
    monkeypatch.setattr(jwks, "_AGAIN", 0.0)
    with provider() as (server, address):
        signed = SignedTokens(address, ISSUER, AUDIENCE)
        signed.keys.refresh()
        server.answers = {"keys": [public("ec")]}
        signed.keys.refresh()
        assert server.asked == 1  # nobody wants another
        refused(signed, token("ec", "ES256", "ec"))
        signed.keys.refresh()
        assert signed.identify(f"Bearer {token('ec', 'ES256', 'ec')}")
        refused(signed, token())  # which the provider has taken back


def test_an_address_that_says_nothing_is_left(monkeypatch):
    monkeypatch.setattr(jwks, "_FETCH_SECONDS", 0.3)
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        signed = SignedTokens(f"http://127.0.0.1:{silent.getsockname()[1]}/", ISSUER, AUDIENCE)
        signed.keys.refresh()
        refused(signed, token())


def test_both_faces_take_signed_tokens_and_those_of_a_file(model_server, keys, tmp_path):
    (tmp_path / "tokens").write_text("token-of-the-file-in-the-test")
    options = AccessOptions(jwks=str(keys), jwt_issuer=ISSUER, jwt_audience=AUDIENCE, token_file=tmp_path / "tokens")
    with (
        adapter(f"127.0.0.1:{model_server.port}", access=options) as it,
        httpx.Client(base_url=it.http, trust_env=False) as rest,
    ):
        for sent in (token(), "token-of-the-file-in-the-test"):
            headers = {**PNG, "Authorization": f"Bearer {sent}"}
            assert rest.post("/v1/classify", content=gray(1), headers=headers).status_code == 200
            with Client(it.grpc, access=Access(token=sent)) as client:
                assert client.classify(gray(1)).version == 1
        for sent in ("nonsense", forged({"alg": "none", "kid": "rsa"}), token(aud="else")):
            headers = {**PNG, "Authorization": f"Bearer {sent}"}
            problem(rest.post("/v1/classify", content=gray(1), headers=headers), 401)
        with Client(it.grpc, access=Access(token=token(aud="else"))) as client, pytest.raises(ClientError):
            client.classify(gray(1))
        assert rest.get("/readyz").status_code == 200


def test_issuer_and_audience_are_not_optional(keys):
    for some in ({"jwks": str(keys)}, {"jwks": str(keys), "jwt_issuer": ISSUER}, {"jwt_audience": AUDIENCE}):
        with pytest.raises(UsageError, match="belong together"):
            CheckedAccess.of(AccessOptions(**some))


def test_nothing_of_it_is_loaded_unless_it_is_asked_for():
    code = "import sys, serving.adapter.lifecycle; sys.exit('jwt' in sys.modules or 'cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
