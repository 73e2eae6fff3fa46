"""`promote run`: a tested version goes into production."""

import shlex
from typing import Annotated

import typer

from cli import print_json, progress_console, version_number
from promote.commands import changing, options
from promote.commands.yard import opened, say


def run(
    version: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the newest tested one, after a question."),
    ] = None,
    yes: options.Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show everything, change nothing.")] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Also a version of a run that left out the checks (`--no-check`).")
    ] = False,
    approver: options.Approver = None,
    reason: options.Reason = "",
    pod: options.Pod = None,
    timeout: options.Timeout = None,
    public_key: options.PublicKey = None,
    registry: options.Registry = None,
    model: options.Model = None,
    as_json: options.AsJson = False,
) -> None:
    """Take a tested version into production."""
    from promote import admission, choice, views

    yard = opened(registry, model, public_key)
    rollover = changing.rollover(yard, pod, timeout, unchecked)
    if not dry_run:
        rollover.prepare()
    record = yard.registry.record(version) if version is not None else choice.newest_tested(yard.registry, yard.flags)
    serving = yard.registry.serving()
    if serving.stable == record.version:
        changing.already(record.version, serving.previous, "promote", as_json)
        return
    choice.check(record, "promote", yard.flags, unchecked)
    production = changing.record_or_none(yard.registry, serving.stable)
    progress_console().print(views.comparison(record, production))
    if dry_run:
        admission.check(yard.registry, record)
        say(f"Version {record.version} can be promoted; nothing was changed.")
        if as_json:
            addresses = rollover.pods.addresses()
            plan = {"promoted": None, "candidate": record.version, "previous": serving.stable, "pods": addresses}
            print_json(plan | {"dry_run": True})
        return
    question = f"Promote version {record.version}?"
    if version is None and not yes and not changing.agreed(question, must_ask=True):
        changing.declined(as_json)
        return
    changing.carry_out(rollover, "promote", record.version, serving, approver, reason, as_json)
    if not rollover.pods:
        say(f"Next, serve it: {shlex.join(['./pants', 'run', 'serving/pod', '--', *yard.flags])}")
