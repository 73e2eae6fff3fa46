"""Where the token and the certificates come from that an adapter wants to see."""

from pathlib import Path
from typing import TYPE_CHECKING

from trainyard_client import Access

from cli.errors import UsageError

if TYPE_CHECKING:
    from settings import Settings


def of_settings(settings: "Settings | None" = None) -> Access:
    """What [serving] of the settings says, for whoever asks production's adapters.

    Raises:
        UsageError: a file that they name can't be read.
    """
    if settings is None:
        from settings import load

        settings = load()
    serving = settings.serving
    if bool(serving.certificate) != bool(serving.key):
        raise UsageError("[serving] certificate and key belong together; set both.")
    return Access(
        token_of(Path(serving.token_file), "[serving] token_file") if serving.token_file else None,
        content_of(serving.ca, "[serving] ca"),
        content_of(serving.certificate, "[serving] certificate"),
        content_of(serving.key, "[serving] key"),
        serving.server_name or None,
    )


def token_of(file: Path, named: str) -> str:
    """The first token in `file`, which `named` is the name of in an error.

    Raises:
        UsageError: there is none.
    """
    text = (content_of(str(file), named) or b"").decode("ascii", "replace")
    lines = [line.strip() for line in text.splitlines()]
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens or not tokens[0].isprintable() or " " in tokens[0] or not tokens[0].isascii():
        raise UsageError(f"{named} {file} holds no token; it is a file with the token on its first line.")
    return tokens[0]


def content_of(file: str, named: str) -> bytes | None:
    """What is in `file`; None for an empty name."""
    if not file:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{named} {file} can't be read: {(error.strerror or str(error)).lower()}.") from None
