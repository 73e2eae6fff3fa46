"""The command `test_model`: bring up a clone of production, run the model tests in it, keep the verdict."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import GateNotPassed, command_line, print_json, progress_console, run, version_number

if TYPE_CHECKING:
    from rich.console import Console

    from contracts.verdict import ModelVerdict
    from settings import Settings
    from testing.subject import Budget

app = command_line(
    "test_model",
    "Tests a version of the registry in a clone of production and saves the verdict.",
    [
        "./pants run src/python/testing:test_model -- --version 3",
        "./pants run src/python/testing:test_model -- --registry ./registry --dataset ./xrays --json",
        "./pants run src/python/testing:test_model -- --executor docker --model-server-image tensorflow/serving:2.19.1",
    ],
)


@app.command()
def test_model(
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Where held-out images come from: a folder, or `sample`.")] = None,
    version: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the newest candidate, else production's."),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            help="What the clone is made of: `local` processes, `docker` containers, or a pod in the staging namespace "
            "of a `kubernetes` cluster."
        ),
    ] = "local",
    model_server_image: Annotated[
        str | None,
        typer.Option(help="With `docker` or `kubernetes`: TensorFlow Serving's image, or another one of it."),
    ] = None,
    model_name: Annotated[str | None, typer.Option(help="The model's name in the registry.")] = None,
    public_key: Annotated[
        list[str] | None, typer.Option(help="PEM file of a key whose signatures count; repeat it.")
    ] = None,
    min_accuracy: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the gate's accuracy.")] = None,
    min_recall: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the gate's recall.")] = None,
    mail: Annotated[
        bool, typer.Option("--mail", help="Mail the owner how it ended; `pipeline run` does so by itself.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as one line of JSON, last.")] = False,
) -> None:
    """Test a version of the registry in a clone of production and save the verdict."""
    import settings as settings_module
    from cli.progress import shown
    from registry import Keys, Registry
    from testing import choice, verdict
    from testing.clone import Place
    from testing.faults import BrokenTests

    settings = settings_module.load()
    clone = Place.of(settings, executor, model_server_image)
    place = registry or settings.registry.uri
    keys = Keys.of(settings.signing.key, public_key or settings.signing.public_keys, place)
    opened = Registry.open(place, model_name or settings.model.name, keys)
    where = ["--registry", registry] if registry else []
    record = choice.named(opened, version) if version is not None else choice.newest(opened, where)
    budget = _budget(settings, min_accuracy, min_recall)
    uri = dataset or settings.dataset.uri
    console = progress_console()
    console.print(f"Testing version {record.version} ({record.state}) of {record.model} in a clone of production")

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    try:
        with shown(console, "Model tests") as progress:
            made = verdict.make(
                opened, record, uri, settings.dataset.max_unreadable, budget, clone, None, say, progress
            )
    except BrokenTests as error:
        if as_json:
            print_json(error.as_json())
        raise
    if mail:
        import notify

        kind: notify.Kind = "candidate_passed" if made.passed else "tests_failed"
        notify.tell(settings.mail, place, opened.model, kind, record.version, made.report, say)
    if as_json:
        print_json(made.as_json())
    _show(console, made)
    if not made.passed:
        raise GateNotPassed(
            f"Version {record.version} failed its tests: {'; '.join(made.reasons)} (report: {made.report})"
        )


def _budget(settings: "Settings", min_accuracy: float | None, min_recall: float | None) -> "Budget":
    from dataclasses import replace

    from testing.subject import Budget

    budget = Budget.of(settings)
    if min_accuracy is not None:
        budget = replace(budget, min_accuracy=min_accuracy)
    return budget if min_recall is None else replace(budget, min_recall=min_recall)


def _show(console: "Console", made: "ModelVerdict") -> None:
    outcomes = [test.outcome for test in made.tests]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
    accuracy = f"; accuracy {made.metrics.accuracy:.3f} over the wire" if made.metrics else ""
    console.print(f"{counts}{accuracy}; report: {made.report}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(app)
