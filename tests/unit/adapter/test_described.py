"""Whatever Schemathesis makes of the OpenAPI document is answered as that document says."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG

# A slice of what there is, so that it takes seconds: `benchmarks:fuzzing` goes on for minutes.
EXAMPLES = 8
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture
def schema(served):
    return schemathesis.openapi.from_url(f"{served.http}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "otherwise"])
def test_what_is_made_of_the_description_is_answered_as_described(schema, served, rest, mode):
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answered(case):
            asked.add((case.method, case.path))
            case.call_and_validate(base_url=served.http, checks=CHECKS, timeout=30)

        # Nothing can be wrong about a GET that takes nothing, and any text is a name.
        with contextlib.suppress(Unsatisfiable):
            answered()
    every = {(one.ok().method.upper(), one.ok().path) for one in schema.get_all_operations()}
    assert asked >= {one for one in every if mode is GenerationMode.POSITIVE or one[0] == "POST"}
    assert rest.post("/v1/classify", content=gray(7), headers=PNG).status_code == 200
