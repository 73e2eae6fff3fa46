"""The command `registry`: removes what nobody needs any more, and signs the list of images that is rolled out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import UsageError, command_line, print_json, progress_console, run
from cli.text import counted

if TYPE_CHECKING:
    from registry.gc import Plan

app = command_line(
    "registry",
    "Removes the files of versions that nobody needs any more; signs the list of images that is rolled out.",
    [
        "./pants run src/python/registry -- gc --dry-run",
        "./pants run src/python/registry -- gc --model digits --keep 3",
        "./pants run src/python/registry -- gc --registry gs://models/trainyard --keep 3 --yes",
        "./pants run src/python/registry -- sign-images --signing-key images.pem",
    ],
)


@app.callback()
def main() -> None:
    pass


@app.command()
def gc(
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    keep: Annotated[
        int, typer.Option(min=0, help="How many candidates and tested versions to keep, from the newest down.")
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "--model-name", metavar="NAME", help="Default: [model] name in trainyard.toml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")] = False,
) -> None:
    """Remove the files of versions that nobody needs any more.

    What servers load stays, and so do the newest candidates. Of what goes, record, reports and history
    stay.
    """
    import settings
    from registry import Registry, inventory
    from registry import gc as collector

    loaded = settings.load()
    uri = registry if registry is not None else loaded.registry.uri
    opened = Registry.open(uri, inventory.choose(uri, model, loaded.model.name))
    plan = collector.plan(opened, keep)
    _show(plan)
    for record in [] if dry_run else plan.mend:
        collector.mend(opened, record)
    removed: list[int] = []
    if not dry_run and plan.remove and (yes or _agreed(len(plan.remove))):
        reason = f"not among the newest {keep}, and not served"
        for record in plan.remove:
            if collector.remove(opened, record, reason):
                removed.append(record.version)
                progress_console().print(f"version {record.version} removed")
            else:
                progress_console().print(f"version {record.version} was changed by somebody else, and left alone")
    if not dry_run:
        opened.store.sweep()
    if as_json:
        stay = [{"version": version, "why": why} for version, why in plan.keep.items()]
        to_remove = [record.version for record in plan.remove]
        print_json({"keep": stay, "remove": to_remove, "removed": removed, "dry_run": dry_run})


_Images = Annotated[Path, typer.Argument(metavar="[FILE]", help="The list: a file that names images by digest.")]
_LISTED = Path("infra/k8s/images/kustomization.yaml")


@app.command("sign-images")
def sign_images(
    signing_key: Annotated[
        str,
        typer.Option(envvar="TRAINYARD_IMAGES_KEY", help="The images' private key: a PEM file, or a pkcs11: address."),
    ],
    file: _Images = _LISTED,
) -> None:
    """Sign the list of images, by which scripts/roll-out knows them; the signature lies beside it."""
    from registry import images

    progress_console().print(f"signed: {images.sign(images.keys_of(signing_key, ()), file)}", soft_wrap=True)


@app.command("verify-images")
def verify_images(
    public_key: Annotated[
        list[str],
        typer.Option(
            envvar="TRAINYARD_IMAGES_PUBLIC_KEYS", help="A public key that counts: a file, or a folder of *.pub."
        ),
    ],
    file: _Images = _LISTED,
) -> None:
    """Tell whether a trusted key signed the list of images as it is; exit code 4 if not."""
    from registry import images, signing

    signer = images.check(images.keys_of("", public_key), file)
    progress_console().print(f"{file} is signed by {signing.shown(signer)}", soft_wrap=True)


def _show(plan: "Plan") -> None:
    console = progress_console()
    for version, why in plan.keep.items():
        console.print(f"keep    version {version}: {why}", markup=False, soft_wrap=True)
    for record in plan.remove:
        test = record.metrics.test
        accuracy = f", accuracy {test.accuracy:.3f}" if test else ""
        begun = ", its removal was begun already" if record.removed else ""
        console.print(
            f"remove  version {record.version}: {record.state}{accuracy}{begun}", markup=False, soft_wrap=True
        )
    if not plan.remove:
        console.print("Nothing to remove.")


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("Nothing was removed. There is no terminal to ask on; add --yes, or --dry-run to only look.")
    return typer.confirm(f"Remove the files of {counted(count, 'version')} for good?", err=True)


if __name__ == "__main__":
    run(app)
