"""How near the adapter comes to decoding and classifying with nothing around it, and how far it is from other servers.

One SavedModel, one PNG, one run. The load comes from outside Python, wrk for REST and h2load for gRPC, and a run counts
only if the adapter has answered as often with OK as the client was answered: h2load takes a refusal for an answer.
"""

import io
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import wrk
from benchmarks.adapter_process import GRPC_METHOD, REST_METHOD, ServedAdapter, adapter, certificate, model_server
from benchmarks.capacity import processor_seconds
from benchmarks.claims import AsJson, Claim, tell
from benchmarks.h2load import Load, framed, load
from benchmarks.limit import Limit, bare_model
from benchmarks.overload import Overload, overload
from benchmarks.rivals import RIVALS, Asked, serving
from benchmarks.rounds import Rounds
from benchmarks.traffic import MODEL, our_models
from cli import InfrastructureError, UsageError, command_line, progress_console, run

app = command_line(
    "adapter",
    "Measures the adapter against the bare model, BentoML and LitServe, and when too much is asked of it.",
    ["./pants run benchmarks:adapter", "./pants run benchmarks:adapter -- --no-rivals --seconds 10 --json"],
)

CLIENTS = (1, 8, 32)
LIMIT = "decode + model, at once"
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
    seconds: Annotated[float, typer.Option(min=1, help="Of each closed loop; a round has 39.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="In each, all are measured one after the other.")] = 3,
    rivals: Annotated[
        bool, typer.Option("--rivals/--no-rivals", help="Whether BentoML and LitServe are asked.")
    ] = True,
    keep: Annotated[
        Path | None, typer.Option("--keep-rivals", metavar="DIR", help="Install them there, for the next run too.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="WAY", help="One way of serving: production, tokens …")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the adapter, the limit and its rivals side by side: a ratio is of one round, the median is told."""
    console = progress_console()
    found, costs = Rounds(), dict[str, Cost]()
    missing, floods = list[str](), list[Overload]()
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as place, ExitStack() as stack:
        folder = Path(place)
        version, image = folder / MODEL / "1", drawn()
        console.print("Making a model")
        make_model, _, _ = our_models()
        make_model(0, version)
        (folder / "image.png").write_bytes(image)
        (folder / "tokens").write_text(f"{_TOKEN}\n")
        ways: dict[str, tuple[list[str], str | None]] = {
            PRODUCTION: ([], None),
            UNGATHERED: (["--gather=0"], None),
            TOKENS: ([f"--token-file={folder / 'tokens'}"], _TOKEN),
            TLS: (certificate(folder), None),
        }
        if only not in (None, *ways):
            raise UsageError(f"There is no way '{only}' of serving; choose one of {', '.join(ways)}.")
        console.print("Starting all of them")
        limit = stack.enter_context(bare_model("benchmarks.bare_model", str(version), str(folder / "image.png")))
        server = stack.enter_context(model_server(folder))
        served = [
            stack.enter_context(adapter(way, folder, server, more, token))
            for way, (more, token) in ways.items()
            if only in (None, way)
        ]
        asked: list[Asked] = []
        for rival in RIVALS if rivals else ():
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
            try:
                asked += stack.enter_context(serving(rival, keep or folder, version, image))
            except InfrastructureError as error:
                missing.append(f"{rival.name} was not compared: {str(error)[:300]}")
        for number in range(rounds):
            for clients in CLIENTS:
                console.print(f"Round {number + 1} of {rounds}: {clients} clients")
                one_round(found, limit, served, asked, image, clients, seconds)
            if not costs:  # a flood takes more
                costs = {one.way: Cost(one.ready_seconds, one.most_memory()) for one in served}
            if served[0].way == PRODUCTION:
                console.print(f"Round {number + 1} of {rounds}: too much is asked")
                floods += overloads(found, served[0], image, max(4, round(seconds)))
    report(len(image), found, costs, missing, floods)
    tell(claims(found, costs, floods), as_json)


def one_round(
    found: Rounds,
    limit: Limit,
    served: Sequence[ServedAdapter],
    asked: Sequence[Asked],
    image: bytes,
    clients: int,
    seconds: float,
) -> None:
    """Adds the figures of everything for so many clients."""
    found.add((LIMIT, clients, "rate"), limit.of(clients, seconds))
    if clients == 1:
        found.add((LIMIT, clients, "p50"), limit.alone(seconds))
    for one in served:
        for protocol, ask in (("REST", rest), ("gRPC", grpc)):
            measured = ask(one, image, clients, seconds)
            _add(found, f"{one.way}, {protocol}", measured.load)
            found.add((f"{one.way}, {protocol}", clients, "adapter"), measured.adapter)
            found.add((f"{one.way}, {protocol}", clients, "server"), measured.model_server)
    for rival in asked:
        _add(found, rival.way, rival.load(clients, seconds))


def _add(found: Rounds, way: str, load: Load) -> None:
    for what, figure in (("rate", load.rate), ("p50", load.p50), ("p99", load.p99)):
        found.add((way, load.clients, what), figure)


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


def overloads(found: Rounds, served: ServedAdapter, image: bytes, seconds: int) -> list[Overload]:
    """Each between two measurements of the capacity, whose means are what it is measured by."""
    floods = []
    for way, many in (("asked at once again", False), ("ten times offered", True)):
        for protocol, ask, body in (("REST", rest, image), ("gRPC", grpc, grpc_frame(image))):
            before = ask(served, image, 32, seconds / 2).load
            flood = overload(f"{protocol}, {way}", served, body, protocol == "gRPC", seconds, before, many)
            after = ask(served, image, 32, seconds / 2).load
            found.add((flood.way, "goodput"), flood.goodput)
            found.add((flood.way, "capacity"), (before.rate + after.rate) / 2)
            found.add((flood.way, "accepted p99"), flood.accepted_p99)
            found.add((flood.way, "p99 at capacity"), (before.p99 + after.p99) / 2)
            found.add((flood.way, "/livez"), flood.livez)
            floods.append(flood)
    return floods


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


def report(
    size: int, found: Rounds, costs: dict[str, Cost], missing: Sequence[str], floods: Sequence[Overload]
) -> None:
    typer.echo(
        f"\nA PNG of 299x299, {size / 1000:.0f} KB. Decoded and classified with nothing around it, one takes "
        f"{found.median((LIMIT, 1, 'p50')):.1f} ms.\n\n{'':32} {'clients':>7} {'req/s':>7} {'p50 ms':>8} {'p99 ms':>8} "
        f"{'adapter':>8} {'server':>8} {'of the':>7}\n{'':66} {'CPU ms':>8} {'CPU ms':>8} {'limit':>7}"
    )
    for way in found.ways():
        for clients in CLIENTS:
            figures = [f"{found.median((way, clients, 'rate')):7.0f}"]
            for what, form in (("p50", "8.2f"), ("p99", "8.2f"), ("adapter", "8.2f"), ("server", "8.2f")):
                one = (way, clients, what)
                figures.append(f"{found.median(one):{form}}" if one in found else " " * 8)
            share = found.ratio((way, clients, "rate"), (LIMIT, clients, "rate"))
            typer.echo(f"{way:32} {clients:7} {' '.join(figures)} {share:7.2f}")
    for line in missing:
        typer.echo(line)
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


def claims(found: Rounds, costs: dict[str, Cost], floods: Sequence[Overload]) -> list[Claim]:
    told: list[Claim] = []
    rivals = [way for way in found.ways() if way.startswith(("BentoML", "LitServe"))]
    if (f"{PRODUCTION}, REST", 32, "rate") in found:
        for protocol in ("REST", "gRPC"):
            ours = (f"{PRODUCTION}, {protocol}", 32, "rate")
            told.append(Claim(f"{protocol}, 32 clients : the limit", found.ratio(ours, (LIMIT, 32, "rate")), ">= 0.8"))
            for name, least in (("BentoML", 2), ("LitServe", 1.3)):
                settings = [(way, 32, "rate") for way in rivals if way.startswith(name)]
                if settings:
                    better = max(settings, key=found.median)
                    times = found.ratio(ours, better)
                    told.append(Claim(f"{protocol}, 32 clients : {name} at its better", times, f">= {least}", "times"))
        ours = (f"{PRODUCTION}, REST", 1, "p50")
        over = found.difference(ours, (LIMIT, 1, "p50"))
        told.append(Claim("REST, one client: p50 over decode + model", over, "<= 1.5", "ms"))
        if quick := [(way, 1, "p50") for way in rivals if way.startswith("BentoML")]:
            times = found.ratio(ours, min(quick, key=found.median))
            told.append(Claim("REST, one client: p50 : BentoML's", times, "< 1", "times"))
    if TOKENS in costs:
        told.append(Claim("memory at most, with tokens", costs[TOKENS].memory, "<= 120", "MiB"))
        told.append(Claim("ready, with tokens", costs[TOKENS].ready, "<= 1", "s"))
    if {TLS, PRODUCTION} <= costs.keys():
        for protocol in ("REST", "gRPC"):
            times = found.ratio((f"{TLS}, {protocol}", 32, "rate"), (f"{PRODUCTION}, {protocol}", 32, "rate"))
            told.append(Claim(f"{protocol}, 32 clients, TLS : without", times, ">= 0.9", "times"))
    for way in dict.fromkeys(flood.way for flood in floods):
        goodput = found.ratio((way, "goodput"), (way, "capacity"))
        told.append(Claim(f"{way}: goodput : capacity", goodput, ">= 0.8", "times"))
        others = sum(flood.others() for flood in floods if flood.way == way)
        told.append(Claim(f"{way}: answers but 200 and 429", others, "== 0"))
        if way.startswith("REST"):
            times = found.ratio((way, "accepted p99"), (way, "p99 at capacity"))
            told.append(Claim(f"{way}: accepted p99 : at capacity", times, "<= 2", "times"))
        told.append(Claim(f"{way}: /livez at most, in the median round", found.median((way, "/livez")), "<= 100", "ms"))
    return told


if __name__ == "__main__":
    run(app)
