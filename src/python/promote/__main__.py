"""The command `promote`: what is in the registry and in production, and what goes there."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import UsageError, command_line, print_json, progress_console, run, version_number

if TYPE_CHECKING:
    from promote.pods import Pods
    from promote.rollover import Outcome, Rollover
    from registry import Difference, Registry, ServingState
    from settings import Settings

app = command_line(
    "promote",
    "Takes a tested model into production, and back. What is served changes in one place, and every serving pod must "
    "have the new version loaded and answering before it does.",
    [
        "./pants run src/python/promote -- list",
        "./pants run src/python/promote -- run",
        "./pants run src/python/promote -- run --version 4 --yes --approver ada --reason 'better on COVID'",
        "./pants run src/python/promote -- rollback",
        "./pants run src/python/promote -- verify 4",
        "./pants run src/python/promote -- history --at 2026-11-25T14:30Z",
    ],
)

_LOG_SECONDS = 2.0

RegistryOption = Annotated[
    str | None, typer.Option("--registry", help="The registry: a folder, or gs://BUCKET/FOLDER.")
]
ModelOption = Annotated[str | None, typer.Option("--model-name", help="The model's name in the registry.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--public-key", metavar="FILE", help="A key in PEM whose signatures count; repeat it."),
]
PodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pod", metavar="HOST:PORT", help="An adapter's gRPC address; repeat it. A name may stand for several."
    ),
]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", min=0.1, help="Seconds that pods have to load, and again to switch.")
]
ApproverOption = Annotated[str | None, typer.Option("--approver", help="Who decided; default: who calls.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the journal and the mail.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_versions(registry: RegistryOption = None, model_name: ModelOption = None, as_json: JsonOption = False) -> None:
    """Versions with state, accuracy, dataset and age, and which are served."""
    from promote import views

    opened, _ = _open(registry, model_name)
    records, serving = opened.records(), opened.serving()
    if as_json:
        print_json({"versions": views.versions_json(records, serving)})
    elif records:
        views.console().print(views.versions_table(records, serving))
    else:
        _say(f"No version of '{opened.model}' is in {opened.store.uri('records')} yet; train one first.")


@app.command()
def status(
    registry: RegistryOption = None,
    model_name: ModelOption = None,
    pod: PodOption = None,
    as_json: JsonOption = False,
) -> None:
    """What servers are told to serve, and what each serving pod says."""
    from promote import intent, views

    opened, settings = _open(registry, model_name)
    pods = _pods(pod, settings)
    serving = opened.serving()
    found = intent.current(opened)
    under_way = found[0] if found else None
    answers = pods.look() if pods else []
    if as_json:
        print_json(views.status_json(serving, answers, under_way, opened.models_config(), opened.model))
        return
    out = views.console()
    labels = ", ".join(f"{label} = {version}" for label, version in sorted(serving.labels.items(), reverse=True))
    out.print(f"{opened.models_config()} says: {labels or 'nothing is in production'}", soft_wrap=True)
    if under_way:
        end = "was interrupted; the next run or rollback ends it" if under_way.is_abandoned() else "is under way"
        out.print(f"{under_way} {end}", soft_wrap=True)
    if pods:
        out.print(views.pods_table(answers))
    else:
        out.print("No serving pod is configured; name them in [serving] pods or with --pod.")


@app.command("run")
def promote(
    version: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the newest tested one, after a question."),
    ] = None,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show everything, change nothing.")] = False,
    approver: ApproverOption = None,
    reason: ReasonOption = "",
    pod: PodOption = None,
    timeout: TimeoutOption = None,
    public_key: KeyOption = None,
    registry: RegistryOption = None,
    model_name: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a tested version into production."""
    from promote import admission, choice, views

    opened, settings = _open(registry, model_name, public_key)
    where = _where(registry, model_name)
    rollover = _rollover(opened, settings, pod, timeout, registry)
    if not dry_run:
        rollover.settle()
    named = version is not None
    record = opened.record(version) if version is not None else choice.newest_tested(opened, where)
    serving = opened.serving()
    if serving.stable == record.version:
        _already(record.version, serving.previous, "promote", as_json)
        return
    choice.check(record, "promote", where)
    production = _record_or_none(opened, serving.stable)
    progress_console().print(views.comparison(record, production))
    if dry_run:
        admission.check(opened, record)
        _say(f"Version {record.version} can be promoted; nothing was changed.")
        if as_json:
            addresses = rollover.pods.addresses()
            plan = {"promoted": None, "candidate": record.version, "previous": serving.stable, "pods": addresses}
            print_json(plan | {"dry_run": True})
        return
    if not (named or yes or _agreed(f"Promote version {record.version}?", must_ask=True)):
        _declined(as_json)
        return
    _carry_out(rollover, "promote", record.version, serving, approver, reason, as_json)


