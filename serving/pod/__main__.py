"""The command: `python -m serving.pod`, which serves a model's production version on this machine."""

import os
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import InfrastructureError, UsageError, command_line, progress_console, run

if TYPE_CHECKING:
    from registry import Registry
    from serving.pod.local import LocalPod

_LOOK_SECONDS = 0.5

app = command_line(
    "pod",
    "Serves a model's production version on this machine, as production does: model server and adapter together, with "
    "production's flags. Promotions and rollbacks are followed without a restart. Ctrl-C ends it.",
    [
        "./pants run serving/pod -- --model digits",
        "./pants run serving/pod -- --model digits --host 0.0.0.0 --http-port 80",
        "./pants run serving/client -- classify scan.png",
    ],
)


@app.command()
def main(
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The model. Default: [model] name in trainyard.toml.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option("--registry", help="The registry: a folder, or gs://BUCKET/FOLDER.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in, without a password or TLS.")
    ] = "127.0.0.1",
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port for the page and REST; 0 for any free one.")
    ] = 8080,
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for gRPC; 0 for any free one.")] = 9090,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Offer a heat map of what an answer rests on; each takes the work of 65 images."
        ),
    ] = False,
    logs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of both logs. Default: .trainyard/serving/MODEL.")
    ] = None,
) -> None:
    # Imported here so that --help is instant.
    import models.lookup
    from registry import Registry
    from serving.pod.local import LocalPod

    named = models.lookup.named(model, registry)
    for note in models.concerning(named.notes):
        _say(note)
    uri = registry if registry is not None else named.settings.registry.uri
    opened = Registry.open(uri, named.name)
    where = [*(["--model", model] if model else []), *(["--registry", registry] if registry else [])]
    _require_production(opened, where)
    for flag, port in (("--http-port", http_port), ("--grpc-port", grpc_port)):
        _require_free(host, port, flag)
    # TensorFlow's remarks on the processor tell nothing of the model.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    pod = LocalPod(
        opened.models_config("production"),
        named.name,
        logs or Path.cwd() / ".trainyard" / "serving" / named.name,
        memory_limit_mib=named.settings.serving.memory_mib,
        explain=explain,
        host=host,
        http_port=http_port,
        grpc_port=grpc_port,
    )
    _say(f"Starting model server and adapter for {named.name} (logs: {pod.logs})")
    with pod:
        _say_where(pod, where)
        _serve(pod)


def _require_production(registry: "Registry", where: list[str]) -> None:
    """
    Raises:
        UsageError: no version is in production yet; the sentence names the command that comes first.
    """
    if registry.serving().stable is not None:
        return
    states = {record.state for record in registry.records() if not record.removed}
    if "tested" in states:
        command = "promote one first: ./pants run src/python/promote -- run"
    elif "candidate" in states:
        command = "test one and promote it first: ./pants run src/python/testing:test_model --"
    else:
        command = "train, test and promote one first: ./pants run src/python/training:train --"
    raise UsageError(
        f"No version of '{registry.model}' is in production yet; {' '.join([command, *map(shlex.quote, where)])}"
    )


def _require_free(host: str, port: int, flag: str) -> None:
    """Looked at before anything starts: whoever holds the port might be another adapter, and answer in our place.

    Raises:
        UsageError: there is no such host.
        InfrastructureError: somebody listens there.
    """
    import socket

    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
    except OSError:
        raise UsageError(f"The host name '{host}' is unknown; choose another one with --host.") from None
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = (error.strerror or "is it in use?").lower()
            raise InfrastructureError(
                f"Port {port} on {host} can't be opened ({reason}); choose another one with {flag}."
            ) from None


def _say_where(pod: "LocalPod", where: list[str]) -> None:
    _say(f"Page  {pod.url}/")
    _say(f"REST  {pod.url}/v1/classify (described at {pod.url}/docs)")
    _say(f"gRPC  {pod.address}")
    _say(f"Try   ./pants run serving/client -- classify IMAGE --address {pod.address}")
    promote = shlex.join(["./pants", "run", "src/python/promote", "--", "run", "--pod", pod.address, *where])
    _say(f"Next version, without a pause: {promote}")


def _serve(pod: "LocalPod") -> None:
    """Until SIGTERM or Ctrl-C; tells each change of the served version.

    Raises:
        PodFailed: one of the two programs ended.
    """
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # A second one must not cut the clean-up short either.
        signal.signal(number, lambda received, _: asked.append(received))
    known: int | None = None
    while not asked:
        pod.check()
        version = pod.stable_version()
        if version is not None and version != known:
            _say(f"Serving version {version}")
            known = version
        time.sleep(_LOOK_SECONDS)
    _say("Stopping, once the requests in flight are answered")


def _say(line: str) -> None:
    progress_console().print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(app)
