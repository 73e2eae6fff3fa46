"""Atheris over what reads images and bodies: `./pants run benchmarks:fuzzing`.

It looks for input that is neither read nor refused, or takes over 10 s, for five minutes by default. What it finds is
written into a folder; a file of tests/fixtures/fuzzed is such an input, which a test holds against from then on.
"""

import base64
import gzip
import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.environment import installed
from cli import GateNotPassed, InfrastructureError, command_line, run

# The newest that is made for Python 3.11.
ATHERIS = "atheris==3.0.0"
_SHARED = ("pillow", "pydantic", "python-multipart", "starlette", "protobuf", "grpcio")
_SLOW, _MEMORY = 10, 2048  # seconds of one input, MiB
_MOST_BYTES = 4096  # of one input: longer ones say little more and take longer
# Before what libFuzzer does in the time: imports, and reading the seeds.
_STARTING = 120
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERED = re.compile(r"cov: (\d+)")

app = command_line(
    "fuzzing",
    "Atheris over what reads images and bodies.",
    ["./pants run benchmarks:fuzzing", "./pants run benchmarks:fuzzing -- --target bodies --seconds 60"],
)


@app.command()
def fuzzing(
    target: Annotated[Literal["decoder", "bodies"], typer.Option(help="What is called.")] = "decoder",
    seconds: Annotated[int, typer.Option(min=1, help="How long.")] = 300,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where found inputs go.")] = Path("fuzzed"),
) -> None:
    """Look for input that is neither read nor refused."""
    to = to.absolute()
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trainyard-fuzzing-") as temporary:
        folder = Path(temporary)
        python = installed(folder / "environment", ATHERIS, _SHARED)
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(seeds(target)):
            (corpus / str(number)).write_bytes(seed)
        before = set(to.iterdir())
        said = _fuzz(python, target, seconds, to, corpus)
        found = sorted(set(to.iterdir()) - before)
        done, covered = _DONE.search(said), _COVERED.findall(said)
        if not done and not found:
            raise InfrastructureError(f"atheris did not run: {said.strip()[-300:]}")
        if done:
            runs, took = int(done[1]), max(1, int(done[2]))
            print(f"{target}: {runs} inputs in {took} s ({runs // took} a second), {covered[-1]} edges of ours.")
    if found:
        print(said[-3000:], file=sys.stderr)
        raise GateNotPassed(f"{len(found)} inputs are neither read nor refused: {', '.join(map(str, found))}.")


def _fuzz(python: Path, target: str, seconds: int, to: Path, corpus: Path) -> str:
    command = [str(python), str(Path(__file__).with_name("fuzz_target.py")), target, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-timeout={_SLOW}", f"-rss_limit_mb={_MEMORY}"]
    command += [f"-max_len={_MOST_BYTES}", f"-artifact_prefix={to}/", "-print_final_stats=1"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + _STARTING, check=False)
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"atheris did not end within {seconds + _STARTING} s.") from None
    return (done.stdout + done.stderr).decode(errors="replace")


def seeds(target: str) -> list[bytes]:
    """Whole input of each kind, from which others are made."""
    from PIL import Image

    gray = Image.linear_gradient("L").resize((24, 12))
    pictures = {mode: gray.convert(mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK")}
    pictures["P"] = pictures["RGB"].quantize(16)
    pictures["I;16"] = Image.frombytes("I;16", gray.size, gray.tobytes() * 2)

    def encoded(mode: str, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        pictures[mode].save(file, kind, **options)
        return file.getvalue()

    images = [encoded(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    images += [
        encoded(mode, "JPEG", progressive=progressive) for mode in ("L", "RGB", "CMYK") for progressive in (0, 1)
    ]
    turned = Image.Exif()
    turned[0x0112] = 6
    images.append(encoded("L", "JPEG", exif=turned))
    if target == "decoder":
        return images
    image = images[1]
    text = base64.b64encode(image).decode()
    form = b'--b\r\nContent-Disposition: form-data; name="images"; filename="x.png"\r\n\r\n' + image + b"\r\n--b--\r\n"
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    pixels = {"name": "pixels", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": [[1, 2], [3, 4]]}
    behind = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": 9}}]}).encode()
    return [
        b"\0" + form,
        b"\1" + json.dumps({"images": [text, text]}).encode(),
        b"\1" + json.dumps({"image": f"data:image/png;base64,{text}"}).encode(),
        b"\2" + gzip.compress(image),
        b"\3"
        + json.dumps({"id": "1", "inputs": [tensor | {"data": [text]}], "outputs": [{"name": "labels"}]}).encode(),
        b"\3" + json.dumps({"inputs": [pixels]}).encode(),
        b"\4" + bytes([len(behind)]) + behind + b"\5\0\0\0hello",
    ]


if __name__ == "__main__":
    run(app)
