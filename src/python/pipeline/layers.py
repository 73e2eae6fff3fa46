"""What Pants says of an import that it can't allow, as a sentence about the file. Also a program, of scripts/layers.

Two kinds: an import against the layers in src/python/BUILD, and one of something that a resolve of the importing file
does not hold; what is lower in the house is in more resolves, so an import of a higher part may end as either.
"""

import re
import sys

_DENIED = re.compile(r"^ +\S+ (?P<file>\S+?):\S+ -> \S+ (?P<other>\S+)$", re.MULTILINE)
_UNOWNED = re.compile(
    r"imports in the target (?P<file>\S+?):\S+?(?:@resolve=(?P<resolve>\S+?))?:\n(?P<rest>.*)", re.DOTALL
)
_IMPORT = re.compile(r"^ +\* (?P<module>\S+) \(line: (?P<line>\d+)\)$", re.MULTILINE)
_OF_FILE = re.compile(r"(?<=\.py):.*")
_AGAINST = "against the layers in src/python/BUILD"
_WAY_OUT = "remove the import, or move what it needs to a lower layer"
_PACKAGE = "a package of PyPI is added to 3rdparty/python/{resolve}.txt"
_OF_MODEL = re.compile(r"models/[^/]+/(?P<tests>tests/)?")


def sentences(said: str) -> list[str]:
    """One for each import that Pants names as not allowed; none where it failed for another reason."""
    found = [
        f"{match['file']} imports {_OF_FILE.sub('', match['other'])}, {_AGAINST}; {_WAY_OUT}."
        for match in _DENIED.finditer(said)
        if "DependencyRuleActionDeniedError" in said
    ]
    for target in _UNOWNED.finditer(said):
        resolve = target["resolve"] or "ml"
        package = _PACKAGE.format(resolve=resolve)
        for one in _IMPORT.finditer(target["rest"]):
            where = f"{target['file']} (line {one['line']}) imports {one['module']}, which"
            top = one["module"].partition(".")[0]
            if of_model := _OF_MODEL.match(target["file"]):
                beside = f"what stands beside it is imported by `from . import {top}`"
                if of_model["tests"]:
                    beside = "what tests share are fixtures of a conftest.py beside them"
                found.append(f"{where} nothing provides; {beside}, and {package}.")
            else:
                found.append(f"{where} the resolve '{resolve}' of that file does not hold; {_WAY_OUT}; {package}.")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    text = sys.stdin.read()
    for sentence in sentences(text):
        sys.stderr.write(f"error: {sentence}\n")
    sys.exit(2 if sentences(text) else 6)
