"""Places for registries of both kinds, made anew, and claims about what was found there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from cli import print_json
from tests import buckets
from tests.storage import KINDS, Place


@contextmanager
def places(only: str | None) -> Iterator[list[tuple[Place, buckets.Proxy]]]:
    """A place of each kind, or of one, and the proxy before the server that the bucket's requests go through."""
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder,
        buckets.emulator() as address,
        buckets.proxy(address) as proxy,
    ):
        os.environ |= {"STORAGE_EMULATOR_HOST": proxy.address, "OUTBOX": f"{folder}/outbox"}
        yield [(Place(kind, Path(folder, kind)), proxy) for kind in KINDS if only in (None, kind)]


def at_least(name: str, value: int, wanted: int, unit: str) -> dict[str, Any]:
    return {"name": name, "value": value, "wanted": f">= {wanted}", "unit": unit, "holds": value >= wanted}


def none(name: str, value: int, unit: str) -> dict[str, Any]:
    return {"name": name, "value": value, "wanted": "== 0", "unit": unit, "holds": value == 0}


def tell(lines: list[str], claims: list[dict[str, Any]], as_json: bool) -> None:
    for line in lines:
        typer.echo(line)
    for made in claims:
        verdict = "holds" if made["holds"] else "DOES NOT HOLD"
        typer.echo(f"{made['name']}: {made['value']} {made['unit']} (wanted {made['wanted']}): {verdict}")
    if as_json:
        print_json({"claims": claims})
