"""What is said of JSON that is refused: the words of the original's parser, and its way to show a value."""

from __future__ import annotations

import pytest
from tensorflow.core.framework import types_pb2

from serving.model_server import json_document, json_examples, json_input
from serving.model_server.dtypes import Tensor
from serving.model_server.errors import ServingError
from serving.model_server.json_shown import shown


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "The document is empty"),
        (b" \n", "The document is empty. at offset: 2"),
        (b'{"a": foo}', "Invalid value. at offset: 6"),
        (b'{"a": [1,]}', "Invalid value. at offset: 9"),
        (b"{a: 1}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a": 1 "b": 2}', "Missing a comma or } after an object member. at offset: 8"),
        (b'{"a": {"x": [1]}, "b": [1 2]}', "Missing a comma or ] after an array element. at offset: 26"),
        (b'{"a": [1', "Missing a comma or ] after an array element. at offset: 8"),
        (b'{"a": [{"b": "]"} 2', "Missing a comma or ] after an array element. at offset: 18"),
        (b'{"a": "b', "Missing a closing quotation mark in string. at offset: 8"),
        (b'{"a": "\x01"}', "Invalid encoding in string. at offset: 7"),
        (b'{"a": "\xff"}', "Invalid encoding in string. at offset: 7"),
        (b'{"a": "\\x"}', "Invalid escape character in string. at offset: 7"),
        (b'{"a": "\\u00g0"}', "Incorrect hex digit after \\u escape in string. at offset: 7"),
        (b' {"a": "\\ud800"}', "The surrogate pair in string is invalid. at offset: 8"),
        (b'{"a": 1.}', "Miss fraction part in number. at offset: 8"),
        (b'{"a": 1e}', "Miss exponent in number. at offset: 8"),
        (b'{"a": 1e400}', "Number too big to be stored in double. at offset: 6"),
        (b'{"a": -' + b"9" * 400 + b"}", "Number too big to be stored in double. at offset: 6"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Number too big to be stored in double. at offset: 6"),
        ("{\"ü\": foo}".encode(), "Invalid value. at offset: 7"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_told_in_the_originals_words(body: bytes, words: str) -> None:
    with pytest.raises(ServingError) as refused:
        json_document.Document(body)
    assert refused.value.message == f"JSON Parse error: {words}"


def test_the_largest_numbers_are_none_too_big() -> None:
    body = b'{"a": [1.7976931348623157e308, 1e-400, %s], "b64": "e999"}' % (b"9" * 308)
    document = json_document.Document(body, careful=True).fields
    assert document["a"] == [1.7976931348623157e308, 0.0, int("9" * 308)]


def test_a_value_is_shown_as_there_and_not_at_length() -> None:
    assert shown({"a": [1, [True, None]], "ü": {"b": "x\n", "c": {}}}) == (
        '{\n    "a": [1, [true, null]],\n    "ü": {\n        "b": "x\\n",\n        "c": {}\n    }\n}'
    )
    assert len(shown(list(range(10**6)))) < 270
    assert len(shown(["x" * 10**6])) < 1100


TWO = [Tensor("a", "a:0", types_pb2.DT_FLOAT), Tensor("b", "b:0", types_pb2.DT_STRING)]


@pytest.mark.parametrize(
    ("instances", "words"),
    [
        ([{"a": 1, "b": "x"}, {"b": 2}], "element: 1 key: b of 'instances' list. Error: INVALID_ARGUMENT: JSON Value"),
        ([{"a": 1, "b": "x"}, {"a": 1}], 'JSON object: {\n    "a": 1\n} keys must be equal to: a,b'),
        ([{"a": 1, "b": "x", "c": 1}], "element: 0 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object"),
        # The first thing that is wrong, not the worst one.
        ([{"a": 1, "b": "x"}, {"a": [1], "b": 2}], "element: 1 key: a of 'instances' list. Error: INVALID_ARGUMENT: E"),
        ([{"a": 1, "b": "x"}, 7], "Expecting object but got list at item 1 of input list"),
        ([[1], [2]], "instances is a plain list, but expecting list of objects as multiple input tensors required"),
    ],
)  # fmt: skip
def test_the_first_instance_that_is_wrong_is_named(instances: object, words: str) -> None:
    with pytest.raises(ServingError) as refused:
        json_input.predict_inputs({"instances": instances}, TWO)
    assert words in refused.value.message


def test_whole_numbers_beyond_64_bits_are_floats_as_features() -> None:
    document = {"examples": [{"x": [2**64, -(2**63) - 1]}]}
    (example,) = json_examples.examples(document).example_list.examples
    assert list(example.features.feature["x"].float_list.value) == [2.0**64, -(2.0**63)]
    with pytest.raises(ServingError, match=r"Feature: x has uint64_t element\. Only int64_t is supported\."):
        json_examples.examples({"examples": [{"x": 2**63}]})
    with pytest.raises(ServingError, match="feature: x expecting type: float"):  # the kind is looked at before
        json_examples.examples({"examples": [{"x": [1.5, 2**63]}]})


def test_of_a_name_given_twice_the_last_one_holds() -> None:
    for careful in (True, False):
        document = json_document.Document(b'{"inputs": [1], "inputs": [2]}', careful)
        _, arrays = document.read(lambda fields: json_input.predict_inputs(fields, TWO[:1]))
        assert arrays["a"].tolist() == [2.0]


def test_more_whole_numbers_have_a_form_than_there() -> None:
    assert json_input.dense([65535], types_pb2.DT_UINT16).tolist() == [65535]
