"""What Docker Compose is told: nobody is root, nothing is written to, and nobody is reached who need not be."""

import os
from pathlib import Path

import pytest

from serving.pod.compose_file import ComposeFile

IMAGES = {"adapter": "trainyard/adapter:latest", "model_server": "trainyard/model_server:latest"}


def compose_file(bridged, original=False, images=IMAGES):
    told = ComposeFile(
        project="clone-1",
        models_config=Path("/tmp/clone/models.config"),
        model="chest-xray",
        images=images,
        original=original,
        memory_limit_mib=2048,
        more_flags=("--max_num_load_retries=0",),
    )
    return told.content(40080, 40090, bridged)


both = pytest.mark.parametrize("bridged", [True, False], ids=["bridged", "host's network"])


def flag(service, name):
    (value,) = (word.removeprefix(f"--{name}=") for word in service["command"] if word.startswith(f"--{name}="))
    return value


@both
@pytest.mark.parametrize("uid", [0, 1000])
def test_nobody_is_root(bridged, uid, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(os, "getgid", lambda: uid)
    for service in compose_file(bridged)["services"].values():
        user, group = map(int, service["user"].split(":"))
        assert user == group == (uid or 10001)


@both
def test_both_have_a_read_only_root_no_rights_and_production_memory(bridged):
    for service in compose_file(bridged)["services"].values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true", "label:disable"]
        # No swap either, which would turn a limit into slowness.
        assert service["mem_limit"] == service["memswap_limit"] == "2048m"
        assert "privileged" not in service and "cap_add" not in service and "pid" not in service


@both
def test_model_server_has_no_network_and_the_models_read_only(bridged):
    service = compose_file(bridged)["services"]["model_server"]
    assert service["network_mode"] == "none"
    assert "ports" not in service
    assert service["volumes"] == ["/tmp/clone:/tmp/clone:ro", "sockets:/run/trainyard"]
    assert flag(service, "model_config_file") == "/tmp/clone/models.config"
    assert flag(service, "batching_parameters_file") == "/tmp/clone/batching.config"
    assert service["command"][-1] == "--max_num_load_retries=0"
    assert "entrypoint" not in service


@both
def test_the_two_share_a_socket(bridged):
    services = compose_file(bridged)["services"]
    socket = flag(services["model_server"], "grpc_socket_path")
    assert flag(services["adapter"], "backend") == f"unix:{socket}"
    assert services["adapter"]["volumes"] == ["sockets:/run/trainyard"]
    assert Path(socket).parent == Path("/run/trainyard")
    assert list(compose_file(bridged)["volumes"]) == ["sockets"]


@both
def test_adapter_leaves_before_the_model_server(bridged):
    assert compose_file(bridged)["services"]["adapter"]["depends_on"] == ["model_server"]


def test_bridged_adapter_is_published_on_loopback_alone():
    adapter = compose_file(True)["services"]["adapter"]
    assert adapter["ports"] == ["127.0.0.1:40080:8080", "127.0.0.1:40090:9090"]
    assert (flag(adapter, "http-port"), flag(adapter, "grpc-port"), flag(adapter, "host")) == (
        "8080",
        "9090",
        "0.0.0.0",
    )
    assert "network_mode" not in adapter


def test_adapter_on_the_hosts_network_listens_on_loopback_alone():
    adapter = compose_file(False)["services"]["adapter"]
    assert adapter["network_mode"] == "host"
    assert (flag(adapter, "http-port"), flag(adapter, "grpc-port")) == ("40080", "40090")
    assert flag(adapter, "host") == "127.0.0.1"
    assert "ports" not in adapter


def test_tensorflow_servings_image_is_started_without_its_entry_point():
    own = compose_file(True)["services"]["model_server"]
    images = {**IMAGES, "model_server": "tensorflow/serving:2.19.1"}
    original = compose_file(True, original=True, images=images)["services"]["model_server"]
    assert original == own | {"image": "tensorflow/serving:2.19.1", "entrypoint": ["tensorflow_model_server"]}
