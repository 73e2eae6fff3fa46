"""The command: `python -m serving.client classify IMAGE…`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import command_line, print_json, progress_console, run, version_number
from cli.errors import DataRefused, InfrastructureError, UsageError

if TYPE_CHECKING:
    from serving.client.client import Client

app = command_line(
    "client",
    "Ask a running adapter to classify images, or what it serves.",
    [
        "./pants run serving/client -- classify scan.png",
        "./pants run serving/client -- classify xrays/ --address models.example.com:443 --json",
        "./pants run serving/client -- model --wait 60",
    ],
)

_Address = Annotated[str, typer.Option(metavar="HOST:PORT", help="gRPC address of the adapter.")]
_Tls = Annotated[
    bool | None, typer.Option("--tls/--plaintext", help="Default: TLS, except to an adapter on this machine.")
]
_Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="PEM of the authority that signed the server's certificate, unless it is a public one.",
    ),
]
_Token = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="The token that the adapter wants, on the first line of a file."),
]
_ProxyToken = Annotated[
    Path | None,
    typer.Option(
        "--proxy-token-file",
        metavar="FILE",
        help="An identity token for a proxy before the adapter (Google's IAP), on the first line of a file.",
    ),
]
_Certificate = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="FILE", help="PEM of your own certificate, if the adapter wants one."),
]
_Key = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="PEM of its key.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
_Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for each answer.")]
_Wait = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Wait this long for an adapter that is still starting.")
]
_DEFAULT_ADDRESS = "127.0.0.1:9090"


@app.command()
def classify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="PNG or JPEG files, or folders of them.")],
    address: _Address = _DEFAULT_ADDRESS,
    version: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Ask this version instead of the stable one."),
    ] = None,
    version_label: Annotated[str | None, typer.Option(help="Ask the version with this label.")] = None,
    as_json: _Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a table with a row per file and a column per class.")
    ] = False,
    timeout: _Timeout = 10,
    wait: _Wait = 0,
    tls: _Tls = None,
    ca: _Authority = None,
    token_file: _Token = None,
    proxy_token_file: _ProxyToken = None,
    certificate: _Certificate = None,
    key: _Key = None,
) -> None:
    """Classify images. Files that can't be classified are listed with the reason, and make the exit code 4."""
    # Imported here so that --help is instant.
    from serving.client import report
    from serving.client.files import classify_all, expand
    from serving.client.waiting import until_serving

    if as_json and as_csv:
        raise UsageError("Choose --json or --csv, not both.")
    if version is not None and version_label is not None:
        raise UsageError("Choose --version or --version-label, not both.")
    if version_label == "":
        raise UsageError("--version-label is empty; name a label, such as stable or previous.")
    files = expand(images)
    if not files:
        raise DataRefused(f"There is no PNG or JPEG file in {', '.join(map(str, images))}.")
    with _connected(address, tls, ca, (token_file, proxy_token_file), (certificate, key)) as client, _explained(wait):
        if wait:
            until_serving(client, wait)
        outcomes = report.with_progress(
            classify_all(files, lambda image: client.classify(image, version, version_label, timeout)),
            len(files),
            progress_console(),
        )
    if as_json:
        print_json([outcome.as_json() for outcome in outcomes])
    elif as_csv:
        report.write_csv(outcomes)
    else:
        report.show(outcomes)
    failed = [outcome for outcome in outcomes if outcome.prediction is None]
    if failed:
        raise DataRefused(f"{len(failed)} of {len(outcomes)} files could not be classified.")


@app.command()
def model(
    address: _Address = _DEFAULT_ADDRESS,
    as_json: _Json = False,
    timeout: _Timeout = 10,
    wait: _Wait = 0,
    tls: _Tls = None,
    ca: _Authority = None,
    token_file: _Token = None,
    proxy_token_file: _ProxyToken = None,
    certificate: _Certificate = None,
    key: _Key = None,
) -> None:
    """Show which versions an adapter serves."""
    import dataclasses

    from serving.client import report
    from serving.client.waiting import until_serving

    with _connected(address, tls, ca, (token_file, proxy_token_file), (certificate, key)) as client, _explained(wait):
        if wait:
            until_serving(client, wait)
        served = client.model(timeout)
    if as_json:
        print_json(dataclasses.asdict(served))
    else:
        report.show_model(served)


@contextmanager
def _explained(waited: float) -> Iterator[None]:
    """Turns what the client raises into an error of the command."""
    from serving.client.errors import ClientError, TooSlow, Unauthenticated, Unavailable
    from serving.client.waiting import HINT

    try:
        yield
    except Unauthenticated as error:
        hint = "" if "--proxy-token-file" in str(error) else " (--token-file FILE)"
        raise UsageError(f"{error}{hint}") from None
    except ClientError as error:
        may_be_starting = isinstance(error, Unavailable) and not isinstance(error, TooSlow)
        hint = f" {HINT}" if may_be_starting and not waited else ""
        raise InfrastructureError(f"{error}{hint}") from None


def _connected(
    address: str,
    tls: bool | None,
    ca: Path | None,
    tokens: tuple[Path | None, Path | None],
    own: tuple[Path | None, Path | None],
) -> "Client":
    """
    Arguments:
        tokens: files with the adapter's and the proxy's.
        own: files with one's own certificate and its key.
    """
    from serving.client import Access
    from serving.client.client import Client
    from serving.client.credentials import content_of, token_of

    if ca and tls is False:
        raise UsageError("Choose --ca or --plaintext, not both: without TLS there is no certificate.")
    certificate, key = own
    if bool(certificate) != bool(key):
        raise UsageError("--certificate and --key belong together; name both.")
    authorities = content_of(str(ca), "--ca") if ca else None
    if authorities is not None and b"-----BEGIN CERTIFICATE-----" not in authorities:
        raise UsageError(f"{ca} holds no certificate; name a file in PEM.")
    by_tls = bool(ca or certificate or not _is_local(address)) if tls is None else tls
    token, proxy_token = (
        token_of(file, name) if file else None
        for file, name in zip(tokens, ("--token-file", "--proxy-token-file"), strict=True)
    )
    if (token or proxy_token) and not by_tls and not _is_local(address):
        name = "--token-file" if token else "--proxy-token-file"
        raise UsageError(f"{name} with --plaintext would show the token to everybody on the way; use TLS.")
    access = Access(
        token=token,
        proxy_token=proxy_token,
        certificate=content_of(str(certificate), "--certificate") if certificate else None,
        key=content_of(str(key), "--key") if key else None,
    )
    return Client(address, tls=by_tls, authorities=authorities, access=access)


def _is_local(address: str) -> bool:
    """Whether an address never leaves this machine."""
    import ipaddress

    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or address.startswith("unix:")


if __name__ == "__main__":
    run(app)
