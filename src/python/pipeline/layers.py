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


def sentences(said: str) -> list[str]:
    """One for each import that Pants names as not allowed; none where it failed for another reason."""
    found = [
        f"{match['file']} imports {_OF_FILE.sub('', match['other'])}, {_AGAINST}; {_WAY_OUT}."
        for match in _DENIED.finditer(said)
        if "DependencyRuleActionDeniedError" in said
    ]
    for target in _UNOWNED.finditer(said):
        for one in _IMPORT.finditer(target["rest"]):
            where = f"{target['file']} (line {one['line']}) imports {one['module']}"
            found.append(
                f"{where}, which the resolve '{target['resolve'] or 'ml'}' of that file does not hold; {_WAY_OUT}."
            )
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    text = sys.stdin.read()
    for sentence in sentences(text):
        sys.stderr.write(f"error: {sentence}\n")
    sys.exit(2 if sentences(text) else 6)
