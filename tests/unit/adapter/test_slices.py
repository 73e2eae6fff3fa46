"""Slices of what a fuzzer sends: bytes made up by Hypothesis are pixels or a refusal, never another error or a hang."""

import dataclasses
import gzip
import io
import json
import zlib
from functools import cache
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as within
from hypothesis import strategies as st
from PIL import Image

import imaging
from imaging.errors import ImageError
from serving.adapter import v2_json
from serving.adapter.body import _read
from serving.adapter.limits import Limits
from serving.adapter.refusals import Refusal
from serving.adapter.v2_tensors import images_of
from tests.unit.adapter.fakes import MODEL, FakeModelServer, adapter
from tests.unit.adapter.rest import b64

# The same examples in each run: what is new is for a longer run by hand, not for somebody's unlucky push.
slice_of = within(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SMALL = dataclasses.replace(imaging.DEFAULT, max_pixels=1_000_000, max_side=4_000)
LIMITS = Limits(max_request_bytes=64 * 1024, max_images=4)


@cache
def pictures():
    """A small file of each kind that is read."""
    random = np.random.default_rng(1)
    gray, colour = random.integers(0, 256, (9, 7), np.uint8), random.integers(0, 256, (9, 7, 4), np.uint8)
    made = []
    for picture, kind, options in (
        (Image.fromarray(gray), "PNG", {}),
        (Image.fromarray(colour), "PNG", {}),
        (Image.fromarray(gray.astype(np.uint16) * 257), "PNG", {}),
        (Image.fromarray(gray).convert("P"), "PNG", {"transparency": 3}),
        (Image.fromarray(gray), "JPEG", {}),
        (Image.fromarray(colour).convert("RGB"), "JPEG", {"progressive": True}),
    ):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        made.append(file.getvalue())
    return made


def chunk(name, content):
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


@st.composite
def damaged(draw):
    """A picture with bytes overwritten, put in, or taken out."""
    data = bytearray(draw(st.sampled_from(pictures())))
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(data))), draw(st.integers(0, 24))
        data[place : place + length] = draw(st.binary(max_size=24))
    return bytes(data)


@st.composite
def chunked(draw):
    """A PNG whose chunks have their right checksums, and any content."""
    header = draw(
        st.builds(
            lambda width, height, rest: width.to_bytes(4, "big") + height.to_bytes(4, "big") + rest,
            st.integers(0, 2**31 - 1) | st.integers(1, 64),
            st.integers(0, 2**31 - 1) | st.integers(1, 64),
            st.binary(min_size=0, max_size=7)
            | st.sampled_from([b"\x08\0\0\0\0", b"\x10\x06\0\0\0", b"\x01\x03\0\0\1"]),
        )
    )
    names = st.sampled_from([b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"gAMA"])
    contents = st.binary(max_size=40) | st.binary(max_size=200).map(zlib.compress)
    parts = draw(st.lists(st.tuples(names, contents), max_size=6))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, content) for name, content in [(b"IHDR", header), *parts, (b"IEND", b"")]
    )


WANTED = st.builds(
    imaging.ImageInput,
    size=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    oblong=st.sampled_from(["stretch", "pad", "crop"]),
    white=st.sampled_from([4095, 65535]),
)


@slice_of
@given(data=st.binary(max_size=200) | damaged() | chunked(), wanted=WANTED)
def test_a_decoder_gives_pixels_or_says_why_not(data, wanted):
    imaging.area(data, SMALL)
    try:
        pixels = imaging.pixels(data, wanted, SMALL)
    except ImageError as error:
        assert str(error)
        return
    assert len(pixels) == wanted.size**2 * wanted.channels
    assert imaging.pixels(data, wanted, SMALL) == pixels
    assert 0 < imaging.filled(data, wanted, SMALL) <= 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(b64(b"\x89PNG")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["image", "images", "inputs", "name", "data", "shape", "datatype"]), inner)
    ),
    max_leaves=12,
)
forms = st.lists(
    st.sampled_from(
        [
            b"--b",
            b"--b--",
            b"\r\n",
            b"--",
            b'Content-Disposition: form-data; name="x"; filename="y"',
            b"\r\n\r\n",
            b"\xff",
        ]
    ),
    max_size=14,
).map(b"".join)
bodies = (
    st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | forms
    | st.sampled_from(pictures())
)
kinds = st.sampled_from(
    [
        "",
        "application/json",
        "image/png",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "text/html",
        "a" * 200,
    ]
) | st.text(st.characters(max_codepoint=255), max_size=40)