@app.command()
def rollback(
    to: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the version that was in production before."),
    ] = None,
    yes: YesOption = False,
    approver: ApproverOption = None,
    reason: ReasonOption = "",
    pod: PodOption = None,
    timeout: TimeoutOption = None,
    public_key: KeyOption = None,
    registry: RegistryOption = None,
    model_name: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to a version that was in production before."""
    from promote import choice

    opened, settings = _open(registry, model_name, public_key)
    where = _where(registry, model_name)
    rollover = _rollover(opened, settings, pod, timeout, registry)
    rollover.settle()
    serving = opened.serving()
    target = to if to is not None else choice.before_current(opened, where)
    if serving.stable == target:
        _already(target, serving.previous, "rollback", as_json)
        return
    choice.check(opened.record(target), "rollback", where)
    # No terminal, no question: going back is what a script does when something is wrong.
    if to is None and not yes and not _agreed(f"Go back from version {serving.stable} to {target}?", must_ask=False):
        _declined(as_json)
        return
    _carry_out(rollover, "rollback", target, serving, approver, reason, as_json)


@app.command()
def verify(
    version: Annotated[
        int, typer.Argument(parser=version_number, metavar="N", help="The version whose files are checked.")
    ],
    public_key: KeyOption = None,
    registry: RegistryOption = None,
    model_name: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a version's files with the digests in its record, and the record with its signature."""
    from cli import DataRefused
    from promote import views
    from registry import signing

    opened, _ = _open(registry, model_name, public_key)
    differences: dict[str, Difference] = {
        area: opened.verify(version, area) for area in opened.areas(version) or ["testing"]
    }
    signer, unsigned = "", None
    try:
        signer = signing.check(opened.keys, opened.record(version)) if opened.keys else ""
    except DataRefused as error:
        unsigned = error
    changed = any(differences.values())
    if as_json:
        print_json(views.verified_json(version, differences, signer, unsigned))
    else:
        for line in views.verified_lines(version, differences, signer, unsigned):
            sys.stdout.write(f"{line}\n")
    if changed:
        raise DataRefused(
            f"The files of version {version} are not those of its record; put the original files back, or train again."
        )
    if unsigned:
        raise unsigned


