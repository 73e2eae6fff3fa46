"""Requests that nobody should send, each with the statuses that may answer it."""

import gzip
import json
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.unit.adapter.images import gray
from tests.unit.imaging.images import chunk, png_claiming

GOOD = gray(200, size=32)
REFUSED = frozenset({400, 413, 415, 422})
_HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"


@dataclass(frozen=True)
class Case:
    """What is sent on a connection of its own, and the statuses that may come back."""

    name: str
    sent: bytes
    statuses: frozenset[int]


def post(body: bytes, content_type: str | None, *headers: str) -> bytes:
    lines = [*headers, *([f"Content-Type: {content_type}"] if content_type else []), f"Content-Length: {len(body)}"]
    return _HEAD + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def corpus() -> Iterator[Case]:
    yield from _heads()
    yield from _framing()
    yield from (Case(f"json {name}", post(body, "application/json"), REFUSED) for name, body in _json())
    yield from _forms()
    yield from _packed()
    yield from (Case(f"image {name}", post(image, "image/png"), REFUSED) for name, image in _images())
    yield from _queries()


def prefixes(most: int) -> Iterator[bytes]:
    """A good request, cut at each of its first bytes."""
    whole = post(gray(7, size=64), "image/png", *(f"X-Filler-{n}: {'x' * 20}" for n in range(20)))
    return (whole[:end] for end in range(min(most, len(whole))))