@slice_of
@given(kind=kinds, body=bodies, packed=st.sampled_from([None, gzip.compress, lambda body: gzip.compress(body)[:-3]]))
def test_a_body_holds_images_or_is_refused(kind, body, packed):
    body = packed(body) if packed else body
    try:
        found = _read(kind, kind.partition(";")[0].strip().lower(), body, packed is not None, LIMITS)
    except Refusal as refusal:
        assert 400 <= refusal.status < 500 and str(refusal)
        return
    assert 1 <= len(found.images) <= LIMITS.max_images
    assert all(isinstance(image.data, bytes | Refusal) for image in found.images)


numbers = st.integers() | st.just(True) | st.none()
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["image", "pixels", ""]) | st.text(max_size=5),
        "datatype": st.sampled_from(["BYTES", "UINT8", "FP32", ""]),
        "shape": st.lists(numbers, max_size=9) | st.just([1, 8, 8, 1]),
    },
    optional={
        "data": json_values | st.lists(numbers, max_size=70),
        "parameters": st.dictionaries(st.just("binary_data_size"), numbers | st.text(max_size=3)) | json_values,
    },
)
inferences = st.fixed_dictionaries({"inputs": st.lists(tensors, max_size=3)}, optional={"outputs": json_values})


@slice_of
@given(
    asked=(inferences | json_values).map(lambda value: json.dumps(value).encode()),
    behind=st.binary(max_size=80),
    header=st.none() | st.just("whole") | st.text(max_size=5) | st.integers(-1, 200).map(str),
)
def test_an_inference_of_the_open_protocol_is_read_or_refused(asked, behind, header):
    try:
        _, found = v2_json.read(asked + behind, str(len(asked)) if header == "whole" else header)
        images = images_of(found, LIMITS.max_images)
    except Refusal as refusal:
        assert 400 <= refusal.status < 500 and str(refusal)
        return
    assert 1 <= len(images) <= LIMITS.max_images


@pytest.fixture(scope="module")
def rest():
    with (
        FakeModelServer().serving() as server,
        adapter(f"127.0.0.1:{server.port}", LIMITS) as it,
        httpx.Client(base_url=it.http, trust_env=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def described(rest):
    """Path, method and description of everything that the adapter says it can do."""
    paths = rest.get("/openapi.json").json()["paths"]
    return [(path, method, what) for path, methods in paths.items() for method, what in methods.items()]


values = st.sampled_from([MODEL, "1", "0", "-1", "9" * 30, "stable", "", "%00", "a/b", "\u00e9", "1 OR 1"])


@slice_of
@given(data=st.data(), kind=kinds, body=bodies, value=st.lists(values, min_size=4, max_size=4))
def test_what_is_answered_is_described(rest, described, data, kind, body, value):
    path, method, what = data.draw(st.sampled_from(described))
    query = {}
    for parameter, sent in zip(what.get("parameters", []), value, strict=False):
        if parameter["in"] == "path":
            # What a client makes up is one part of the path.
            path = path.replace("{" + parameter["name"] + "}", quote(sent or MODEL, safe=""))
        elif sent:
            query[parameter["name"]] = sent
    headers = {"Content-Type": kind} if kind.isascii() and kind.isprintable() else {}
    answer = rest.request(method, path, params=query, headers=headers, content=body if method == "post" else None)
    # A part with a slash in it is another path.
    assert answer.status_code < 500
    expected = what["responses"].get(str(answer.status_code))
    assert expected or (answer.status_code == 404 and "%2F" in path), (method, path, query, kind, answer.text)
    if expected and expected.get("content"):
        assert answer.headers["content-type"].partition(";")[0] in expected["content"]
