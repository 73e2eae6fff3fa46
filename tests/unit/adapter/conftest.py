import contextlib
from collections.abc import Iterator

import grpc
import httpx
import pytest

from tests.unit.adapter.fakes import Adapter, FakeModelServer, adapter
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep


@pytest.fixture
def model_server() -> Iterator[FakeModelServer]:
    with FakeModelServer().serving() as server:
        yield server


@pytest.fixture(scope="session")
def standing() -> Iterator[Adapter]:
    with FakeModelServer().serving() as server, adapter(f"127.0.0.1:{server.port}") as it:
        yield it


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    """An adapter with the default limits, before the test's own `model_server`.

    A test that does not ask for that can't change it: such tests share one.
    """
    if "model_server" not in request.fixturenames:
        yield request.getfixturevalue("standing")
        return
    with adapter(f"127.0.0.1:{request.getfixturevalue('model_server').port}") as it:
        yield it


@pytest.fixture
def rest(served: Adapter) -> Iterator[httpx.Client]:
    # Plain HTTP: reading the known authorities takes longer than most tests.
    with httpx.Client(base_url=served.http, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
def stub(served: Adapter) -> Iterator[classifier_pb2_grpc.ClassifierStub]:
    with contextlib.closing(grpc.insecure_channel(served.grpc)) as channel:
        yield classifier_pb2_grpc.ClassifierStub(channel)
