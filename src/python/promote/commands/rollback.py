"""`promote rollback`: back to a version that was in production before."""

from typing import Annotated

import typer

from cli import version_number
from promote.commands import changing, options
from promote.commands.yard import opened


def rollback(
    to: Annotated[
        int | None,
        typer.Option(parser=version_number, metavar="N", help="Default: the version that was in production before."),
    ] = None,
    yes: options.Yes = False,
    approver: options.Approver = None,
    reason: options.Reason = "",
    pod: options.Pod = None,
    timeout: options.Timeout = None,
    public_key: options.PublicKey = None,
    registry: options.Registry = None,
    model: options.Model = None,
    as_json: options.AsJson = False,
) -> None:
    """Go back to a version that was in production before."""
    from promote import choice

    yard = opened(registry, model, public_key)
    rollover = changing.rollover(yard, pod, timeout)
    rollover.prepare()
    serving = yard.registry.serving()
    target = to if to is not None else choice.before_current(yard.registry, yard.flags)
    if serving.stable == target:
        changing.already(target, serving.previous, "rollback", as_json)
        return
    choice.check(yard.registry.record(target), "rollback", yard.flags)
    question = f"Go back from version {serving.stable} to {target}?"
    # No terminal, no question: going back is what a script does when something is wrong.
    if to is None and not yes and not changing.agreed(question, must_ask=False):
        changing.declined(as_json)
        return
    changing.carry_out(rollover, "rollback", target, serving, approver, reason, as_json)
