"""Who is let in: tokens, certificates, names, origins and rates, over both faces alike."""

import contextlib
import queue
import time
from dataclasses import replace

import grpc
import httpx
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cli.errors import UsageError
from serving.adapter import access as access_module
from serving.adapter import lifecycle
from serving.adapter.access import AccessOptions
from serving.adapter.tokens import Tokens
from serving.client import Access, Client, ClientError, Unauthenticated
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, problem
from tests.unit.adapter.waiting import wait_until
from tests.unit.client.test_tls import signed_by_itself
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

FIRST, SECOND = "first-token-of-the-test", "second-token-of-the-test"
ASKED = [("GET", "/v1/model"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("POST", "/v1/classify"), ("GET", "/no")]


@pytest.fixture
def tokens(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"# of the test\n\n{FIRST}\n{SECOND}\n")
    return file


@contextlib.contextmanager
def guarded(model_server, **options):
    with (
        adapter(f"127.0.0.1:{model_server.port}", access=AccessOptions(**options)) as it,
        httpx.Client(base_url=it.http, trust_env=False) as rest,
    ):
        yield it, rest


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def classify(rest, **headers):
    return rest.post("/v1/classify", content=gray(1), headers={**PNG, **headers})


def test_each_token_opens_both_faces_and_nothing_else_does(model_server, tokens):
    with guarded(model_server, token_file=tokens) as (it, rest):
        for token in (FIRST, SECOND):
            assert classify(rest, **bearer(token)).status_code == 200
            with Client(it.grpc, access=Access(token=token)) as client:
                assert client.classify(gray(1)).version == 1
                assert client.model().versions
        for headers in (
            {},
            {"Authorization": "Bearer"},
            bearer(FIRST[:-1]),
            bearer(FIRST + "x"),
            bearer("# of the test"),
            {"Authorization": FIRST},
            {"Authorization": f"Basic {FIRST}"},
            bearer(f"{FIRST} {SECOND}"),
        ):
            for method, path in ASKED:
                response = rest.request(method, path, headers=headers)
                assert problem(response, 401)["type"] == "urn:trainyard:problem:unauthenticated", path
                assert response.headers["www-authenticate"].startswith("Bearer")
        for wrong in (None, FIRST[:-1], "x" * 5000):
            with Client(it.grpc, access=Access(token=wrong)) as client, pytest.raises(Unauthenticated):
                client.classify(gray(1))
        # A token in an address is none: it would be in every log on the way.
        assert rest.get(f"/v1/model?token={FIRST}&access_token={FIRST}").status_code == 401


def test_health_and_the_page_are_free(model_server, tokens):
    with guarded(model_server, token_file=tokens) as (it, rest), grpc.insecure_channel(it.grpc) as channel:
        for path in ("/livez", "/readyz", "/", "/models", "/page/page.js", "/docs"):
            assert rest.get(path).status_code == 200, path
        health = health_pb2_grpc.HealthStub(channel)
        wait_until(
            lambda: health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        )
        assert next(health.Watch(health_pb2.HealthCheckRequest())).status
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list(reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_body_of_who_is_not_known_is_not_read(model_server, tokens):
    with guarded(model_server, token_file=tokens) as (_, rest):

        def endless():
            while True:
                yield b"x" * 65536
                time.sleep(0.01)

        with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
            assert rest.post("/v1/classify", content=endless(), headers=PNG).status_code == 401


def test_a_changed_file_counts_and_a_broken_one_changes_nothing(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(FIRST)
    tokens = Tokens(file)
    for broken in ("", "# nothing\n", "short"):
        file.write_text(broken)
        tokens.refresh()
        assert tokens.identify(f"bearer {FIRST}")
    file.unlink()
    tokens.refresh()
    assert tokens.identify(f"Bearer {FIRST}")
    file.write_text(SECOND)
    tokens.refresh()
    assert tokens.identify(f"Bearer {SECOND}")
    with pytest.raises(Exception, match="not known"):
        tokens.identify(f"Bearer {FIRST}")


def test_a_running_adapter_follows_its_file(model_server, tokens, monkeypatch):
    monkeypatch.setattr(lifecycle, "_REFRESH_INTERVAL", 0.05)
    with guarded(model_server, token_file=tokens) as (_, rest):
        tokens.write_text("another-token-of-the-test")
        wait_until(lambda: classify(rest, **bearer("another-token-of-the-test")).status_code == 200)
        assert classify(rest, **bearer(FIRST)).status_code == 401


def test_an_open_stream_ends_with_its_token(model_server, tokens, monkeypatch):
    monkeypatch.setattr(lifecycle, "_REFRESH_INTERVAL", 0.05)
    sent: queue.Queue[str] = queue.Queue()
    requests = (
        api.ClassifyStreamRequest(id=name, request=api.ClassifyRequest(image=gray(1))) for name in iter(sent.get, "")
    )
    with guarded(model_server, token_file=tokens) as (it, rest), grpc.insecure_channel(it.grpc) as channel:
        metadata = [("authorization", f"Bearer {FIRST}")]
        answers = classifier_pb2_grpc.ClassifierStub(channel).ClassifyStream(requests, timeout=30, metadata=metadata)
        sent.put("before")
        assert next(answers).response.version == 1
        tokens.write_text(SECOND)
        wait_until(lambda: classify(rest, **bearer(FIRST)).status_code == 401)
        sent.put("after")
        refused = next(answers)
        sent.put("")
    assert (refused.id, refused.error.code) == ("after", grpc.StatusCode.UNAUTHENTICATED.value[0])


@pytest.mark.parametrize(("text", "said"), [("", "no token"), ("# x", "no token"), ("short", "fewer than 16")])
def test_a_file_without_a_token_is_wrong_usage(tmp_path, text, said):
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        Tokens(file)
    with pytest.raises(UsageError, match="can't be read"):
        Tokens(tmp_path / "none")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "10.0.0.1", "[::2]", ""]
)
def test_on_loopback_another_name_is_refused_as_it_was_made_to_point_here(model_server, host):
    with guarded(model_server) as (_, rest):
        problem(classify(rest, Host=host), 421)
        problem(rest.get("/v1/model", headers={"Host": host}), 421)
        problem(rest.get("/", headers={"Host": host}), 421)
        # A kubelet asks by a pod's address.
        assert rest.get("/livez", headers={"Host": host}).status_code == 200
        assert rest.get("/readyz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:99", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "a.localhost"]
)
def test_names_of_this_machine_are_its_own(model_server, host):
    with guarded(model_server) as (_, rest):
        assert classify(rest, Host=host).status_code == 200


