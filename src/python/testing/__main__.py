"""The command `test_model`: bring up a clone of production, run the model tests in it, keep the verdict."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import GateNotPassed, command_line, print_json, progress_console, run, version_number
from testing import apart

if TYPE_CHECKING:
    from rich.console import Console

    from contracts.record import Record
    from contracts.verdict import ModelVerdict
    from models import Model
    from registry import Registry

app = command_line(
    "test_model",
    "Tests a version of the registry in a clone of production and saves the verdict.",
    [
        "./pants run src/python/testing:test_model -- --model chest-xray --version 3",
        "./pants run src/python/testing:test_model -- --registry ./registry --dataset ./xrays --json",
        "./pants run src/python/testing:test_model -- --executor docker --model-server-image tensorflow/serving:2.19.1",
    ],
)


@app.command()
def test_model(
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The images with the held-out ones: a folder, a pointer, or `sample` (drawn). Default: [dataset] uri."
        ),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            parser=version_number,
            metavar="N",
            help="The version to test. Default: the newest candidate, else production's.",
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            help="Where the clone of production runs: `local` (processes), `docker` (containers), or `kubernetes` (a "
            "pod in the staging namespace)."
        ),
    ] = "local",
    model_server_image: Annotated[
        str | None,
        typer.Option(
            help="With `docker` or `kubernetes`: the image to run as model server, such as tensorflow/serving:2.19.1."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--model-name",
            metavar="NAME",
            help="The model, a folder of models/. Default: [model] name in trainyard.toml, or the only one.",
        ),
    ] = None,
    public_key: Annotated[list[str] | None, typer.Option(help="PEM file of a public key to trust; repeat it.")] = None,
    min_accuracy: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the gate's accuracy.")] = None,
    min_recall: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the gate's recall.")] = None,
    mail: Annotated[
        bool, typer.Option("--mail", help="Mail the owner how it ended; `pipeline run` does so by itself.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as one line of JSON, last.")] = False,
) -> None:
    """Test a version of the registry in a clone of production and save the verdict."""
    import models
    from registry import Keys, Registry
    from testing import choice, closing
    from testing.faults import BrokenTests
    from testing.telling import Teller

    found, console = models.find(model), progress_console()

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    for note in models.concerning(found.notes, "dataset", "gates", "tests", "mail"):
        say(note)
    place, signing = registry or found.settings.registry.uri, found.settings.signing
    opened = Registry.open(place, found.name, Keys.of(signing.key, public_key or signing.public_keys, place))
    opened.require_writable()
    # By its name, wherever that came from: the line is pasted elsewhere than where a pipeline named the model.
    where, gates = _where(found.name, registry), (min_accuracy, min_recall)
    tested_with = _tested_with(dataset, *gates)
    died = apart.died()
    if died and died.version:
        version = died.version
    record = choice.named(opened, version) if version is not None else choice.newest(opened, [*where, *tested_with])
    if not died:
        say(f"Testing version {record.version} ({record.state}) of {record.model} in a clone of production")
    apart.tell(version=record.version)
    teller = Teller(found.settings.mail, place, record, say) if mail else None
    try:
        if died:
            raise BrokenTests(record.version, [died.fault()])
        made = _tested(found, opened, record, dataset, gates, (executor, model_server_image), console)
    except BrokenTests as error:
        if teller:
            teller.broken(error.faults)
        if as_json:
            print_json(error.as_json())
        raise
    if teller:
        teller.verdict(made)
    if as_json:
        print_json(made.as_json())
    for line in closing.lines(made, opened.record(record.version), where, tested_with):
        say(line)
    if not made.passed:
        raise GateNotPassed(
            f"Version {record.version} failed its tests: {'; '.join(made.reasons)} (report: {made.report})"
        )


def _tested(
    model: "Model",
    registry: "Registry",
    record: "Record",
    dataset: str | None,
    gates: tuple[float | None, float | None],
    clone: tuple[str, str | None],
    console: "Console",
) -> "ModelVerdict":
    """The verdict; `gates` are flags for accuracy and recall, `clone` the executor and the model server's image."""
    from cli.progress import shown
    from testing import limits, verdict
    from testing.clone import Place

    settings = model.settings

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    with shown(console, "Model tests") as progress:
        return verdict.make(
            registry,
            record,
            dataset or settings.dataset.uri,
            settings.dataset.max_unreadable,
            limits.of(model, record, *gates),
            Place.of(settings, *clone),
            model.tests,
            say,
            progress,
            settings.dataset.index,
        )


def _where(model: str, registry: str | None) -> list[str]:
    """The flags that name the same model and registry again."""
    return ["--model", model, *(["--registry", registry] if registry else [])]


def _tested_with(dataset: str | None, min_accuracy: float | None, min_recall: float | None) -> list[str]:
    """The flags that test on the same images by the same gates again."""
    flags = {"--dataset": dataset, "--min-accuracy": min_accuracy, "--min-recall": min_recall}
    return [part for name, value in flags.items() if value is not None for part in (name, str(value))]


if __name__ == "__main__":
    apart.begin()
    run(app)
