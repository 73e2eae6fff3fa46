"""`promote run`: a tested version goes into production."""

import shlex
from typing import Annotated

import typer

from cli import print_json, progress_console, version_number
from cli.flags import with_flags
from promote.commands import changing, options
from promote.commands.yard import opened, say


@with_flags
def run(
    *,
    version: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the newest tested one, after a question."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show everything, change nothing.")] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Also a version of a run that left out the checks (`--no-check`).")
    ] = False,
    flags: options.Changing,
) -> None:
    """Take a tested version into production."""
    from promote import admission, choice, views

    yard = opened(flags.registry, flags.model, flags.public_key, concerned=["mail"])
    rollover = changing.rollover(yard, flags.pod, flags.timeout, unchecked)
    if not dry_run:
        rollover.prepare()
    record = yard.registry.record(version) if version is not None else choice.newest_tested(yard.registry, yard.flags)
    serving = yard.registry.serving()
    if serving.stable == record.version:
        changing.already(record.version, serving.previous, "promote", flags.as_json)
        return
    choice.check(record, "promote", yard.flags, unchecked)
    production = changing.record_or_none(yard.registry, serving.stable)
    progress_console().print(views.comparison(record, production))
    if dry_run:
        admission.check(yard.registry, record)
        say(f"Version {record.version} can be promoted; nothing was changed.")
        if flags.as_json:
            addresses = rollover.pods.addresses()
            plan = {"promoted": None, "candidate": record.version, "previous": serving.stable, "pods": addresses}
            print_json(plan | {"dry_run": True})
        return
    question = f"Promote version {record.version}?"
    if version is None and not flags.yes and not changing.agreed(question, must_ask=True):
        changing.declined(flags.as_json)
        return
    changing.carry_out(rollover, "promote", record.version, serving, flags.approver, flags.reason, flags.as_json)
    if not rollover.pods:
        flags_of_pod = ["--", *yard.flags] if yard.flags else []
        say(f"Next, serve it: {shlex.join(['./pants', 'run', 'serving/pod', *flags_of_pod])}")
