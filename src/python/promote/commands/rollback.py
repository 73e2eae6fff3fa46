"""`promote rollback`: back to a version that was in production before."""

from typing import Annotated

import typer

from cli import version_number
from cli.flags import with_flags
from promote.commands import changing, options
from promote.commands.yard import opened


@with_flags
def rollback(
    *,
    to: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the version that was in production before."),
    ] = None,
    flags: options.Changing,
) -> None:
    """Go back to a version that was in production before."""
    from promote import choice

    yard = opened(flags.registry, flags.model, flags.public_key, concerned=["mail"])
    rollover = changing.rollover(yard, flags.pod, flags.timeout)
    rollover.prepare()
    serving = yard.registry.serving()
    target = to if to is not None else choice.before_current(yard.registry, yard.flags)
    if serving.stable == target:
        changing.already(target, serving.previous, "rollback", flags.as_json)
        return
    choice.check(yard.registry.record(target), "rollback", yard.flags)
    question = f"Go back from version {serving.stable} to {target}?"
    # No terminal, no question: going back is what a script does when something is wrong.
    if to is None and not flags.yes and not changing.agreed(question, must_ask=False):
        changing.declined(flags.as_json)
        return
    changing.carry_out(rollover, "rollback", target, serving, flags.approver, flags.reason, flags.as_json)
