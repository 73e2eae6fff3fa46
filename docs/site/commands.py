"""The reference of all commands, from their --help."""

from collections.abc import Iterator
from importlib import import_module

import typer

# What a user types after ./pants run, and the module whose `app` that is.
COMMANDS = {
    "//:quickstart": "quickstart.__main__",
    "src/python/models": "models.__main__",
    "src/python/dataset": "curation.app",
    "src/python/training:train": "training.train",
    "src/python/training:retrain": "training.retrain",
    "src/python/testing:test_model": "testing.__main__",
    "src/python/promote": "promote.__main__",
    "serving/pod": "serving.pod.__main__",
    "serving/client": "serving.client.__main__",
    "serving/adapter": "serving.adapter.__main__",
    "serving/model_server": "",
    "src/python/pipeline": "pipeline.__main__",
    "src/python/registry": "registry.__main__",
    "src/python/monitoring:drift": "monitoring.drift",
}
_WIDTH = 90  # characters: a block of code on the site is as wide


def page() -> str:
    """All commands with all their verbs, in MyST."""
    parts = [
        "# Commands\n\nWhat `--help` says, made from it. Exit codes and Trainyard's version end each of them.\n",
        *(_section(target, module) for target, module in COMMANDS.items()),
    ]
    return "\n".join(parts)


def helps(target: str, module: str) -> Iterator[tuple[str, str]]:
    """Each call of a command, and what it says with --help."""
    call = f"./pants run {target} --"
    if not module:
        from serving.model_server import flags

        parser = flags.parser()
        parser.prog = call
        yield call, parser.format_help()
        return
    from cli.app import document

    app = import_module(module).app
    document(app)
    yield from _of(typer.main.get_command(app), call)


def _of(command: typer.core.TyperCommand | typer.core.TyperGroup, call: str) -> Iterator[tuple[str, str]]:
    context = typer.Context(command, info_name=call, terminal_width=_WIDTH, max_content_width=_WIDTH)
    yield call, command.get_help(context)
    for name, verb in getattr(command, "commands", {}).items():
        yield from _of(verb, f"{call} {name}")


def _section(target: str, module: str) -> str:
    texts = list(helps(target, module))
    parts = [f"## {target.rpartition(':')[2].rpartition('/')[2]}\n"]
    for number, (call, text) in enumerate(texts):
        if number:
            parts.append(f"### {call.partition(' -- ')[2]}\n")
        parts.append(f"```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)
