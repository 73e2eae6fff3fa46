"""How near the adapter comes to decoding and classifying with nothing around it, and how far it is from other servers.

One SavedModel, one PNG, one run. The load comes from outside Python, wrk for REST and h2load for gRPC, and a run counts
only if the adapter has answered as often with OK as the client was answered: h2load takes a refusal for an answer.
"""

import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import wrk
from benchmarks.adapter_process import GRPC_METHOD, REST_METHOD, ServedAdapter, adapter, certificate, model_server
from benchmarks.capacity import processor_seconds
from benchmarks.claims import AsJson, Claim, tell
from benchmarks.h2load import Load, framed, load
from benchmarks.overload import Overload, overload
from benchmarks.processes import in_own_process
from benchmarks.rivals import RIVALS, Comparison, compare
from benchmarks.traffic import MODEL, our_models
from cli import InfrastructureError, command_line, progress_console, run

app = command_line(
    "adapter",
    "Measures the adapter against the bare model, BentoML and LitServe, and when too much is asked of it.",
    ["./pants run benchmarks:adapter", "./pants run benchmarks:adapter -- --no-rivals --seconds 10 --json"],
)

CLIENTS = (1, 8, 32)
PRODUCTION, UNGATHERED, TOKENS, TLS = "production", "--gather 0", "tokens", "TLS"
_TOKEN = "a-token-of-the-benchmark"
_PACKAGE = Path("dist/serving.adapter/adapter.pex")
_SHADES = 3  # steps of gray: a radiograph's PNG of this size has about 33 KB


@dataclass(frozen=True)
class Measured:
    """A load on one adapter; processor time a request in ms, whoever else is on the machine."""

    served: str
    load: Load
    adapter: float
    model_server: float


@dataclass(frozen=True)
class Cost:
    """Of one adapter with its flags: seconds until it was ready, MiB at most after 32 clients over both protocols."""

    ready: float
    memory: float


def drawn() -> bytes:
    """A phantom as a PNG of 299x299."""
    import numpy as np
    from PIL import Image

    from dataset.phantom import draw

    data = io.BytesIO()
    picture = draw("COVID", np.random.default_rng(5)) // _SHADES * _SHADES
    Image.fromarray(picture).save(data, "PNG", optimize=True)
    return data.getvalue()


def grpc_frame(image: bytes) -> bytes:
    from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep

    return framed(api.ClassifyRequest(image=image).SerializeToString())