def _heads() -> Iterator[Case]:
    large = frozenset({431})
    for size in (64 << 10, 1 << 20, 8 << 20):
        yield Case(f"header of {size}", _HEAD + b"X: " + b"x" * size + b"\r\n\r\n", large)
        yield Case(f"header of {size}, endless", _HEAD + b"X: " + b"x" * size, large)
        yield Case(f"target of {size}", b"GET /" + b"x" * size + b" HTTP/1.1\r\n\r\n", large)
        yield Case(f"short headers of {size}", _HEAD + b"X: y\r\n" * (size // 6) + b"\r\n", large)
        yield Case(f"name of {size}", _HEAD + b"x" * size + b": y\r\n\r\n", large)
    for count in (100, 101, 1000):
        yield Case(f"{count} more headers", _HEAD + b"X: y\r\n" * count + b"\r\n", large)
    for size in (512 << 10, 1 << 20):
        chunked = _HEAD + b"Transfer-Encoding: chunked\r\nContent-Type: image/png\r\n\r\n"
        yield Case(f"trailer of {size}", chunked + b"0\r\nX: " + b"x" * size, large | REFUSED)
        yield Case(f"trailers of {size}", chunked + b"0\r\n" + b"X: y\r\n" * (size // 6) + b"\r\n", large | REFUSED)
        yield Case(f"chunk extension of {size}", chunked + b"1;" + b"x" * (2 * size), large | REFUSED)
    bad = frozenset({400})
    for name, sent in {
        "no version": b"GET /livez\r\n\r\n",
        "version 9": b"GET /livez HTTP/9.9\r\n\r\n",
        "no method": b" /livez HTTP/1.1\r\n\r\n",
        "made up method": b"FETCHALL /livez HTTP/1.1\r\n\r\n",
        "lower case": b"get /livez http/1.1\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
        "SOCKS": b"\x05\x01\x00" + b"\r\n\r\n",
        "NUL in the target": b"GET /\0 HTTP/1.1\r\n\r\n",
        "space in the target": b"GET /li vez HTTP/1.1\r\n\r\n",
        "not ASCII in the target": "GET /é HTTP/1.1\r\n\r\n".encode(),
        "no path": b"GET http://[::1 HTTP/1.1\r\n\r\n",
        "CONNECT": b"CONNECT example.com HTTP/1.1\r\n\r\n",
        "header without a colon": _HEAD + b"nothing\r\n\r\n",
        "header without a name": _HEAD + b": x\r\n\r\n",
        "space before the colon": _HEAD + b"Content-Length : 1\r\n\r\nx",
        "NUL in a header": _HEAD + b"X: \0\r\n\r\n",
        "a lone line end in a header": _HEAD + b"X: a\rb\r\n\r\n",
        "a name with a bracket": _HEAD + b"X(1): y\r\n\r\n",
    }.items():
        yield Case(name, sent, bad)
    dice = random.Random(17)
    for number in range(40):
        yield Case(f"noise {number}", dice.randbytes(200) + b"\r\n\r\n", bad)


def _framing() -> Iterator[Case]:
    """Where two readers might see two different ends of a request."""
    body = b"5\r\nhello\r\n0\r\n\r\n"
    for name, headers in {
        "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        "both, the other way": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        "two lengths": b"Content-Length: 5\r\nContent-Length: 15",
        "a list of lengths": b"Content-Length: 5, 5",
        "a negative length": b"Content-Length: -5",
        "a plus": b"Content-Length: +5",
        "hexadecimal": b"Content-Length: 0x5",
        "too long a number": b"Content-Length: " + b"9" * 30,
        "no number": b"Content-Length: five",
        "chunked and something": b"Transfer-Encoding: chunked, gzip",
    }.items():
        yield Case(f"framing {name}", _HEAD + headers + b"\r\n\r\n" + body, REFUSED)
    chunked = _HEAD + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    for name, sent in {
        "no number": b"zz\r\nhello\r\n0\r\n\r\n",
        "negative": b"-5\r\nhello\r\n0\r\n\r\n",
        "hexadecimal's sign": b"0x5\r\nhello\r\n0\r\n\r\n",
        "too large": b"F" * 17 + b"\r\nhello\r\n0\r\n\r\n",
        "too short": b"2\r\nhello\r\n0\r\n\r\n",
        "no end of the line": b"5\nhello\n0\n\n",
    }.items():
        yield Case(f"chunk {name}", chunked + sent, REFUSED)
    for length in (34603009, 1 << 32, 1 << 62):
        yield Case(f"announced {length}", _HEAD + b"Content-Length: %d\r\n\r\n" % length, frozenset({413}))


def _json() -> Iterator[tuple[str, bytes]]:
    for depth in (100, 10_000, 1_000_000):
        yield f"lists {depth} deep", b'{"images":' + b"[" * depth
        yield f"closed lists {depth} deep", b'{"images":' + b"[" * depth + b"]" * depth + b"}"
        yield f"objects {depth} deep", b'{"image":' * depth
    yield "2,000,000 empty strings", b'{"images":[' + b'"",' * 2_000_000 + b'""]}'
    yield "8,000,000 numbers", b'{"images":[' + b"1," * 8_000_000 + b"1]}"
    yield "10,000 names", json.dumps({f"name {n}": "" for n in range(10_000)}).encode()
    yield "one name 10,000 times", b"{" + b'"image":"",' * 10_000 + b'"image":""}'
    yield "escapes", b'{"image":"' + b"\\u0041" * 1_000_000 + b'"}'
    yield "slashes", b'{"image":"' + b"\\/" * 4_000_000 + b'"}'
    yield "blanks", b'{"image":' + b" " * 8_000_000 + b"1}"
    yield "blanks in a string", b'{"image":"' + b" " * 8_000_000 + b'"}'
    for number in (b"1", b"-0", b"1e999", b"9" * 5000, b"NaN", b"Infinity", b"true", b"null", b"{}", b"[]", b'""'):
        yield f"image {number[:10]!r}", b'{"image":' + number + b"}"
        yield f"images {number[:10]!r}", b'{"images":' + number + b"}"
        yield f"images with {number[:10]!r}", b'{"images":[' + number + b"]}"
        yield f"alone {number[:10]!r}", number
    for end in range(1, 24):
        yield f"cut at {end}", b'{"image": "aGVsbG8sIHdvcmxk"}'[:end]
    yield from {
        "UTF-16": '{"image": "aGk="}'.encode("utf-16"),
        "a mark of order": b'\xef\xbb\xbf{"image": "aGk="}',
        "half a pair": b'{"image": "\\ud800"}',
        "no UTF-8": b'{"image": "\xff\xfe"}',
        "a comment": b'/**/{"image": "aGk="}',
        "two documents": b'{"image": "aGk="}{"image": "aGk="}',
        "a comma too much": b'{"image": "aGk=",}',
        "one quote": b"{'image': 'aGk='}",
        "NUL": b'{"image": "\0"}',
        "URL-safe": b'{"image": "_-_-"}',
        "an address": b'{"image": "https://example.com/a.png"}',
        "an empty data address": b'{"image": "data:image/png;base64,"}',
        "a prototype": b'{"__proto__": {"image": "aGk="}}',
    }.items()


def _forms() -> Iterator[Case]:
    form = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nhello\r\n--x--\r\n'
    for charset in [
        "undefined",
        "utf-7",
        "unicode_escape",
        "raw_unicode_escape",
        "punycode",
        "idna",
        "utf-16",
        "utf-32",
        "rot13",
        "base64",
        "hex",
        "zip",
        "bz2",
        "uu",
        "quopri",
        "cp037",
        "mbcs",
        "oem",
        "shift_jis",
        "latin-1",
        "nonsense",
    ]:
        type_ = f"multipart/form-data; boundary=x; charset={charset}"
        yield Case(f"form in {charset}", post(form, type_), frozenset({415}))
    long_field = b'--x\r\nContent-Disposition: form-data; name="' + b"a-" * 3000 + b'"\r\n\r\nhello\r\n--x--\r\n'
    yield Case("field in punycode", post(long_field, "multipart/form-data; boundary=x; charset=punycode"), REFUSED)
    for boundary in ("", '""', "x" * 71, "é", "y", "x\0", '"x', "--", "x; boundary=y", "(x)"):
        yield Case(f"boundary {boundary[:9]!r}", post(form, f"multipart/form-data; boundary={boundary}"), REFUSED)
    yield Case("no boundary", post(form, "multipart/form-data"), REFUSED)
    line = b'Content-Disposition: form-data; name="a"; filename="b"\r\n'
    for name, body in {
        "nothing": b"",
        "one line end": b"\r\n",
        "line ends": b"\r\n" * 1_000_000,
        "half boundaries": b"\r\n--" * 1_000_000,
        "boundaries": b"--x\r\n" * 500_000,
        "boundaries of empty parts": b"--x\r\n\r\n" * 500_000 + b"--x--",
        "parts": (b"--x\r\n" + line + b"\r\n\r\n") * 5000 + b"--x--\r\n",
        "a part's head without an end": b"--x\r\n" + line * 50_000,
        "a large head": b"--x\r\nA: " + b"a" * 1_000_000 + b"\r\n\r\nhello\r\n--x--",
        "no end": b"--x\r\n" + line + b"\r\nhello",
        "no last boundary": b"--x\r\n" + line + b"\r\nhello\r\n--x\r\n",
        "no name": b"--x\r\nContent-Disposition: form-data\r\n\r\nhello\r\n--x--",
        "an attachment": b'--x\r\nContent-Disposition: attachment; filename="a"\r\n\r\nhello\r\n--x--',
        "parameters": b"--x\r\nContent-Disposition: form-data" + b";a=b" * 1900 + b"\r\n\r\nhello\r\n--x--",
        "quotes": b"--x\r\nContent-Disposition: form-data; name=" + b'"' * 7000 + b"\r\n\r\nhello\r\n--x--",
        "a form within": b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n--x--",
    }.items():
        yield Case(f"form of {name}", post(body, "multipart/form-data; boundary=x"), REFUSED)


def _packed() -> Iterator[Case]:
    gz = "Content-Encoding: gzip"
    bomb = gzip.compress(bytes(40 << 20), 9)
    twice = gzip.compress(bomb)
    for name, body in {
        "a bomb": bomb,
        "a bomb in a bomb": twice,
        "100,000 empty parts": gzip.compress(b"") * 100_000,
        "nothing": b"",
        "cut off": gzip.compress(GOOD)[:-9],
        "a wrong sum": gzip.compress(GOOD)[:-8] + bytes(8),
        "with a rest": gzip.compress(GOOD) + b"rest",
        "zlib": zlib.compress(GOOD),
        "plain": GOOD,
    }.items():
        yield Case(f"gzip {name}", post(body, "image/png", gz), REFUSED)
    for encoding in ("br", "deflate", "compress", "zstd", "gzip, gzip", "x" * 5000, "é"):
        yield Case(f"encoding {encoding[:9]}", post(GOOD, "image/png", f"Content-Encoding: {encoding}"), REFUSED)
    for type_ in ("text/plain", "x" * 5000, "/", "multipart/mixed", "application/xml", "é", ";;;"):
        yield Case(f"type {type_[:9]}", post(b"hello", type_), REFUSED)


def _images() -> Iterator[tuple[str, bytes]]:
    signature = b"\x89PNG\r\n\x1a\n"
    yield "1,000,000 empty chunks", GOOD[:33] + chunk(b"teSt", b"") * 1_000_000 + GOOD[33:]
    yield "1,000,000 empty pixel chunks", GOOD[:33] + chunk(b"IDAT", b"") * 1_000_000 + GOOD[33:]
    jpeg = gray(1, kind="JPEG")
    yield "4,000,000 empty markers", jpeg[:2] + b"\xff\x01" * 4_000_000 + jpeg[2:]
    yield "4,000,000 restart markers", jpeg[:2] + b"\xff\xd0" * 4_000_000 + jpeg[2:]
    yield "1,000,000 empty comments", jpeg[:2] + b"\xff\xfe\0\x02" * 1_000_000 + jpeg[2:]
    yield "8,000,000 fill bytes", jpeg[:2] + b"\xff" * 8_000_000 + jpeg[2:]
    scan = jpeg.index(b"\xff\xda")
    yield "1,000 scans", jpeg[:-2] + jpeg[scan:-2] * 1000 + jpeg[-2:]
    for width, height in ((0, 0), (0, 9), (1, 1 << 31), (1 << 31, 1), (65_535, 65_535), (10_001, 1), (7000, 7000)):
        yield f"a claim of {width}x{height}", png_claiming(width, height)
    for depth in (0, 3, 16, 32, 255):
        for colour in (1, 3, 5, 7, 255):
            header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0)
            yield f"depth {depth}, colours {colour}", signature + chunk(b"IHDR", header) + GOOD[33:]
    for end in range(8, len(GOOD), 4):
        yield f"cut at {end}", GOOD[:end]
    for end in range(3, len(jpeg) - 2, 12):
        yield f"JPEG cut at {end}", jpeg[:end]
    for kind in ("GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "TGA"):
        yield kind, gray(1, kind=kind)
    yield from {
        "nothing": b"",
        "a signature": signature,
        "text in one's own name": signature + b"hello",
        "a chunk beyond the end": signature + struct.pack(">I", 1 << 31) + b"IHDR",
        "no pixels": GOOD[:33] + chunk(b"IEND", b""),
        "pixels that are no zlib": GOOD[:33] + chunk(b"IDAT", b"hello") + chunk(b"IEND", b""),
        "a wrong sum": GOOD[:29] + bytes(4) + GOOD[33:],
        "two headers": GOOD[:33] + GOOD[8:33] + GOOD[33:-12],
        "a web page": b"<!doctype html><script>alert(1)</script>",
        "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"/>',
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        "an archive": b"PK\x03\x04" + GOOD,
        "a PDF before a PNG": b"%PDF-1.4\n" + GOOD,
        "a JPEG in a PNG's name": signature + jpeg,
    }.items()


def _queries() -> Iterator[Case]:
    version = frozenset({400, 404, 422})
    for value in ("0", "-1", "01", "1.0", "1e3", "%00", "9" * 400, "two", "", "%F0%9F%98%80", "1&version=2"):
        yield _asked(f"version={value}", version)
    for value in ("", "x" * 201, "%00", "nightly", "..%2F..%2Fetc", "stable&version=1", "%FF"):
        yield _asked(f"version_label={value}", version)
    for name in ("digits", "..%2f..", "%00", "a" * 3000, "chest-xray%2f"):
        sent = post(GOOD, "image/png").replace(b"/v1/classify", f"/v1/models/{name}/classify".encode())
        yield Case(f"model {name[:9]}", sent, frozenset({404}))


def _asked(query: str, statuses: frozenset[int]) -> Case:
    sent = post(GOOD, "image/png").replace(b"/v1/classify", b"/v1/classify?" + query.encode())
    return Case(f"query {query[:20]}", sent, statuses)
