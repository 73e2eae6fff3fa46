"""Flags whose effect shows to a client: TLS with certificates of clients, gRPC's own settings, forms of answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.integration.model_server.google import HOSTS, write_certificate
from tests.integration.model_server.requests import request
from tests.integration.model_server.servers import Server

Keys = tuple[bytes, bytes]  # a certificate, and its key


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    write_certificate(folder / "certificate.pem", folder / "key.pem")
    return (folder / "certificate.pem").read_bytes(), (folder / "key.pem").read_bytes()


@pytest.fixture(scope="module")
def server(models: Path, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("flags")
    certificate, key = (json.dumps(text.decode()) for text in keys)
    (folder / "ssl").write_text(
        f"server_key: {key} server_cert: {certificate} custom_ca: {certificate} client_verify: true"
    )
    (folder / "session").write_text("inter_op_parallelism_threads: 1 allow_soft_placement: true")
    running = Server(
        folder, "--model_name=m", f"--model_base_path={models}/half_plus_two", f"--ssl_config_file={folder}/ssl",
        "--enable_serialization_as_tensor_content", "--grpc_channel_arguments=grpc.max_receive_message_length=2000",
        f"--tensorflow_session_config_file={folder}/session", "--tensorflow_session_parallelism=2",
        "--num_load_threads=2", f"--grpc_socket_path={folder}/s",
        "--saved_model_tags=serve", "--rest_api_enable_cors_support", "--grpc_max_threads=1",
    )  # fmt: skip
    yield running
    running.close()


def stub(
    server: Server, trusted: bytes, own: Keys | None, by_socket: bool = False
) -> prediction_service_pb2_grpc.PredictionServiceStub:
    """Of a client that trusts one certificate and has, or has not, its own."""
    address = f"unix:{server.log_file.parent}/s" if by_socket else f"127.0.0.1:{server.port}"
    credentials = grpc.ssl_channel_credentials(trusted, own and own[1], own and own[0])
    options = [("grpc.ssl_target_name_override", HOSTS[0])]
    channel = grpc.secure_channel(address, credentials, options)
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def test_a_client_with_a_certificate_is_answered_in_tensor_content(server: Server, keys: Keys) -> None:
    answer = stub(server, keys[0], keys).Predict(request("m", x=[2.0, 4.0]), timeout=20).outputs["y"]
    assert np.frombuffer(answer.tensor_content, np.float32).tolist() == [4.0, 5.0]
    assert not answer.float_val


def test_the_unix_socket_speaks_tls_too(server: Server, keys: Keys) -> None:
    answer = stub(server, keys[0], keys, by_socket=True).Predict(request("m", x=[2.0]), timeout=20)
    assert len(answer.outputs["y"].tensor_content) == 4
    with pytest.raises(grpc.RpcError) as failure:
        stub(server, keys[0], None, by_socket=True).Predict(request("m", x=[2.0]), timeout=20)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


def test_who_shows_no_certificate_or_speaks_no_tls_is_not_answered(server: Server, keys: Keys) -> None:
    for client in (stub(server, keys[0], None), server.predictions):
        with pytest.raises(grpc.RpcError) as failure:
            client.Predict(request("m", x=[2.0]), timeout=20)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


def test_grpcs_own_settings_are_taken(server: Server, keys: Keys) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        stub(server, keys[0], keys).Predict(request("m", x=[2.0] * 1000), timeout=20)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_pages_may_ask_and_there_are_no_metrics_unless_asked_for(server: Server) -> None:
    answer = server.http.get("/v1/models/m")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert server.http.get("/monitoring/prometheus/metrics").status_code == 404
