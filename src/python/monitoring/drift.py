"""The command `drift`: do recent images still resemble the test data?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import (
    DataRefused,
    GateNotPassed,
    InfrastructureError,
    UsageError,
    command_line,
    print_json,
    progress_console,
    run,
)
from cli.addresses import resolved
from cli.text import counted

if TYPE_CHECKING:
    import notify
    from contracts.record import Record
    from monitoring.population import Seen
    from registry import Registry
    from settings import Settings

app = command_line(
    "drift",
    "Detects drift in production's images: predicted classes, certainty and brightness, as the adapters counted them, "
    "against the test data. Drift is exit code 3 and a mail to the owner, too few images are exit code 4.",
    [
        "./pants run src/python/monitoring:drift -- --model digits --metrics localhost:8080",
        "./pants run src/python/monitoring:drift -- --metrics adapter.trainyard.svc:8080 --since-last",
        "./pants run src/python/monitoring:drift -- --images ./recent --address localhost:9090",
    ],
)
_SECONDS = 10.0
# The report that the next call with --since-last reads.
_REPORT = "drift.json"
_MOST_BYTES = 16 * 1024 * 1024


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
    min_images: Annotated[int | None, typer.Option(min=1, help="Overrides how many images are needed.")] = None,
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "--model-name", metavar="NAME", help="Default: the usual one of trainyard.toml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")] = False,
) -> None:
    """Detect drift in production's images."""
    import models.lookup
    import notify
    from monitoring import population
    from registry import Registry

    named = models.lookup.named(model, registry)
    settings = named.settings
    for note in named.notes:
        progress_console().print(note, markup=False, soft_wrap=True)
    if images and (metrics or since_last):
        raise UsageError("Choose --metrics (with --since-last), or --images.")
    places = metrics or settings.drift.metrics
    if not images and not places:
        raise UsageError("Name the adapters with --metrics HOST:PORT or in [drift] metrics, or images with --images.")
    uri = registry or settings.registry.uri
    opened = Registry.open(uri, named.name)
    version = opened.serving().stable
    if version is None:
        raise UsageError(f"No version of '{opened.model}' is in production; promote one first.")
    record = opened.record(version)
    pods = {"images": answered(images, address, record)} if images else counts(places, version)
    before = last(opened, version) if since_last else {}
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
        opened.save_report(version, _REPORT, text.encode())
    what = f"{record.model} {version}"
    if found:
        looked = [text for pod in metrics or [] for text in ("--metrics", pod)]
        looked += [text for place in images or [] for text in ("--images", str(place), "--address", address)]
        mail = notify.drifted(record, found, looked=looked, registry=uri)
        result["mail"] = tell_owner(mail, settings)
    if as_json:
        print_json(result)
    if not enough:
        images_seen, on_pods = counted(int(seen.images), "image"), counted(len(pods), "pod")
        raise DataRefused(f"{what} answered only {images_seen} on {on_pods}; {needed} are needed to tell.")
    if found:
        raise GateNotPassed(f"Drift: recent images no longer resemble the test data of {what}. {' '.join(found)}")
    looked_at = counted(int(seen.images), "recent image")
    progress_console().print(f"No drift: {looked_at} of {what} resemble its test data.")


def counts(places: list[str], version: int) -> "dict[str, Seen]":
    """What each adapter has counted of the version since it started."""
    import http
    import http.client

    from monitoring import population
    from serving.client.credentials import of_settings

    token = of_settings().token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    found = {}
    for pod in resolved(place.removeprefix("http://").rstrip("/") for place in places):
        connection = http.client.HTTPConnection(pod, timeout=_SECONDS)
        try:
            connection.request("GET", "/metrics", headers=headers)
            response = connection.getresponse()
            text = response.read(_MOST_BYTES).decode()
            if response.status == http.HTTPStatus.UNAUTHORIZED:
                raise UsageError(
                    f"{pod} wants a token; [serving] token_file, or TRAINYARD_SERVING_TOKEN_FILE, names it."
                )
            if response.status != 200 or "trainyard_" not in text:
                raise ValueError
            found[pod] = population.of_metrics(text, version)
        except OSError as error:
            raise InfrastructureError(f"No adapter answers at {pod}: {error.strerror or error}.") from None
        except (ValueError, http.client.HTTPException):
            raise UsageError(f"What answers at {pod} is not an adapter; give its HTTP address.") from None
        finally:
            connection.close()
    return found


def answered(images: list[Path], address: str, record: "Record") -> "Seen":
    """What production answers for each image; images that can't be read are left out."""
    import imaging
    from monitoring.population import Seen
    from serving.brightness import brightness
    from serving.client import Client, ClientError, Unavailable
    from serving.client.credentials import of_settings
    from serving.client.files import classify_all, expand

    seen, files = Seen(), expand(images)
    seen_as = imaging.ImageInput.recorded(record.input, record.image_size)
    with Client(address, access=of_settings()) as client:
        try:
            for outcome in classify_all(files, lambda image: client.classify(image, version=record.version)):
                if answer := outcome.prediction:
                    data = Path(outcome.file).read_bytes()
                    pixels, filled = imaging.pixels(data, seen_as), imaging.filled(data, seen_as)
                    bright = brightness(pixels, seen_as.channels, filled)
                    seen += Seen({answer.label: 1}, answer.scores[answer.label], bright)
        except Unavailable as error:
            raise InfrastructureError(str(error)) from None
        except ClientError as error:
            raise UsageError(str(error)) from None
    return seen


def last(registry: "Registry", version: int) -> "dict[str, Seen]":
    """The pods' counts at the last call that saved them; none if there was no such call about the version."""
    from monitoring.population import Seen

    saved = registry.read_report(version, _REPORT)
    return {pod: Seen(**own) for pod, own in json.loads(saved)["pods"].items()} if saved else {}


def tell_owner(mail: "notify.Message", settings: "Settings") -> dict[str, object]:
    """What became of the mail. Nothing that goes wrong with it changes the result."""
    import notify

    delivery = notify.send(settings.mail, mail)
    if delivery.error:
        progress_console().print(f"The mail was not sent: {delivery.error}", markup=False, soft_wrap=True)
    return {"sent": delivery.sent, "where": delivery.where, "error": delivery.error}


if __name__ == "__main__":
    run(app)
