"""The command `drift`: do recent images still resemble the test data?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import (
    DataRefused,
    GateNotPassed,
    UsageError,
    command_line,
    print_json,
    progress_console,
    run,
)
from cli.text import counted

if TYPE_CHECKING:
    import notify
    from contracts.record import Record
    from registry import Registry
    from settings import Settings

app = command_line(
    "drift",
    "Detects drift in production's images: predicted classes, confidence and brightness, as the adapters counted them, "
    "compared with the test data. Drift is exit code 3 and a mail to the owner, too few images are exit code 4.",
    [
        "./pants run src/python/monitoring:drift -- --model digits --metrics localhost:8080",
        "./pants run src/python/monitoring:drift -- --metrics adapter.trainyard.svc:8080 --since-last",
        "./pants run src/python/monitoring:drift -- --images ./recent --address localhost:9090",
    ],
)


@app.command()
def drift(
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="An adapter's HTTP address; repeat it. A name may stand for several."),
    ] = None,
    since_last: Annotated[
        bool,
        typer.Option(
            "--since-last", help="Count only what came after the last such call, whose counts are among the reports."
        ),
    ] = False,
    images: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Instead of metrics: recent images, or folders of them; repeat it."),
    ] = None,
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="With --images: gRPC address of the adapter that classifies them.")
    ] = "127.0.0.1:9090",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the result there, as JSON.")] = None,
    min_images: Annotated[
        int | None, typer.Option(min=1, help="Images that are needed. Default: [drift] min_images.")
    ] = None,
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "--model-name", metavar="NAME", help="Default: [model] name in trainyard.toml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")] = False,
) -> None:
    """Detect drift in production's images."""
    import models.lookup
    import notify
    from monitoring import counts, population
    from registry import Registry

    named = models.lookup.named(model, registry)
    settings = named.settings
    for note in models.concerning(named.notes, "drift", "mail"):
        progress_console().print(note, markup=False, soft_wrap=True)
    if images and (metrics or since_last):
        raise UsageError("Choose --metrics (with --since-last), or --images.")
    places = metrics or settings.drift.metrics
    if not images and not places:
        raise UsageError("Name the adapters with --metrics HOST:PORT or in [drift] metrics, or images with --images.")
    uri = registry or settings.registry.uri
    opened = Registry.open(uri, named.name)
    record = _in_production(opened)
    version = record.version
    pods = {"images": counts.answered(images, address, record)} if images else counts.of_pods(places, version)
    before = counts.last(opened, version) if since_last else {}
    seen = sum((own.since(before.get(pod, population.Seen())) for pod, own in pods.items()), population.Seen())
    needed = min_images or settings.drift.min_images
    enough = seen.images >= needed
    found = list(population.drifts(record, seen, settings.drift)) if enough else []
    result = {
        "version": version,
        "drift": bool(found) if enough else None,
        "reasons": found,
        "images": int(seen.images),
        "served": seen.as_json(),
        "held_out": population.held_out(record),
        "pods": {pod: own.as_json() for pod, own in pods.items()},
    }
    text = json.dumps(result, indent=1) + "\n"
    if output:
        output.write_text(text, "utf-8")
    if since_last and enough:
        # Else what came so far counts the next time too.
        opened.save_report(version, counts.REPORT, text.encode())
    if found:
        mail = notify.drifted(record, found, looked=_flags(metrics, images, address), registry=uri)
        result["mail"] = tell_owner(mail, settings)
    if as_json:
        print_json(result)
    _end(record, int(seen.images), needed, len(pods), found)


def _in_production(registry: "Registry") -> "Record":
    version = registry.serving().stable
    if version is None:
        raise UsageError(f"No version of '{registry.model}' is in production; promote one first.")
    return registry.record(version)


def _flags(metrics: list[str] | None, images: list[Path] | None, address: str) -> list[str]:
    """Those by which the same is looked at again."""
    looked = [text for pod in metrics or [] for text in ("--metrics", pod)]
    return looked + [text for place in images or [] for text in ("--images", str(place), "--address", address)]


def _end(record: "Record", images: int, needed: int, pods: int, found: list[str]) -> None:
    """Says what came out, by the exit code too."""
    what = f"{record.model} {record.version}"
    if images < needed:
        on_pods = counted(pods, "pod")
        raise DataRefused(f"{what} answered only {counted(images, 'image')} on {on_pods}; {needed} are needed to tell.")
    if found:
        raise GateNotPassed(f"Drift: recent images no longer resemble the test data of {what}. {' '.join(found)}")
    resemble = f"{counted(images, 'recent image')} of {what} resemble its test data."
    progress_console().print(f"No drift: {resemble}")


def tell_owner(mail: "notify.Message", settings: "Settings") -> dict[str, object]:
    """What became of the mail. Nothing that goes wrong with it changes the result."""
    import notify

    delivery = notify.send(settings.mail, mail)
    if delivery.error:
        progress_console().print(f"The mail was not sent: {delivery.error}", markup=False, soft_wrap=True)
    return {"sent": delivery.sent, "where": delivery.where, "error": delivery.error}


if __name__ == "__main__":
    run(app)
