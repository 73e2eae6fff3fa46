"""The registry and the settings that a call means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli import progress_console

if TYPE_CHECKING:
    from registry import Registry
    from settings import Settings


@dataclass(frozen=True)
class Yard:
    registry: "Registry"
    # Of the model.
    settings: "Settings"
    # The flags by which the caller named both, for commands that an error tells to call.
    flags: list[str]


def opened(
    registry: str | None,
    model: str | None,
    public_keys: list[str] | None = None,
    signing_key: str | None = None,
    concerned: Sequence[str] = (),
) -> Yard:
    """`concerned` are the sections of the settings by which the command goes, for notes on them.

    Raises:
        UsageError: there is no such model, or the registry can't be opened.
    """
    import models.lookup
    from registry import Keys, Registry

    named = models.lookup.named(model, registry)
    for note in models.concerning(named.notes, *concerned):
        say(note)
    signing = named.settings.signing
    uri = registry if registry is not None else named.settings.registry.uri
    keys = Keys.of(signing_key or signing.key, public_keys or signing.public_keys, uri)
    place = ["--registry", registry] if registry is not None else []
    flags = [*place, *(["--model", model] if model is not None else [])]
    return Yard(Registry.open(uri, named.name, keys), named.settings, flags)


def say(line: str) -> None:
    progress_console().print(line, markup=False, soft_wrap=True)
