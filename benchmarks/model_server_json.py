"""What a REST body costs the embedded model server to read, against the fastest parsers of PyPI on the same bytes.

Processor time, the best of many runs, so that others on the machine disturb little; the ways take turns, so that a
processor whose speed changes is as fast for each.
"""

import base64
import importlib
import importlib.util
import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from benchmarks.claims import AsJson, Claim, tell
from cli import command_line, run

app = command_line(
    "model_server_json",
    "Measures how a REST body is read: the model server's way against simdjson's buffers, orjson and msgspec.",
    ["./pants run benchmarks:model_server_json", "./pants run benchmarks:model_server_json -- --seconds 3"],
)
SHAPE = (128, 128, 1)
_SHORT = 0.0002  # seconds; a body that takes less is compared by the difference, which nobody notices


def best(ways: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Seconds of processor time of the quickest run of each way, within `seconds` for each."""
    least, end = dict.fromkeys(ways, float("inf")), time.monotonic() + seconds * len(ways)
    while time.monotonic() < end:
        for way, work in ways.items():
            began = time.process_time()
            work()
            least[way] = min(least[way], time.process_time() - began)
    return least


def bodies() -> dict[str, tuple[bytes, int, int]]:
    """A body, its rows and its data type, by what it holds."""
    import numpy as np
    from tensorflow.core.framework import types_pb2

    draw = np.random.default_rng(0)
    whole = draw.integers(0, 256, (32, *SHAPE))
    parts = draw.random((32, *SHAPE)).astype(np.float32)
    packed = base64.b64encode(whole[0].astype(np.uint8).tobytes()).decode()
    uint8, real, text = types_pb2.DT_UINT8, types_pb2.DT_FLOAT, types_pb2.DT_STRING
    return {
        "one image, whole numbers": (json.dumps({"instances": whole[:1].tolist()}).encode(), 1, uint8),
        "one image, fractions": (json.dumps({"instances": parts[:1].tolist()}).encode(), 1, real),
        "32 images, whole numbers": (json.dumps({"instances": whole.tolist()}).encode(), 32, uint8),
        "32 images, fractions": (json.dumps({"instances": parts.tolist()}).encode(), 32, real),
        "one image, columns": (json.dumps({"inputs": {"a": whole[:1].tolist()}}).encode(), 1, uint8),
        "one image, base64": (json.dumps({"instances": [{"b64": packed}]}).encode(), 1, text),
    }


def rivals(body: bytes, rows: int, dtype: int) -> dict[str, Callable[[], Any]]:
    """Ways of PyPI's parsers to the same array."""
    import numpy as np
    import orjson
    import simdjson

    from serving.model_server.dtypes import JSON_TYPES

    target = JSON_TYPES[dtype]

    def values(document: Any) -> Any:
        return document["instances"] if "instances" in document else document["inputs"]["a"]

    if target.kind == "O":
        return {"orjson": lambda: [base64.b64decode(row["b64"]) for row in values(orjson.loads(body))]}
    found: dict[str, Callable[[], Any]] = {
        "orjson": lambda: np.asarray(values(orjson.loads(body)), target),
        "simdjson": lambda: (
            np.frombuffer(
                values(simdjson.Parser().parse(body)).as_buffer(of_type="d" if target.kind == "f" else "i"),
                np.float64 if target.kind == "f" else np.int64,
            )
            .reshape(rows, *SHAPE)
            .astype(target)
        ),
    }
    if importlib.util.find_spec("msgspec"):
        msgspec = importlib.import_module("msgspec")  # no package of ours; measured where somebody has put it
        found["msgspec"] = lambda: np.asarray(values(msgspec.json.decode(body)), target)
    return found


@app.command()
def model_server_json(
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each way and body.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Read each body in every way."""
    import numpy as np

    from serving.model_server.dtypes import Tensor
    from serving.model_server.json_reader import Reader

    claims: list[Claim] = []
    for name, (body, rows, dtype) in bodies().items():
        tensors = [Tensor("a", "a:0", dtype)]

        def ours(body: bytes = body, tensors: list[Tensor] = tensors) -> Any:
            return Reader(body, "predict").inputs(tensors, None)[1]["a"]

        others = rivals(body, rows, dtype)
        for way in others.values():
            np.testing.assert_array_equal(np.array(way(), ours().dtype), ours())
        theirs = best({"ours": ours, **others}, seconds)
        took = theirs.pop("ours")
        quickest = min(theirs, key=lambda way: theirs[way])
        said = ", ".join(f"{way} {spent * 1000:.2f}" for way, spent in theirs.items())
        typer.echo(f"{name} ({len(body) / 1000:.0f} kB): ours {took * 1000:.2f} ms, {said}")
        if took > _SHORT:
            claims.append(Claim(f"{name}: ours : {quickest}", took / theirs[quickest], "<= 1.5"))
    tell(claims, as_json)


if __name__ == "__main__":
    run(app)
