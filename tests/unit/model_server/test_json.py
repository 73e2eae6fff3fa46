"""JSON <-> arrays. Imports TensorFlow for its type numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2

from serving.model_server import json_document, json_examples, json_input, json_output
from serving.model_server.dtypes import Tensor
from serving.model_server.errors import ServingError

FLOAT, INT64, UINT8, STRING, BOOL = (
    types_pb2.DT_FLOAT, types_pb2.DT_INT64, types_pb2.DT_UINT8, types_pb2.DT_STRING, types_pb2.DT_BOOL,
)  # fmt: skip


def test_floats_are_written_as_short_as_their_type_allows() -> None:
    values = np.array([9000000, 999999, 0.5, 0.0003, 0.00003, 555557.5, np.inf, -np.inf, np.nan], np.float32)
    assert json_output.decimals(values) == [
        "9e+06", "999999.0", "0.5", "0.0003", "3e-05", "555557.5", "Infinity", "-Infinity", "NaN",
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_float_reads_back_as_itself(dtype: type) -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=2000) * 10.0 ** random.integers(-30, 30, 2000)).astype(dtype)
    read = np.array([float(text) for text in json_output.decimals(values)], dtype)
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0,), (0, 3), (3, 0), (2, 0, 2)])
def test_nesting_follows_the_shape(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    flat = [str(value) for value in array.ravel()]
    assert json.loads(json_output.nested(flat, shape)) == array.tolist()


def test_rows_without_any_instance_are_an_empty_list() -> None:
    outputs = [Tensor("a", "a:0", FLOAT), Tensor("b", "b:0", FLOAT)]
    empty = [np.zeros((0, 2), np.float32), np.zeros((0,), np.float32)]
    assert json_output.predictions(outputs, empty, row_form=True) == [b'{"predictions": []}']
    uneven = [np.zeros((0, 2), np.float32), np.zeros((1,), np.float32)]
    with pytest.raises(ServingError, match="inconsistent batch size"):
        json_output.predictions(outputs, uneven, row_form=True)
    with pytest.raises(ServingError, match="empty tensor map"):
        json_output.predictions([], [], row_form=True)


@pytest.mark.parametrize("at_once", [1, 3, 10**6])
@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (2, 3, 2), (0,), (0, 3), (3, 0)])
def test_an_answer_in_many_parts_is_what_it_would_be_in_one(
    shape: tuple[int, ...], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_output, "_SLICE", at_once)
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    texts = np.array([str(value).encode() for value in numbers.ravel()], object).reshape(shape)
    arrays = [np.asarray(array) for array in (numbers / np.float32(8), numbers, texts, numbers > 2)]
    outputs = [Tensor(name, f"{name}:0", kind) for name, kind in zip("abcd", (FLOAT, INT64, STRING, BOOL), strict=True)]
    plain = {"a": arrays[0].tolist(), "b": numbers.tolist(), "c": numbers.astype(str).tolist(), "d": arrays[3].tolist()}
    for count in (1, 2, 4):
        for first in range(5 - count):
            chosen = slice(first, first + count)
            wanted = dict(list(plain.items())[chosen])
            parts = json_output.predictions(outputs[chosen], arrays[chosen], row_form=False)
            assert json.loads(b"".join(parts)) == {"outputs": wanted if count > 1 else plain["abcd"[first]]}
            if shape:
                rows = [dict(zip(wanted, row, strict=True)) for row in zip(*wanted.values(), strict=True)]
                parts = json_output.predictions(outputs[chosen], arrays[chosen], row_form=True)
                expected = rows if count > 1 else plain["abcd"[first]]
                assert json.loads(b"".join(parts)) == {"predictions": expected}
                assert at_once > 1 or len(parts) == (shape[0] if numbers.size else 1)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1435774380, 1435774380.0], FLOAT, [1435774336, 1435774336]),
        ([1.7976931348623157e308, -1.7976931348623157e308], FLOAT, [np.inf, -np.inf]),
        ([2.2250738585072014e-308], FLOAT, [0.0]),
        ([[1, 2], [3, 4]], INT64, [[1, 2], [3, 4]]),
        ([0, 255], UINT8, [0, 255]),
        ([True, False], BOOL, [True, False]),
        ([], FLOAT, []),
        (7, INT64, 7),
    ],
)
def test_values_become_arrays(value: object, dtype: int, expected: object) -> None:
    np.testing.assert_array_equal(json_input.dense(value, dtype), expected)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.0], INT64), ([256], UINT8), ([-1], UINT8), (["1"], FLOAT), ([True], FLOAT), ([None], FLOAT), ([1], BOOL),
        ([2**63], INT64), ([1], STRING), ({"a": 1}, FLOAT), ([[1], 2], FLOAT), ([[1], [1, 2]], FLOAT),
        ([*list(range(100)), True], FLOAT), ([*list(range(100)), 0.5], INT64), (list(range(300)), UINT8),
        ([[1.0] * 50, [1.0] * 49 + [False]], FLOAT),
    ],
)  # fmt: skip
def test_values_of_another_type_or_shape_are_refused(value: object, dtype: int) -> None:
    with pytest.raises(ServingError) as refused:
        json_input.dense(value, dtype)
    assert refused.value.code.name == "INVALID_ARGUMENT"


def test_many_numbers_mean_the_same_as_few() -> None:
    square = np.arange(400.0).reshape(20, 20)
    np.testing.assert_array_equal(json_input.dense(square.tolist(), FLOAT), square.astype(np.float32))
    whole = np.arange(256).reshape(16, 16)
    made = json_input.dense(whole.tolist(), UINT8)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, whole)


def test_brackets_inside_strings_do_not_count_as_depth() -> None:
    text = '{"s": "[[[{", "deep": ' + "[" * 5000 + '"]"' + "]" * 5000 + ', "after": 1}'
    document = json_document.parse(text.encode())
    assert (document["s"], document["after"]) == ("[[[{", 1)


@pytest.mark.parametrize("behind", [b" trailing", b"}", b"]]", b'{"instances": [2]}', b"\xff\xfe", b"\0"])
def test_what_stands_behind_the_document_is_ignored(behind: bytes) -> None:
    for before in (b" ", b"\xef\xbb\xbf"):  # a byte order mark
        assert json_document.parse(before + b'{"instances": [1.0]}' + behind) == {"instances": [1.0]}
    deep = b'{"instances": [1.0], "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert json_document.parse(deep + behind)["instances"] == [1.0]


@pytest.mark.parametrize(
    ("text", "value"),
    [("Inf", np.inf), ("-Inf", -np.inf), ("Infinity", np.inf), ("-Infinity", -np.inf), ("NaN", np.nan)],
)
def test_numbers_that_are_none_have_their_names(text: str, value: float) -> None:
    document = json_document.parse(f'{{"instances": [{text},1], "s": "Inf \\" Inf", "Inf": "{text}"}}'.encode())
    np.testing.assert_array_equal(json_input.dense(document["instances"], FLOAT), [value, 1])
    assert (document["s"], document["Inf"]) == ('Inf " Inf', text)


@pytest.mark.parametrize("text", ["inf", "nan", "INF", "Infin", "+Inf", "Inf1", "- Inf"])
def test_other_spellings_of_them_are_refused(text: str) -> None:
    with pytest.raises(ServingError):
        json_document.parse(f'{{"instances": [{text}]}}'.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("aGVsbG8=", b"hello"),
        ("aGVsbG8", b"hello"),
        ("aGVs\nbG8=\r\n", b"hello"),
        (" a G\tV s b G 8 = ", b"hello"),
        ("aGVsbA==", b"hell"),
        ("aGVsbA", b"hell"),
        ("aGVsbA..", b"hell"),
        ("aGVsbG9v", b"helloo"),
        ("", b""),
        ("++//", b"\xfb\xef\xff"),
    ],
)
def test_base64_is_read_with_broken_lines_and_without_padding(text: str, value: bytes) -> None:
    assert json_input.decoded({"b64": text}) == value


@pytest.mark.parametrize(
    "text", ["--__", "a", "aGVsb", "aGVsbG8==", "aGVsbA=", "aGVsbG9v=", "aG=VsbG8", "é", "aGVs\u00a0bG8"]
)
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ServingError, match="Unable to base64 decode"):
        json_input.decoded({"b64": text})


@pytest.mark.parametrize("body", [b"{", b"[1]", b"nonsense", b"\xff\xfe", b'{"a": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ServingError):
        json_document.parse(body)


def test_booleans_as_features_are_whole_numbers() -> None:
    document = {"examples": [{"x": [True, 2, False], "y": True, "z": [1.5]}]}
    (example,) = json_examples.examples(document).example_list.examples
    features = example.features.feature
    assert list(features["x"].int64_list.value) == [1, 2, 0]
    assert list(features["y"].int64_list.value) == [1]
    assert list(features["z"].float_list.value) == [1.5]