def test_hosts_that_are_named_are_the_only_ones(model_server):
    with guarded(model_server, allowed_hosts=("models.example.com",)) as (_, rest):
        assert classify(rest, Host="Models.Example.com:443").status_code == 200
        problem(classify(rest, Host="localhost"), 421)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "file://", "["]
)
def test_a_page_of_another_site_is_refused_and_told_of_no_permission(model_server, origin):
    with guarded(model_server) as (_, rest):
        for response in (
            classify(rest, Origin=origin),
            rest.get("/v1/model", headers={"Origin": origin}),
            rest.options("/v1/classify", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
        ):
            problem(response, 403)
            assert "access-control-allow-origin" not in response.headers


def test_the_adapters_own_page_is_no_other_site(model_server):
    with guarded(model_server) as (it, rest):
        assert classify(rest, Origin=it.http).status_code == 200


def test_sites_that_are_named_may_ask(model_server, tokens):
    site = "https://clinic.example"
    with guarded(model_server, token_file=tokens, allowed_origins=(site,)) as (_, rest):
        asked = {
            "Origin": site,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        told = rest.options("/v1/classify", headers=asked)
        assert told.status_code == 200
        assert told.headers["access-control-allow-origin"] == site
        assert "authorization" in told.headers["access-control-allow-headers"].lower()
        response = classify(rest, Origin=site, **bearer(FIRST))
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, site)
        assert classify(rest, Origin="https://evil.example", **bearer(FIRST)).status_code == 403
        assert classify(rest, Origin=site).status_code == 401


def test_images_a_second_are_counted_for_each_token(model_server, tokens):
    with guarded(model_server, token_file=tokens, rate=0.01, burst=3) as (it, rest):
        files = [("images", (f"{n}.png", gray(n))) for n in range(2)]
        assert rest.post("/v1/classify", files=files, headers=bearer(FIRST)).status_code == 200
        with Client(it.grpc, access=Access(token=FIRST)) as client:
            assert client.classify(gray(1)).version == 1
        over = classify(rest, **bearer(FIRST))
        assert problem(over, 429)["type"] == "urn:trainyard:problem:rate-limited"
        assert int(over.headers["retry-after"]) > 1
        with grpc.insecure_channel(it.grpc) as channel:
            from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
            from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

            with pytest.raises(grpc.RpcError) as refused:
                metadata = (("authorization", f"Bearer {FIRST}"),)
                classifier_pb2_grpc.ClassifierStub(channel).Classify(
                    api.ClassifyRequest(image=gray(1)), metadata=metadata, timeout=20
                )
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(refused.value.trailing_metadata())["grpc-retry-pushback-ms"]) > 1000
        # It is not for lack of room, which an alert and the autoscaler would act on.
        assert "trainyard_requests_turned_away_total 0.0" in rest.get("/metrics", headers=bearer(FIRST)).text
        # Another caller has its own.
        assert classify(rest, **bearer(SECOND)).status_code == 200


