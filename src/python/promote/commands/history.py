"""`promote history`: who did what when, and what was in production at a time."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import UsageError, print_json
from promote.commands import options
from promote.commands.yard import opened, say


def history(
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Just what was in production then, as 2026-11-25T14:30Z.")
    ] = None,
    registry: options.Registry = None,
    model: options.Model = None,
    as_json: options.AsJson = False,
) -> None:
    """Who did what to which version, when, why and from where, oldest first; or what was in production at a time."""
    from promote import views
    from promote.history import at as in_production_at
    from promote.history import parse_time

    versions = opened(registry, model).registry
    then = parse_time(at) if at is not None else None
    if then is not None and then > datetime.now(UTC):
        raise UsageError(f"{at} has not come yet; name a time that has passed, in UTC or with its offset.")
    entries = versions.journal.entries()
    if then is not None:
        period = in_production_at(entries, then)
        if as_json:
            print_json(views.period_json(period, then))
        else:
            sys.stdout.write(views.period_text(period, then, versions.model) + "\n")
    elif as_json:
        print_json({"entries": [entry.model_dump(by_alias=True) for entry in entries]})
    elif entries:
        views.console().print(views.history_table(entries))
    else:
        say(f"Nothing has happened to '{versions.model}' in {versions.store.uri('journal')} yet.")
