"""What `./pants run TARGET` may name, read from the BUILD files: Pants' own errors do not name the way out."""

import builtins
import contextlib
import difflib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Programs there that are no commands: tools of the build, parts of images, tests.
_ASIDE = {"3rdparty", "dist", "infra", "src/proto", "tests"}
HELP = {"-h", "--help", "--help-advanced"}


def arranged(arguments: list[str], root: Path = Path()) -> list[str]:
    """What Pants gets for `arguments`.

    Raises:
        SystemExit: 2, after one sentence, where `run` names no program.
    """
    split = arguments.index("--") if "--" in arguments else len(arguments)
    goal, *targets = [word for word in arguments[:split] if not word.startswith("-")] or [""]
    # What the program was meant to get, where `--` was forgotten: flags too.
    meant = arguments[arguments.index(targets[0]) + 1 : split] if targets else []
    if goal != "run" or not HELP.isdisjoint(arguments[:split]):
        return arguments
    problem = None
    with contextlib.suppress(Exception):  # a broken BUILD file, say: Pants tells
        problem = _problem(targets, meant, root)
    if problem:
        sys.stderr.write(f"error: {problem}\n")
        raise SystemExit(2)
    # `run FOLDER` means the folder's program. Pants would take each source file beside it for just as runnable.
    return ["--filter-target-type=pex_binary", *arguments] if (root / targets[0]).is_dir() else arguments


def _problem(targets: list[str], meant: list[str], root: Path) -> str | None:
    if not targets:
        return f"name what to run.{_listed(root)}"
    target, *more = targets
    if any(mark in target for mark in ("*", "::", "#", "@")):
        return None  # a pattern, or a part of a target
    if more:
        return f"arguments of the program come after `--`: ./pants run {target} -- {shlex.join(meant)}"
    path, colon, name = target.removeprefix("//").partition(":")
    path = path.rstrip("/")
    if (root / path).is_file():
        return None
    if not (root / path).is_dir():
        return f"there is no {path}.{_likely(target, root)}"
    names = _names(root / path)
    programs = [each for each, kind in names.items() if kind == "pex_binary"]
    if colon:
        # What a BUILD file makes of other kinds is for Pants to judge.
        return None if name in names else f"{path or 'the root'} has no target `{name}`.{_likely(target, root)}"
    if len(programs) == 1:
        return None
    if programs:
        return f"{path} holds more than one program; name one: {', '.join(_call(path, each) for each in programs)}."
    return f"{path or 'the root'} holds no program.{_likely(target, root)}"


def _call(path: str, name: str) -> str:
    alone = os.path.basename(path) == name
    return f"./pants run {path or '//'}" + ("" if alone else f":{name}")


def _likely(target: str, root: Path) -> str:
    calls = {call.rpartition(" ")[2]: call for call in _calls(root)}
    close = difflib.get_close_matches(target, calls, n=1, cutoff=0.8)
    return f" Did you mean {calls[close[0]]}?" if close else _listed(root)


def _listed(root: Path) -> str:
    # The many benchmarks in one line, and last.
    lines: dict[str, list[str]] = {}
    for call in _calls(root):
        lines.setdefault(call.partition(":")[0] if "benchmarks:" in call else call, []).append(call.rpartition(":")[2])
    shown = [
        f"{call}:NAME, where NAME is {', '.join(names)}" if len(names) > 1 else call for call, names in lines.items()
    ]
    return "".join([" The programs are:", *(f"\n  {line}" for line in sorted(shown, key=len))])


def _calls(root: Path) -> Iterator[str]:
    for folder, inner, files in os.walk(root):
        path = Path(folder).relative_to(root).as_posix().removeprefix(".")
        inner[:] = sorted(name for name in inner if name[0] not in "._" and f"{path}/{name}".lstrip("/") not in _ASIDE)
        if "BUILD" in files:
            programs = [name for name, kind in _names(Path(folder)).items() if kind == "pex_binary"]
            # Where one of several has the folder's name, the folder alone does not say which is meant.
            yield from (_call(path, name) for name in programs)


def _names(folder: Path) -> dict[str, str]:
    """The targets that a folder's BUILD files declare, each with its kind."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("BUILD*")):
        if file.is_file():
            exec(compile(file.read_text(), str(file), "exec"), _Declarations(folder.resolve().name, found))
    return found


class _Declarations(dict):  # type: ignore[type-arg]
    """The names that a BUILD file may use: any is a kind of target, and calling it declares one."""

    def __init__(self, folder: str, found: dict[str, str]) -> None:
        super().__init__()
        self._folder, self._found = folder, found

    def __missing__(self, kind: str) -> Callable[..., object]:
        if hasattr(builtins, kind):
            return getattr(builtins, kind)  # type: ignore[no-any-return]

        def declare(*arguments: object, name: str = self._folder, **fields: object) -> str:
            if not arguments:  # as of parametrize()
                self._found[str(name)] = kind
            return ""

        return declare