@app.command()
def sign(
    version: Annotated[
        int, typer.Argument(parser=version_number, metavar="N", help="The version that has no signature yet.")
    ],
    signing_key: Annotated[str | None, typer.Option(metavar="FILE", help="The private key, in PEM.")] = None,
    registry: RegistryOption = None,
    model_name: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a version that was published before there were signatures; say so only of files whose origin you know."""
    from registry import signing

    opened, _ = _open(registry, model_name, signing_key=signing_key)
    signer = signing.signer_of(opened.sign(version).sigstore)
    if as_json:
        print_json({"version": version, "signer": signer})
    else:
        sys.stdout.write(f"Version {version} is signed by the key {signing.shown(signer)} now.\n")


@app.command()
def history(
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Just what was in production then, as 2026-11-25T14:30Z.")
    ] = None,
    registry: RegistryOption = None,
    model_name: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who did what to which version, when, why and from where, oldest first; or what was in production at a time."""
    from promote import views
    from promote.history import at as in_production_at
    from promote.history import parse_time

    opened, _ = _open(registry, model_name)
    then = parse_time(at) if at is not None else None
    if then is not None and then > datetime.now(UTC):
        raise UsageError(f"{at} has not come yet; name a time that has passed, in UTC or with its offset.")
    entries = opened.journal.entries()
    if then is not None:
        period = in_production_at(entries, then)
        if as_json:
            print_json(views.period_json(period, then))
        else:
            sys.stdout.write(views.period_text(period, then, opened.model) + "\n")
    elif as_json:
        print_json({"entries": [entry.model_dump(by_alias=True) for entry in entries]})
    elif entries:
        views.console().print(views.history_table(entries))
    else:
        _say(f"Nothing has happened to '{opened.model}' in {opened.store.uri('journal')} yet.")


def _open(
    registry: str | None,
    model_name: str | None,
    public_keys: list[str] | None = None,
    signing_key: str | None = None,
) -> "tuple[Registry, Settings]":
    import settings
    from registry import Keys, Registry

    loaded = settings.load()
    uri = registry if registry is not None else loaded.registry.uri
    keys = Keys.of(signing_key or loaded.signing.key, public_keys or loaded.signing.public_keys, uri)
    return Registry.open(uri, model_name or loaded.model.name, keys), loaded


def _where(registry: str | None, model_name: str | None) -> list[str]:
    """The flags that name the registry, for the commands that an error tells to call."""
    place = ["--registry", registry] if registry is not None else []
    return [*place, *(["--model-name", model_name] if model_name is not None else [])]


def _pods(flags: list[str] | None, settings: "Settings") -> "Pods":
    from promote.pods import Pods

    return Pods(flags or settings.serving.pods)


def _rollover(
    opened: "Registry", settings: "Settings", pods: list[str] | None, timeout: float | None, registry: str | None
) -> "Rollover":
    from promote.rollover import Rollover

    return Rollover(
        opened,
        _pods(pods, settings),
        settings.mail,
        timeout or settings.serving.rollover_timeout,
        place=_place(registry) if registry else settings.registry.uri,
        model=opened.model if opened.model != settings.model.name else "",
        say=_say,
    )


def _place(registry: str) -> str:
    from contracts import location

    return location.anchored(registry, Path.cwd())


def _carry_out(
    rollover: "Rollover",
    action: Any,
    version: int,
    shown: "ServingState",
    approver: str | None,
    reason: str,
    as_json: bool,
) -> None:
    from rich.markup import escape

    from promote import views
    from registry.journal import user

    console = progress_console()
    rollover.say = lambda line: console.print(line, markup=False, soft_wrap=True)
    if not console.is_terminal:
        rollover.waiting = _now_and_then(rollover.say)
        outcome = rollover.run(action, version, approver or user(), reason, shown)
    else:
        with console.status(f"version {version}") as spinner:
            rollover.waiting = lambda line: spinner.update(escape(line))
            outcome = rollover.run(action, version, approver or user(), reason, shown)
    if as_json:
        print_json(views.outcome_json(outcome))
    else:
        _tell(outcome)


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    """For a log: what is waited for, but not four times a second."""
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _LOG_SECONDS:
            say(f"waiting: {line}")
            told = time.monotonic()

    return tell


def _tell(outcome: "Outcome") -> None:
    before = f"; version {outcome.previous} stays loaded, as 'previous'" if outcome.previous else ""
    where = f" on {len(outcome.pods)} pod(s)" if outcome.pods else ""
    sys.stdout.write(f"Version {outcome.version} is in production{where}{before}.\n")
    if outcome.mail and outcome.mail.error:
        _say(f"The mail was not sent: {outcome.mail.error} It is in {outcome.mail.where or 'no place'}.")
    elif outcome.mail:
        _say(f"Mail: {outcome.mail.where}")


def _already(version: int, previous: int | None, action: Any, as_json: bool) -> None:
    from promote import views
    from promote.rollover import Outcome

    if as_json:
        print_json(views.outcome_json(Outcome(action, version, previous, already=True)))
    else:
        sys.stdout.write(f"Version {version} is in production already; nothing was changed.\n")


def _declined(as_json: bool) -> None:
    _say("Nothing was changed.")
    if as_json:
        print_json({"promoted": None})


def _agreed(question: str, must_ask: bool) -> bool:
    if not _has_terminal():
        if must_ask:
            raise UsageError(f"{question} There is no terminal to ask at; add --yes, or name the version.")
        return True
    return typer.confirm(question, err=True)


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _record_or_none(opened: "Registry", version: int | None) -> Any:
    from registry import UnknownVersion

    try:
        return opened.record(version) if version else None
    except UnknownVersion:  # a configuration made by hand may name what has no record
        return None


def _say(line: str) -> None:
    progress_console().print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(app)
