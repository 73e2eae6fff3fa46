"""What the fast parsers read is what the careful one reads, to the last byte of an answer or a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import simdjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import types_pb2

from serving.model_server import json_document, json_input, json_lift, json_output, json_shape
from serving.model_server.dtypes import Tensor
from serving.model_server.errors import ServingError

TYPES = [types_pb2.DT_FLOAT, types_pb2.DT_INT64, types_pb2.DT_UINT8, types_pb2.DT_STRING, types_pb2.DT_BOOL]


@pytest.fixture(scope="module", autouse=True, params=[6, 2**18], ids=["slices", "whole"])
def everything_is_large(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lists of a few bytes are lifted, cut into slices of a few bytes or read as a whole."""
    patched = pytest.MonkeyPatch()
    patched.setattr(json_lift, "_SHORTEST", 2)
    patched.setattr(json_lift, "_SLICE", request.param)
    patched.setattr(json_shape, "_SHORT", 0)
    patched.setattr(json_shape, "_NUMBERS_A_LIST", 2)
    patched.setattr(json_shape, "_BLOCK", 5)
    patched.setattr(json_input, "_VALUES", 20)
    yield
    patched.undo()


def outcome(body: bytes, dtype: int, careful: bool, two: bool = False) -> tuple[object, ...]:
    """What a request with `body` comes to, comparable."""
    tensors = [Tensor("a", "a:0", dtype), Tensor("b", "b:0", types_pb2.DT_FLOAT)][: 1 + two]
    try:
        if careful:
            row_form, arrays = json_input.predict_inputs(json_document.parse(body), tensors)
        else:
            document = json_document.Document(body)
            row_form, arrays = document.read(lambda fields: json_input.predict_inputs(fields, tensors))
    except ServingError as error:
        return error.code, error.message
    return row_form, [(name, a.dtype.str, a.shape, repr(a.tolist())) for name, a in arrays.items()]


NUMBERS = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e308, 5e-324, 2**63, 2**64 - 1, -(2**63), 1.5]),
)
SCALARS = st.one_of(NUMBERS, NUMBERS, st.booleans(), st.none(), st.text(max_size=5), st.just({"b64": "aGVsbG8="}))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@st.composite
def rectangles(draw: st.DrawFn) -> object:
    """Nested lists that fit an array, mostly of one kind of number."""
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    scalars = draw(st.sampled_from([NUMBERS, st.integers(0, 255), st.floats(width=32), SCALARS]))
    count = int(np.prod(shape))
    flat = draw(st.lists(scalars, min_size=count, max_size=count))
    values = np.empty(count, object)
    values[:] = flat
    return values.reshape(shape).tolist()


DOCUMENTS = st.one_of(
    st.fixed_dictionaries({"instances": st.one_of(rectangles(), VALUES)}),
    st.fixed_dictionaries({"inputs": st.one_of(rectangles(), VALUES)}),
    st.fixed_dictionaries({"instances": st.lists(st.fixed_dictionaries({"a": rectangles()}), max_size=3)}),
    st.fixed_dictionaries({"inputs": st.fixed_dictionaries({"a": rectangles(), "b": rectangles()})}),
    st.fixed_dictionaries({"instances": rectangles(), "more": VALUES, "signature_name": st.text(max_size=3)}),
)
SPACES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS, SPACES, st.sampled_from(TYPES), st.booleans())
def test_documents_are_read_alike(document: object, spaces: tuple[str, str], dtype: int, two: bool) -> None:
    body = json.dumps(document, separators=spaces).encode()
    assert outcome(body, dtype, False, two) == outcome(body, dtype, True, two)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    DOCUMENTS, st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(b'[]{}",:0159.-eE \\\xff\0x'))), st.booleans()
)
@example({"instances": [[1], [2]]}, [], False)
def test_damaged_documents_are_read_or_refused_alike(
    document: object, damage: list[tuple[int, int]], insert: bool
) -> None:
    body = bytearray(json.dumps(document, separators=(",", ":")).encode())
    for place, byte in damage[:3]:
        place %= len(body)
        body[place : place + (not insert)] = bytes([byte])
    assert outcome(bytes(body), types_pb2.DT_FLOAT, False) == outcome(bytes(body), types_pb2.DT_FLOAT, True)


