"""Runs a Typer application the way every Trainyard command behaves."""

import io
import json
import os
import re
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from cli.call import program_name
from cli.errors import EXIT_CODES, Exit, HeldError, TrainyardError
from cli.processor import guard_tensorflow
from cli.version import VERSION

if TYPE_CHECKING:
    from rich.console import Console

_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_EPILOG = "Exit codes: " + " · ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_CODES.items())
_EPILOG += f"\n\nTrainyard {VERSION}"


def command_line(name: str, summary: str, examples: list[str]) -> typer.Typer:
    """An empty Typer application whose --help shows `summary`, `examples`, the exit codes and Trainyard's version."""
    # A paragraph that begins with a backspace character is shown line by line.
    text = summary + "\n\n\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
    return typer.Typer(
        name=name, help=text, epilog=_EPILOG, no_args_is_help=False, add_completion=False, rich_markup_mode=None
    )


def version_number(text: str) -> int:
    """A version as it was typed; what int() would take for one as well, such as 01, +1 or １, is refused."""
    if not _VERSION.fullmatch(str(text)):
        raise typer.BadParameter(f"{text!r} is not a version; versions are whole numbers from 1 up.")
    return int(text)


def progress_console() -> "Console":
    """Where progress and messages go: stderr, so that stdout holds results alone."""
    # Imported here: the adapter shows no progress, so its image can leave Rich out.
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(result: Any) -> None:
    """Writes a result as the last line of stdout."""
    # Escaped, so that any terminal's encoding can take it, and file names that are no UTF-8 too.
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def run(app: typer.Typer) -> NoReturn:
    """Runs `app` and leaves with an exit code of the table; an error is one sentence on stderr."""
    document(app)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminated)
    guard_tensorflow()
    try:
        app(prog_name=program_name(str(app.info.help)))
    except HeldError as error:
        sys.stderr.write(f"error: {error}\n")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(error.exit_code)
    except TrainyardError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("Interrupted.", 128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader went away (`| head`): not an error of ours; keep the interpreter from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except Exception:
        traceback.print_exc()
        _fail("This is a bug in Trainyard; please report it with the lines above.", Exit.BUG)
    sys.exit(Exit.OK)


def _terminated(*_: object) -> NoReturn:
    """A terminated command cleans up like an interrupted one."""
    # Once: who ends all processes of a job, and ./pants too, ask the same process twice.
    signal.signal(signal.SIGTERM, lambda *_: None)
    sys.exit(128 + signal.SIGTERM)


def document(app: typer.Typer) -> None:
    """Gives every verb what --help ends with; an application of a single verb shows that verb's help as its own."""
    for command in app.registered_commands:
        command.epilog = _EPILOG
        if len(app.registered_commands) == 1 and app.registered_callback is None:
            command.help = app.info.help
    for group in app.registered_groups:
        if group.typer_instance:
            document(group.typer_instance)


def _fail(message: str, code: int) -> NoReturn:
    # Not through Rich: it would wrap the sentence and take [brackets] for markup.
    sys.stderr.write(f"error: {message}\n")
    sys.exit(code)