def test_what_is_used_up_comes_back(model_server):
    with guarded(model_server, rate=20, burst=1) as (_, rest):
        assert classify(rest).status_code == 200
        wait_until(lambda: classify(rest).status_code == 200)


def test_metrics_may_have_a_port_of_their_own(model_server, tokens):
    with guarded(model_server, token_file=tokens, metrics_port=0) as (it, rest):
        with httpx.Client(base_url=f"http://127.0.0.1:{it.ports.metrics}", trust_env=False) as own:
            assert "trainyard_requests_in_flight" in own.get("/metrics").text
            assert own.get("/v1/model").status_code == own.post("/v1/classify").status_code == 404
        assert rest.get("/metrics", headers=bearer(FIRST)).status_code == 404


def test_reflection_can_be_switched_off(model_server):
    with guarded(model_server, reflection=False) as (it, _), grpc.insecure_channel(it.grpc) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture
def certificates(tmp_path):
    """Files: the adapter's key and certificate, and a client's, each signed by itself."""
    made = {
        "adapter": signed_by_itself(x509.DNSName("adapter.example")),
        "client": signed_by_itself(x509.DNSName("me")),
    }
    for name, (key, certificate) in made.items():
        (tmp_path / f"{name}.key").write_bytes(key)
        (tmp_path / f"{name}.crt").write_bytes(certificate)
    return tmp_path


def over_tls(it, path, folder, own=False, method="GET", **more):
    import ssl

    context = ssl.create_default_context(cafile=folder / "adapter.crt")
    if own:
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
    with httpx.Client(verify=context, trust_env=False) as client:
        address = it.http.replace("http://", "https://")
        extensions = {"sni_hostname": "adapter.example"}
        return client.request(method, address + path, extensions=extensions, **more)


def test_both_faces_speak_tls(model_server, certificates, tokens):
    options = {"tls_certificate": certificates / "adapter.crt", "tls_key": certificates / "adapter.key"}
    with guarded(model_server, token_file=tokens, **options) as (it, rest):
        assert over_tls(it, "/livez", certificates).status_code == 200
        answer = over_tls(
            it, "/v1/classify", certificates, method="POST", content=gray(1), headers={**PNG, **bearer(FIRST)}
        )
        assert answer.json()["version"] == 1
        access = Access(FIRST, (certificates / "adapter.crt").read_bytes(), server_name="adapter.example")
        with Client(it.grpc, access=access) as client:
            assert client.classify(gray(1)).version == 1
        with pytest.raises(httpx.HTTPError):
            rest.get("/livez")
        with Client(it.grpc, access=Access(FIRST)) as client, pytest.raises(ClientError):
            client.model(timeout=2)


def test_with_an_authority_for_clients_who_shows_no_certificate_gets_the_probes_alone(model_server, certificates):
    options = {
        "tls_certificate": certificates / "adapter.crt",
        "tls_key": certificates / "adapter.key",
        "tls_client_ca": certificates / "client.crt",
    }
    with guarded(model_server, **options) as (it, _):
        assert over_tls(it, "/livez", certificates).status_code == 200
        assert over_tls(it, "/readyz", certificates).status_code == 200
        for path in ("/", "/v1/model", "/metrics"):
            problem(over_tls(it, path, certificates), 401)
            assert over_tls(it, path, certificates, own=True).status_code == 200
        access = Access(None, (certificates / "adapter.crt").read_bytes(), server_name="adapter.example")
        with Client(it.grpc, access=access) as client, pytest.raises(ClientError):
            client.model(timeout=2)
        key, own = ((certificates / f"client.{kind}").read_bytes() for kind in ("key", "crt"))
        with Client(it.grpc, access=replace(access, certificate=own, key=key)) as client:
            assert client.classify(gray(1)).version == 1