@pytest.mark.parametrize(
    "text",
    [
        '{"instances": [[1],2[]]}', '{"instances": [[1],[]]}', '{"instances": [[],[]]}', '{"instances": [,]}',
        '{"instances": [1,]}', '{"instances": [[1,2],[3,4]]} [5', '{"instances": [1] [2]}', '{[1,2]: 3, "inputs": 4}',
        '{"instances": [1,2], "x": [[1,2],[3]]}', '{"instances": [1e400, -1e400]}', '{"instances": [01]}',
        '{"instances": [1,2,true]}', '{"instances": [NaN, Inf, -Infinity]}', '{"instances": [18446744073709551615]}',
        '{"instances": [12345678901234567890123]}', '{"instances": [1.0, 2]}', '{"instances": [-0]}',
        '{"inputs": [[[[1,2],[3,4]]],[[[5,6],[7,8]]]]}', '{"instances": [{"a": [1,2]}, {"a": [1,2,3]}]}',
        '{"inputs": ' + "[" * 70 + "1" + "]" * 70 + "}", '{"inputs": ' + "[" * 300 + "1,2" + "]" * 300 + "}",
        '{"instances": [1,2], "instances": [3]}', '\ufeff{"instances": [1,2]}', '{"instances": ["\\ud800", "x"]}',
        '{"instances": [1,2], "s": "a\\"[1,2]\\\\"}', '{"instances": ["' + "QUJD" * 200 + '"]}', '{"instances": [1',
        '{"' + "QUJD" * 200 + '": 1, "instances": [{"b64": "' + "QUJD" * 200 + '"}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", TYPES)
def test_the_odd_ones_are_read_or_refused_alike(text: str, dtype: int) -> None:
    body = text.encode("utf-8", "surrogatepass")
    assert outcome(body, dtype, False) == outcome(body, dtype, True)


ATOMS = st.sampled_from(["1", "-2.5", "[1]", "[22]", "[[1]]", "[1,2]", "[]", "[[1],[2]]", "[1],[2]"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(ATOMS, min_size=1, max_size=4), min_size=1, max_size=4), st.sampled_from([",", ", ", " ,"]))
def test_lists_that_are_nearly_rectangles_are_none(rows: list[list[str]], comma: str) -> None:
    text = "[" + ",".join(f"[{','.join(row)}]" for row in rows) + "]"
    body = f'{{"instances": {text.replace(",", comma)}}}'.encode()
    assert outcome(body, types_pb2.DT_FLOAT, False) == outcome(body, types_pb2.DT_FLOAT, True)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("[[1],[2],[3]]", (3, 1)), ("[[1], [2], [3]]", (3, 1)), ("[[1,2],[3,4]]", (2, 2)),
        ("[[[1,2],[3,4]]]", (1, 2, 2)), ("[[[1]],2]", None),
        ("[[1] ,[2]]", None), ("[[1],\n[2]]", None), ("[[1],[2, 3],[]]", None), ("[2,[[1]]]", None),
        ("[[1,[2,3]],[[],4]]", None), ("[[1],[2],[3,4]]", None), ("[[1,2],[3]]", None), ("[[1],[2],3]", None),
    ],
)  # fmt: skip
def test_sizes_are_told_where_the_parser_proves_them(text: str, sizes: tuple[int, ...] | None) -> None:
    document = simdjson.Parser().parse(text.encode())
    count = len(np.frombuffer(document.as_buffer(of_type="i"), np.int64))
    assert json_shape.of_parsed(document, text.encode(), count) == sizes


def test_what_is_plain_does_not_need_the_careful_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(body: bytes) -> dict[str, object]:
        raise AssertionError("parsed carefully")

    monkeypatch.setattr(json_document, "parse", forbidden)
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    for body in (
        {"instances": images.tolist()},
        {"signature_name": "x", "inputs": images.tolist()},
        {"inputs": {"a": images.tolist(), "b": [1]}},
        {"instances": [{"a": image} for image in images.tolist()]},
    ):
        document = json_document.Document(json.dumps(body).encode())
        _, arrays = document.read(
            lambda fields: json_input.predict_inputs(fields, [Tensor("a", "a:0", types_pb2.DT_FLOAT)])
        )
        np.testing.assert_array_equal(arrays["a"], images)


def test_rows_are_counted_before_they_are_converted() -> None:
    tensors = [Tensor("a", "a:0", types_pb2.DT_FLOAT)]
    for row in ("[]", '["x"]', '{"a": 1}'):
        document = json_document.Document(b'{"instances": [%s]}' % ",".join([row] * 5).encode())
        with pytest.raises(ServingError, match="Task size 5 is larger than maximum input batch size 4"):
            document.read(lambda fields: json_input.predict_inputs(fields, tensors, 4))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_answers_hold_the_shortest_numbers_that_read_back(values: list[float]) -> None:
    array = np.array(values, np.float32).reshape(len(values), 1)
    parts = json_output.predictions([Tensor("y", "y:0", types_pb2.DT_FLOAT)], [array], row_form=True)
    flat = b"".join(parts).decode().removeprefix('{"predictions": [[').removesuffix("]]}").split("], [")
    for value, part in zip(array.ravel(), flat, strict=True):
        assert part == one_decimal(value), (value, part)


def one_decimal(value: np.float32) -> str:
    """By C's %g with more and more digits, until it reads back; the original goes from six to nine at once."""
    number = float(value)
    if not np.isfinite(number):
        return "NaN" if np.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    text = next(text for digits in range(6, 10) if np.float32(text := f"{number:.{digits}g}") == value)
    return text if "." in text or "e" in text else text + ".0"
