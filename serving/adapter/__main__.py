"""The command: `python -m serving.adapter`."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import command_line, run
from cli.errors import UsageError

app = command_line(
    "adapter",
    "The public face of a model server: gRPC, REST and a web page that classify images.",
    [
        "./pants run serving/adapter -- --backend 127.0.0.1:8500",
        "./pants run serving/adapter -- --backend unix:/run/model.sock --host 0.0.0.0 --http-port 80",
        "./pants run serving/adapter -- --host 0.0.0.0 --token-file tokens --tls-certificate tls.crt --tls-key tls.key",
    ],
)


@app.command()
def main(
    backend: Annotated[
        str, typer.Option(metavar="HOST:PORT|unix:PATH", help="gRPC address of the model server.")
    ] = "127.0.0.1:8500",
    model: Annotated[str | None, typer.Option(help="The model's name.  [default: trainyard.toml's]")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for gRPC; 0 for any free one.")] = 9090,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port for REST and the page; 0 for any free one.")
    ] = 8080,
    max_image_mib: Annotated[float, typer.Option(min=0.001, help="Largest image, in MiB.")] = 32,
    max_request_mib: Annotated[float, typer.Option(min=0.001, help="Largest REST request, in MiB.")] = 33,
    max_images: Annotated[int, typer.Option(min=1, help="Images in one REST request.")] = 32,
    max_in_flight: Annotated[int, typer.Option(min=1, help="Requests worked on at once; more are turned away.")] = 64,
    gather: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="IMAGES",
            help="Images that wait while the model works go to it as one call, of at most so many. 0: one by one.",
        ),
    ] = 32,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain/--no-explain",
            help="Offer POST /v1/explain: a heat map of what an answer rests on; each takes the work of 65 images.",
        ),
    ] = False,
    examples: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Up to 12 PNG or JPEG files that the page offers to try; never a patient's.  [default: those drawn "
            "for the model, if any were]",
        ),
    ] = None,
    request_timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for one request.")] = 10,
    drain_timeout: Annotated[
        float, typer.Option(min=0, help="Seconds that requests in flight get after SIGTERM.")
    ] = 30,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File of bearer tokens, one a line. Requests without one of them are refused."
        ),
    ] = None,
    jwks: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|ADDRESS",
            help="Keys of who signs callers' tokens (JWT, OpenID Connect), as a JWKS in a file or at https://…",
        ),
    ] = None,
    jwt_issuer: Annotated[
        str | None, typer.Option(metavar="ISSUER", help="The issuer that such a token must name (iss).")
    ] = None,
    jwt_audience: Annotated[
        str | None, typer.Option(metavar="AUDIENCE", help="The audience that such a token must name (aud).")
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PEM of the certificate: TLS on both ports."),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM of its key.")] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="PEM of the authority that signs clients' certificates. Clients must then show one."
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name that requests may give in Host.  [default: this machine's with --host 127.0.0.1, else any]",
        ),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="A site whose pages may ask, such as https://example.com."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="IMAGES",
            help="Images a second of each token, and of all without one.  [default: no limit]",
        ),
    ] = None,
    burst: Annotated[
        int,
        typer.Option(min=1, metavar="IMAGES", help="Images at once after a pause, with --rate."),
    ] = 64,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="A port for /metrics alone, without token and TLS.  [default: --http-port]"
        ),
    ] = None,
    reflection: Annotated[
        bool,
        typer.Option("--reflection/--no-reflection", help="Whether gRPC lists its services."),
    ] = True,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="Lines of log: text, or one JSON object each.")
    ] = "text",
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Whether each request is a line of log.")
    ] = False,
) -> None:
    # Errors reach the user as sentences of ours; gRPC's own log repeats them in its words. It reads this when imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported here so that --help is instant.
    import asyncio
    import dataclasses

    import imaging
    from serving.adapter import logs
    from serving.adapter.access import AccessOptions
    from serving.adapter.lifecycle import Options, serve
    from serving.adapter.limits import MEBIBYTE, Limits
    from settings import load

    if not backend.startswith("unix:") and not backend.rpartition(":")[2].isdecimal():
        raise UsageError(f"--backend is '{backend}'; expected HOST:PORT or unix:PATH.")
    logs.configure(logs.Format(log_format), access_log)
    limits = Limits(
        image=dataclasses.replace(imaging.DEFAULT, max_bytes=int(max_image_mib * MEBIBYTE)),
        max_request_bytes=int(max_request_mib * MEBIBYTE),
        max_images=max_images,
        max_in_flight=max_in_flight,
        max_gathered=gather,
        max_explanations=int(explain),
        request_timeout=request_timeout,
    )
    asyncio.run(
        serve(
            Options(
                backend=backend,
                model=model or load().model.name,
                host=host,
                grpc_port=grpc_port,
                http_port=http_port,
                limits=limits,
                drain_timeout=drain_timeout,
                examples=examples,
                access=AccessOptions(
                    token_file=token_file,
                    tls_certificate=tls_certificate,
                    tls_key=tls_key,
                    tls_client_ca=tls_client_ca,
                    allowed_hosts=tuple(allowed_host or ()),
                    allowed_origins=tuple(allowed_origin or ()),
                    rate=rate,
                    burst=burst,
                    metrics_port=metrics_port,
                    reflection=reflection,
                    jwks=jwks,
                    jwt_issuer=jwt_issuer,
                    jwt_audience=jwt_audience,
                ),
            )
        )
    )


if __name__ == "__main__":
    run(app)