@pytest.mark.parametrize("wrong", ["adapter.crt", "client.key", "none"])
def test_files_that_are_no_certificate_are_wrong_usage(model_server, certificates, wrong):
    from serving.adapter.tls import Tls

    with pytest.raises(UsageError):
        Tls(AccessOptions(tls_certificate=certificates / "adapter.crt", tls_key=certificates / wrong))
    with pytest.raises(UsageError, match="belong together"):
        Tls(AccessOptions(tls_certificate=certificates / "adapter.crt"))


def test_a_new_certificate_counts_for_new_connections(model_server, certificates, monkeypatch):
    monkeypatch.setattr(lifecycle, "_REFRESH_INTERVAL", 0.05)
    options = {"tls_certificate": certificates / "adapter.crt", "tls_key": certificates / "adapter.key"}
    with guarded(model_server, **options) as (it, _):
        assert over_tls(it, "/livez", certificates).status_code == 200
        key, certificate = signed_by_itself(x509.DNSName("adapter.example"))
        (certificates / "adapter.crt").write_bytes(certificate)
        (certificates / "adapter.key").write_bytes(key)

        def reached():
            try:
                return over_tls(it, "/livez", certificates).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(reached)
        access = Access(None, certificate, server_name="adapter.example")
        with Client(it.grpc, access=access) as client:
            assert client.model().versions


def test_grpc_is_given_a_certificate_once_and_again_when_the_files_have_changed(certificates, monkeypatch):
    """Given anew for each connection, it made those that began at that moment fail: they were told no protocol."""
    from serving.adapter.tls import Tls

    asked, make = [], grpc.dynamic_ssl_server_credentials

    def credentials(first, fetch, **more):
        asked.append(fetch)
        return make(first, fetch, **more)

    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", credentials)
    tls = Tls(AccessOptions(tls_certificate=certificates / "adapter.crt", tls_key=certificates / "adapter.key"))
    tls.credentials()
    (fetch,) = asked
    tls.refresh()
    assert fetch() is None
    with (certificates / "adapter.crt").open("a") as file:
        file.write("\n")
    tls.refresh()
    assert isinstance(fetch(), grpc.ServerCertificateConfiguration)
    assert fetch() is None


def test_an_authority_that_is_taken_out_lets_nobody_in_any_more(model_server, certificates, monkeypatch):
    monkeypatch.setattr(lifecycle, "_REFRESH_INTERVAL", 0.05)
    options = {
        "tls_certificate": certificates / "adapter.crt",
        "tls_key": certificates / "adapter.key",
        "tls_client_ca": certificates / "authority.crt",
    }
    (certificates / "authority.crt").write_bytes((certificates / "client.crt").read_bytes())
    with guarded(model_server, **options) as (it, _):
        assert over_tls(it, "/v1/model", certificates, own=True).status_code == 200
        _, another = signed_by_itself(x509.DNSName("another"))
        (certificates / "authority.crt").write_bytes(another)

        def refused():
            try:
                return over_tls(it, "/v1/model", certificates, own=True).status_code == 401
            except httpx.HTTPError:
                return True

        wait_until(refused)
        assert over_tls(it, "/livez", certificates).status_code == 200


def test_callers_at_rest_are_forgotten_and_those_who_owe_are_not(monkeypatch):
    monkeypatch.setattr(access_module, "_MOST_BUCKETS", 3)
    now = 100.0
    monkeypatch.setattr(access_module.time, "monotonic", lambda: now)
    rates = access_module.Rates(1.0, 10)
    for name, at in (("rests", 100.0), ("owes", 105.0), ("other", 109.0), ("new", 111.0)):
        now = at
        access_module.caller.set(name)
        rates.charge(10)
    assert set(rates._buckets) == {"owes", "other", "new"}
    access_module.caller.set("owes")
    assert rates._bucket().left == 6.0
