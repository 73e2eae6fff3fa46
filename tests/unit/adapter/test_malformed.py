"""Whatever is sent gets an answer that says what is wrong with it, and costs nobody else theirs."""

import contextlib

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.unit.adapter.malformed import GOOD, corpus, prefixes
from tests.unit.adapter.rest import PNG, exchange

CASES = list(corpus())
_PATIENCE = 20  # seconds, as in exchange


def test_the_corpus_is_large_and_its_names_tell_it_apart():
    assert len(CASES) >= 400
    assert len({case.sent for case in CASES}) >= 400


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize("part", range(4))
def test_malformed_requests_are_refused_by_a_problem_and_the_next_good_one_is_answered(served, rest, part):
    wrong = {}
    for case in CASES[part::4]:
        answer = exchange(served.ports.http, case.sent)
        if status(answer) not in case.statuses or b"application/problem+json" not in answer.lower():
            wrong[case.name] = answer[:300]
        assert rest.post("/v1/classify", content=GOOD, headers=PNG).status_code == 200, case.name
    assert wrong == {}


def test_a_request_that_is_cut_off_and_closed_at_any_byte_is_over(served, rest):
    for sent in prefixes(1024):
        answer = exchange(served.ports.http, sent, close=True)
        assert status(answer) in (0, 400, 408), (sent[-40:], answer)
    assert rest.post("/v1/classify", content=GOOD, headers=PNG).status_code == 200


METHODS = {
    "/trainyard.v1.Classifier/Classify": 1,
    "/trainyard.v1.Classifier/GetModel": 1,
    "/trainyard.v1.Classifier/ClassifyStream": None,
    "/grpc.health.v1.Health/Check": 1,
    "/grpc.health.v1.Health/Watch": None,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": None,
}


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 9, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab", b"\x08", b"\x07\x01", b"\x0b"]
)
@pytest.mark.parametrize("method", METHODS)
def test_grpc_garbage_is_an_invalid_argument_and_names_no_class(served, method, garbage):
    with contextlib.closing(grpc.insecure_channel(served.grpc)) as channel, pytest.raises(grpc.RpcError) as raised:
        if METHODS[method]:
            channel.unary_unary(method)(garbage, timeout=_PATIENCE)
        else:
            list(channel.stream_stream(method)(iter([garbage]), timeout=_PATIENCE))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "class" not in raised.value.details() and "Error" not in raised.value.details()


def test_what_is_well_formed_still_reaches_every_service(served):
    with contextlib.closing(grpc.insecure_channel(served.grpc)) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")(health_pb2.HealthCheckRequest().SerializeToString())
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(
            health_pb2.HealthCheckRequest().SerializeToString()
        )
        asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        told = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")(iter([asked]))
        assert health_pb2.HealthCheckResponse.FromString(check).status
        assert health_pb2.HealthCheckResponse.FromString(next(watch)).status
        assert b"trainyard.v1.Classifier" in next(told)
        watch.cancel()
