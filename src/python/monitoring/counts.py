"""What production has seen of late: as its adapters counted it, or as it answers for images that are handed over."""

import http
import http.client
import json
from pathlib import Path

import imaging
from cli import InfrastructureError, UsageError
from cli.addresses import resolved
from contracts.record import Record
from monitoring import population
from monitoring.population import Seen
from registry import Registry
from serving.brightness import brightness
from serving.client import Client, ClientError, Unavailable
from serving.client.credentials import of_settings
from serving.client.files import classify_all, expand

# The report that the next call with --since-last reads.
REPORT = "drift.json"
_SECONDS = 10.0
_MOST_BYTES = 16 * 1024 * 1024


def of_pods(places: list[str], version: int) -> dict[str, Seen]:
    """What each adapter has counted of the version since it started."""
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


def answered(images: list[Path], address: str, record: Record) -> Seen:
    """What production answers for each image; images that can't be read are left out."""
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


def last(registry: Registry, version: int) -> dict[str, Seen]:
    """The pods' counts at the last call that saved them; none if there was no such call about the version."""
    saved = registry.read_report(version, REPORT)
    return {pod: Seen(**own) for pod, own in json.loads(saved)["pods"].items()} if saved else {}
