"""Every call of a program that a page shows names a program, verbs and flags that there are."""

import re
import shlex
from pathlib import Path

from docs.site import completions

ROOT = next(root for root in (Path.cwd(), *Path(__file__).parents) if (root / "README.md").is_file())
_CALL = re.compile(r"\./pants run (?P<target>\S+)(?: -- (?P<rest>[^\n`]*))?")
# What stands for any program.
_NO_PROGRAM = ("…", "FOLDER")
# What ends the arguments of a call in a shell's line.
_NEXT = {"&", "&&", "||", "|", ";", ">", "2>", ")"}


def known():
    """{target: {verbs: what may follow}}."""
    programs = {}
    for line in completions.lines():
        target, verbs, follow = line.split("\t")
        programs.setdefault(target, {})[tuple(verbs.split())] = set(follow.split())
    return programs


def calls(text):
    for call in _CALL.finditer(text.replace("\\\n", " ")):
        yield call["target"].strip("`.,;:)"), words(call["rest"] or "")


def words(rest):
    """The arguments of one call, as a shell takes them apart; a text that it would not take is split at its blanks."""
    try:
        parts = shlex.split(rest, comments=True)
    except ValueError:
        parts = rest.split()
    end = next((number for number, part in enumerate(parts) if part in _NEXT), len(parts))
    return parts[:end]


def faults(target, arguments, programs):
    """What of a call there is not."""
    if target in _NO_PROGRAM:
        return []
    if target not in programs:
        if target.startswith(("benchmarks:", "docs/site:", "3rdparty/python:")):
            return []
        return [f"no program {target}"]
    verbs, follow = (), programs[target][()]
    while arguments and arguments[0] in follow and not arguments[0].startswith("-"):
        verbs, arguments = (*verbs, arguments[0]), arguments[1:]
        follow = programs[target][verbs]
    flags = [word.partition("=")[0].strip("`.,;:()") for word in arguments if word.startswith("--") and len(word) > 2]
    return [f"{target} {' '.join(verbs)} has no {flag}" for flag in flags if flag not in follow]


def pages():
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "datasets").glob("*.md")]


def test_every_call_on_a_page_is_one_that_there_is():
    programs, found, shown = known(), [], 0
    for page in pages():
        for target, arguments in calls(page.read_text("utf-8")):
            shown += 1
            found += [f"{page.relative_to(ROOT)}: {fault}" for fault in faults(target, arguments, programs)]
    assert shown > 100
    assert found == []


def test_a_verb_or_flag_that_is_not_there_is_found():
    programs = known()
    shown = {
        "./pants run src/python/dataset -- import a.zip --too ./b": ["src/python/dataset import has no --too"],
        "`./pants run src/python/promote -- run --version 4 --yes`, `--no`": [],
        "./pants run src/python/pipeline -- runs resume KEY --since X": [
            "src/python/pipeline runs resume has no --since"
        ],
        "./pants run src/python/nothing -- --x": ["no program src/python/nothing"],
        "./pants run serving/pod -- --model leaves & # --nothing": [],
        "./pants run serving/client -- \\\n  classify a.png --vait 3": ["serving/client classify has no --vait"],
    }
    for text, wanted in shown.items():
        assert [fault for call in calls(text) for fault in faults(*call, programs)] == wanted