@app.command()
def measure(
    seconds: Annotated[float, typer.Option(min=1, help="Of each closed loop; there are 36.")] = 3,
    rivals: Annotated[
        bool, typer.Option("--rivals/--no-rivals", help="Whether BentoML and LitServe are asked.")
    ] = True,
    keep: Annotated[
        Path | None, typer.Option("--keep-rivals", metavar="DIR", help="Install them there, for the next run too.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="WAY", help="One way of serving: production, tokens …")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the adapter, the limit and its rivals, in one run."""
    console = progress_console()
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as place:
        folder = Path(place)
        version = folder / MODEL / "1"
        console.print("Making a model")
        make_model, _, _ = our_models()
        make_model(0, version)
        image = drawn()
        console.print("Decoding and classifying with nothing around it")
        (folder / "image.png").write_bytes(image)
        call = f"limit({str(version)!r}, open({str(folder / 'image.png')!r}, 'rb').read(), {seconds / 2})"
        printed = in_own_process(f"import json; from benchmarks.bare_model import limit; print(json.dumps({call}))")
        limits: dict[str, float] = json.loads(printed.splitlines()[-1])
        rows: list[Measured] = []
        costs: dict[str, Cost] = {}
        (folder / "tokens").write_text(f"{_TOKEN}\n")
        ways = {
            PRODUCTION: ([], None),
            UNGATHERED: (["--gather=0"], None),
            TOKENS: ([f"--token-file={folder / 'tokens'}"], _TOKEN),
            TLS: (certificate(folder), None),
        }
        floods: list[Overload] = []
        with model_server(folder) as server:
            for way, (more, token) in ways.items():
                if only not in (None, way):
                    continue
                with adapter(way, folder, server, more, token) as served:
                    for clients in CLIENTS:
                        console.print(f"{way}, {clients} clients")
                        rows += [rest(served, image, clients, seconds), grpc(served, image, clients, seconds)]
                    costs[way] = Cost(served.ready_seconds, served.most_memory())
                    if way == PRODUCTION:
                        floods = overloads(served, image, rows, max(4, round(seconds)))
        compared = []
        if rivals:
            for rival in RIVALS:
                console.print(rival.name)
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                compared.append(compare(rival, keep or folder, version, image, CLIENTS, seconds))
    report(len(image), limits, rows, costs, compared, floods)
    tell(claims(limits, rows, costs, compared, floods), as_json)


def rest(served: ServedAdapter, image: bytes, clients: int, seconds: float) -> Measured:
    """wrk leaves without waiting for what is under way, so the adapter may count as many more as there are clients."""
    headers = {"Content-Type": "image/png", **served.headers}
    wrk.load("REST", served.http, image, clients, 1, headers)
    before, used = served.answered(REST_METHOD), _used(served)
    found = wrk.load("REST", served.http, image, clients, seconds, headers)
    counted, spent = served.answered(REST_METHOD) - before, _used(served)
    if not found.requests <= counted <= found.requests + clients:
        raise _void(served, found, counted)
    return _measured(served, found, used, spent)


def grpc(served: ServedAdapter, image: bytes, clients: int, seconds: float) -> Measured:
    """About so many seconds: how many requests that is, a short load before it tells."""
    frame, probes = grpc_frame(image), 25 * clients
    short = load("gRPC", served.grpc, frame, clients, probes, True, served.headers)
    before, used = served.answered(GRPC_METHOD), _used(served)
    found = load("gRPC", served.grpc, frame, clients, max(probes, int(short.rate * seconds)), True, served.headers)
    counted, spent = served.answered(GRPC_METHOD) - before, _used(served)
    if counted != found.requests:
        raise _void(served, found, counted)
    return _measured(served, found, used, spent)


def overloads(served: ServedAdapter, image: bytes, rows: Sequence[Measured], seconds: int) -> list[Overload]:
    found = []
    for way, many in (("asked at once again", False), ("ten times offered", True)):
        for protocol, body in (("REST", image), ("gRPC", grpc_frame(image))):
            capacity = _of(rows, PRODUCTION, protocol, 32).load
            found.append(overload(f"{protocol}, {way}", served, body, protocol == "gRPC", seconds, capacity, many))
    return found


def _used(served: ServedAdapter) -> tuple[float, float]:
    return processor_seconds(served.pid), processor_seconds(served.server_pid)


def _measured(served: ServedAdapter, found: Load, used: tuple[float, float], spent: tuple[float, float]) -> Measured:
    own, server = ((after - before) / found.requests * 1000 for before, after in zip(used, spent, strict=True))
    return Measured(served.way, found, own, server)


def _void(served: ServedAdapter, found: Load, counted: int) -> InfrastructureError:
    return InfrastructureError(
        f"The run is void: {found.requests} requests had an answer ({served.way}, {found.way}, {found.clients} "
        f"clients), the adapter counts {counted} OK."
    )


def _of(rows: Sequence[Measured], served: str, protocol: str, clients: int) -> Measured:
    return next(row for row in rows if (row.served, row.load.way, row.load.clients) == (served, protocol, clients))


def report(
    size: int,
    limits: dict[str, float],
    rows: Sequence[Measured],
    costs: dict[str, Cost],
    compared: Sequence[Comparison],
    floods: Sequence[Overload],
) -> None:
    typer.echo(
        f"\nA PNG of 299x299, {size / 1000:.0f} KB. Decoded and classified with nothing around it, one takes "
        f"{limits['alone']:.1f} ms.\n\n{'':32} {'clients':>7} {'req/s':>7} {'p50 ms':>8} {'p99 ms':>8} "
        f"{'adapter':>8} {'server':>8} {'of the':>7}\n{'':66} {'CPU ms':>8} {'CPU ms':>8} {'limit':>7}"
    )
    for clients in CLIENTS:
        typer.echo(f"{'decode + model, at once':32} {clients:7} {limits[str(clients)]:7.0f}")
    for row in rows:
        typer.echo(
            f"{_line(f'{row.served}, {row.load.way}', row.load)} {row.adapter:8.2f} {row.model_server:8.2f} "
            f"{row.load.rate / limits[str(row.load.clients)]:7.2f}"
        )
    for one in compared:
        for found in one.loads:
            share = found.rate / limits[str(found.clients)]
            typer.echo(f"{_line(f'{found.way} ({one.version})', found)} {'':17} {share:7.2f}")
        if one.missing:
            typer.echo(one.missing)
    for way, cost in costs.items():
        typer.echo(f"{way}: ready after {cost.ready:.2f} s, at most {cost.memory:.0f} MiB")
    package = f"{_PACKAGE.stat().st_size / 1e6:.1f} MB" if _PACKAGE.is_file() else "not built here"
    typer.echo(f"package: {package} ({_PACKAGE}, by ./pants package serving/adapter)")
    if floods:
        heads = f"{'offered/s':>10} {'goodput/s':>10} {'accepted p99':>13} {'/livez at most':>15}"
        typer.echo(f"\n{'300 connections':28} {heads}  answers")
    for flood in floods:
        typer.echo(
            f"{flood.way:28} {flood.offered:10.0f} {flood.goodput:10.0f} {flood.accepted_p99:10.0f} ms "
            f"{flood.livez:12.0f} ms  {flood.statuses} {flood.codes}"
            + (f" /livez failed {flood.livez_failed} times" if flood.livez_failed else "")
        )


def _line(name: str, found: Load) -> str:
    return f"{name:32} {found.clients:7} {found.rate:7.0f} {found.p50:8.2f} {found.p99:8.2f}"


def claims(
    limits: dict[str, float],
    rows: Sequence[Measured],
    costs: dict[str, Cost],
    compared: Sequence[Comparison],
    floods: Sequence[Overload],
) -> list[Claim]:
    found: list[Claim] = []
    measured = {row.served for row in rows}
    if PRODUCTION in measured:
        for protocol in ("REST", "gRPC"):
            rate = _of(rows, PRODUCTION, protocol, 32).load.rate
            found.append(Claim(f"{protocol}, 32 clients : the limit", rate / limits["32"], ">= 0.8", "times"))
            for one in compared:
                least = {"BentoML": 2, "LitServe": 1.3}[one.name]
                if one.loads:
                    name = f"{protocol}, 32 clients : {one.name} at its better"
                    found.append(Claim(name, rate / one.best(32), f">= {least}", "times"))
        alone = _of(rows, PRODUCTION, "REST", 1).load.p50
        found.append(Claim("REST, one client: p50 over decode + model", alone - limits["alone"], "<= 1.5", "ms"))
        for one in compared:
            if one.name == "BentoML" and one.loads:
                found.append(Claim("REST, one client: p50 : BentoML's", alone / one.quickest(), "< 1", "times"))
    if TOKENS in measured:
        found.append(Claim("memory at most, with tokens", costs[TOKENS].memory, "<= 120", "MiB"))
        found.append(Claim("ready, with tokens", costs[TOKENS].ready, "<= 1", "s"))
    if {TLS, PRODUCTION} <= measured:
        for protocol in ("REST", "gRPC"):
            with_tls, without = (_of(rows, way, protocol, 32).load.rate for way in (TLS, PRODUCTION))
            found.append(Claim(f"{protocol}, 32 clients, TLS : without", with_tls / without, ">= 0.9", "times"))
    for flood in floods:
        protocol = flood.way.partition(",")[0]
        capacity = _of(rows, PRODUCTION, protocol, 32).load
        found.append(Claim(f"{flood.way}: goodput : capacity", flood.goodput / capacity.rate, ">= 0.8", "times"))
        found.append(Claim(f"{flood.way}: answers but 200 and 429", flood.others(), "== 0"))
        if protocol == "REST":
            times = flood.accepted_p99 / capacity.p99
            found.append(Claim(f"{flood.way}: accepted p99 : at capacity", times, "<= 2", "times"))
        found.append(Claim(f"{flood.way}: /livez at most", flood.livez, "<= 100", "ms"))
    return found


if __name__ == "__main__":
    run(app)
