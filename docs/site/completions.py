"""All commands, verbs and flags, a line each, for scripts/completion: `./pants run docs/site:completions`."""

import sys
from collections.abc import Iterator
from importlib import import_module

import typer

from docs.site.commands import COMMANDS


def lines() -> Iterator[str]:
    """TARGET, tab, verbs so far, tab, what may follow; the targets themselves stand in a line without a target."""
    yield "\t\t" + " ".join(COMMANDS)
    for target, module in COMMANDS.items():
        if module:
            yield from _of(typer.main.get_command(import_module(module).app), target, [])
        else:
            from serving.model_server import flags

            yield f"{target}\t\t" + " ".join(sorted(flags.parser()._option_string_actions))


def _of(command: object, target: str, verbs: list[str]) -> Iterator[str]:
    below = getattr(command, "commands", {})
    options = [
        option
        for parameter in getattr(command, "params", [])
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    ]
    yield f"{target}\t{' '.join(verbs)}\t" + " ".join([*below, *sorted({*options, "--help"})])
    for name, verb in below.items():
        yield from _of(verb, target, [*verbs, name])


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
