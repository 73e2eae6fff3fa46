"""Any bytes are images or a refusal that is the sender's, whichever reader gets them; found ones stay so."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import imaging
from serving.adapter import v2_json
from serving.adapter.forms import read_form
from serving.adapter.gzipped import unpacked
from serving.adapter.json_body import read_json
from serving.adapter.refusals import Refusal
from serving.adapter.v2_tensors import images_of
from tests.unit.adapter.images import gray

FOUND = Path(__file__).parents[2] / "fixtures/fuzzed"
MOST = 4
LIMITS = imaging.Limits(max_bytes=1 << 20, max_pixels=1 << 16, max_side=1024, max_parts=256)
FORM = b'--b\r\nContent-Disposition: form-data; name="images"; filename="x.png"\r\n\r\nx\r\n--b--\r\n'
TEXT = base64.b64encode(gray(7)).decode()
INFER = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}
PIXELS = {"inputs": [{"name": "pixels", "shape": [1, 1, 2, 1], "datatype": "UINT8", "data": [[1, 2]]}]}
READERS = {
    "form": lambda body: read_form("multipart/form-data; boundary=b", body, MOST),
    "json": lambda body: read_json(body, MOST),
    "gzip": lambda body: unpacked(body, 1 << 20),
    "v2": lambda body: images_of(v2_json.read(body, None)[1], MOST),
    "v2 and bytes": lambda body: images_of(v2_json.read(body[1:], str(body[0]) if body else "")[1], MOST),
}
WHOLE = {
    "form": [FORM, FORM.replace(b"x\r\n", b"x\r\n" + FORM[:-6])],
    "json": [json.dumps({"images": [TEXT]}).encode(), json.dumps({"image": TEXT}).encode()],
    "gzip": [gzip.compress(FORM), gzip.compress(b"") * 3],
    "v2": [json.dumps(INFER).encode(), json.dumps(PIXELS).encode()],
    "v2 and bytes": [b"\x02{}" + bytes(9), bytes([200]) + json.dumps(PIXELS).encode()],
}
IMAGES = [gray(7, 16), gray(200, 16, "JPEG")]
NAMES = ["image", "images", "inputs", "name", "shape", "datatype", "data", "parameters", "binary_data_size", "outputs"]
# JSON of any shape, so that a reader meets each kind of value where it wants another.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner),
    max_leaves=6,
)
INPUTS = st.fixed_dictionaries(
    {"inputs": st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)), max_size=2)}
)
# Right but for one of its values.
PARTLY = st.builds(
    lambda name, value: {"inputs": [{**PIXELS["inputs"][0], name: value}]},
    st.sampled_from(NAMES[3:]),
    VALUES | st.lists(st.integers(-1, 256)),
)


@st.composite
def damaged(draw, whole):
    """A whole one with pieces changed, left out, repeated or put in."""
    data = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(1, 6))):
        begin, end = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
        data = data[:begin] + draw(st.binary(max_size=8) | st.just(data[begin:end] * 2)) + data[end:]
    return data


def read(reader, body):
    """Whether it was read; a refusal that is not the sender's fault, or anything else, is an error."""
    try:
        READERS[reader](body)
    except Refusal as refusal:
        assert refusal.status < 500 and str(refusal)
        return False
    return True


def decoded(data):
    imaging.area(data, LIMITS)
    try:
        pixels = imaging.pixels(data, imaging.ImageInput(8, oblong="pad"), LIMITS)
        assert len(pixels) == 64 and 0 < imaging.filled(data, imaging.ImageInput(8, oblong="pad"), LIMITS) <= 1
    except imaging.ImageError as error:
        assert str(error).endswith(".")


@pytest.mark.parametrize("reader", READERS)
def test_what_is_whole_is_read(reader):
    assert all(read(reader, body) for body in WHOLE[reader][:1] if reader != "v2 and bytes")


@pytest.mark.parametrize("reader", READERS)
def test_any_body_is_read_or_refused(reader):
    @settings(max_examples=250, deadline=None)
    @given(st.binary(max_size=200) | damaged(WHOLE[reader]))
    def holds(body):
        read(reader, body)

    holds()


@pytest.mark.parametrize("reader", ["json", "v2"])
def test_json_of_any_shape_is_read_or_refused(reader):
    @settings(max_examples=150, deadline=None)
    @given(VALUES | INPUTS | PARTLY)
    def holds(value):
        read(reader, json.dumps(value).encode())

    holds()


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | damaged(IMAGES))
@example(b"")
def test_any_bytes_are_pixels_or_a_typed_error(data):
    decoded(data)


@pytest.mark.parametrize("found", sorted(FOUND.glob("*.*")), ids=lambda path: path.name)
def test_what_atheris_found_is_read_or_refused(found: Path):
    """Files that `benchmarks:fuzzing` wrote: the decoder's, and bodies whose first byte names the reader."""
    data = found.read_bytes()
    if found.suffix == ".decoder":
        decoded(data)
    elif data:
        read(list(READERS)[data[0] % len(READERS)], data[1:])
