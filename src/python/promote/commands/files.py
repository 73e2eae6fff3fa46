"""`promote verify` and `promote sign`: a version's files, its record and its signature."""

import sys
from typing import Annotated

import typer

from cli import print_json, version_number
from promote.commands import options
from promote.commands.yard import opened


def verify(
    version: Annotated[
        int, typer.Argument(parser=version_number, metavar="N", help="The version whose files are checked.")
    ],
    public_key: options.PublicKey = None,
    registry: options.Registry = None,
    model: options.Model = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare a version's files with the digests in its record, and the record with its signature."""
    from cli import DataRefused
    from promote import views
    from registry import signing

    checked = opened(registry, model, public_key).registry
    differences = {area: checked.verify(version, area) for area in checked.areas(version) or ["testing"]}
    signer, unsigned = "", None
    try:
        signer = signing.check(checked.keys, checked.record(version)) if checked.keys else ""
    except DataRefused as error:
        unsigned = error
    if as_json:
        print_json(views.verified_json(version, differences, signer, unsigned))
    else:
        for line in views.verified_lines(version, differences, signer, unsigned):
            sys.stdout.write(f"{line}\n")
    if any(differences.values()):
        raise DataRefused(
            f"The files of version {version} are not those of its record; put the original files back, or train again."
        )
    if unsigned:
        raise unsigned


def sign(
    version: Annotated[
        int, typer.Argument(parser=version_number, metavar="N", help="The version that has no signature yet.")
    ],
    signing_key: Annotated[str | None, typer.Option(metavar="FILE", help="The private key, in PEM.")] = None,
    registry: options.Registry = None,
    model: options.Model = None,
    as_json: options.AsJson = False,
) -> None:
    """Sign a version that was published before there were signatures; do so only where you know its files' origin."""
    from registry import signing

    signed = opened(registry, model, signing_key=signing_key).registry.sign(version)
    signer = signing.signer_of(signed.sigstore)
    if as_json:
        print_json({"version": version, "signer": signer})
    else:
        sys.stdout.write(f"Version {version} is signed by the key {signing.shown(signer)} now.\n")
