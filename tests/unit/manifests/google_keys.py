"""Writes google_keys.yaml: keys that Google's Terraform provider and its Gateway's resources take, of npm's packages.

    npm pack @cdktf/provider-google@16.12.1 @kubernetes-models/gke@4.6.2 @kubernetes-models/gateway-api@2.0.0
    python tests/unit/manifests/google_keys.py FOLDER

FOLDER holds the three unpacked, as `provider-google`, `gke` and `gateway-api`: each was made by its authors from the
provider's or the resources' own schemas. A key is a name, with `!` where it must be there, and what may stand in it:
keys again, the words that are known, or nothing where anything goes.
"""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
TERRAFORM = HERE.parents[2] / "infra" / "terraform"
KINDS = {
    "HealthCheckPolicy": "gke/networking.gke.io/v1",
    "GCPBackendPolicy": "gke/networking.gke.io/v1",
    "Gateway": "gateway-api/gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway-api/gateway.networking.k8s.io/v1",
}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\w$.]+|[{}\[\]()|&;:?<>,]')


def main(folder: Path) -> None:
    text = "\n".join(path.read_text() for path in TERRAFORM.glob("*.tf"))
    used = sorted(set(re.findall(r'^resource "google_(\w+)"', text, re.M)))
    terraform = {f"google_{name}": _resource(folder / "provider-google/lib", name) for name in used}
    kinds = {kind: _Interfaces(folder / place).keys(f"I{kind}") for kind, place in KINDS.items()}
    head = "# Made by google_keys.py of npm's packages; not written by hand.\n"
    made = {"kinds": kinds, "terraform": terraform}
    (HERE / "google_keys.yaml").write_text(head + yaml.safe_dump(made, sort_keys=True, width=120))


def _resource(lib: Path, name: str) -> dict[str, Any]:
    """The attributes and blocks of a resource of Terraform."""
    text = _plain((lib / name.replace("_", "-") / "index.d.ts").read_text())
    found = dict(re.findall(r"export interface (\w+)[^{]*\{(.*?)\n\}", text, re.S))
    root = next(
        one for one in found if one.endswith("Config") and not any(o != one and one.startswith(o) for o in found)
    )

    def keys(interface: str) -> dict[str, Any]:
        members = re.findall(r"readonly (\w+)(\?)?: ([^;]+);", found[interface])
        inner = {name: next((t for t in re.findall(r"\w+", of) if t in found), None) for name, _, of in members}
        return {
            _snake(name) + ("" if optional else "!"): keys(inner[name] or "") if inner[name] else None
            for name, optional, _ in members
        }

    return keys(root)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plain(text: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


class _Interfaces:
    """The interfaces and other names of types in a folder."""

    def __init__(self, folder: Path) -> None:
        text = "\n".join(_plain(path.read_text()) for path in sorted(folder.glob("*.d.ts")))
        self.named = {
            name: _TOKEN.findall(text[at:])
            for name, at in (
                (m[1], m.end()) for m in re.finditer(r"export (?:interface|type) (\w+)[^{=]*?(?=\{|=)=?", text)
            )
        }

    def keys(self, name: str) -> Any:
        rest = list(self.named[name])
        return self._members(rest[1:]) if rest[0] == "{" else self._type(rest)

    def _type(self, rest: list[str]) -> Any:
        """What stands before the next `;` or `,` that is of no inner type; takes it off `rest`."""
        alternatives: list[Any] = []
        while rest and rest[0] not in (";", ",", ")", ">", "}"):
            token = rest.pop(0)
            if token == "{":
                alternatives.append(self._members(rest))
            elif token == "(":
                alternatives.append(self._type(rest))
                rest.pop(0)
            elif token in ("Array", "Record"):
                rest.pop(0)
                inner = self._type(rest)
                while rest[0] == ",":
                    rest.pop(0)
                    self._type(rest)
                    inner = None  # a Record, of any keys
                rest.pop(0)
                alternatives.append(inner)
            elif token.startswith('"'):
                alternatives.append([token.strip('"')])
            elif token in self.named:
                alternatives.append(self.keys(token))
            elif re.match(r"\w", token):
                alternatives.append(None)
        if alternatives and all(isinstance(one, list) for one in alternatives):
            return [word for one in alternatives for word in one]
        return next((one for one in alternatives if isinstance(one, dict)), None)

    def _members(self, rest: list[str]) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        while rest[0] != "}":
            name = rest.pop(0)
            if name == "[":  # any key
                while rest.pop(0) != "]":
                    pass
                name = ""
            must = "!"
            if rest[0] == "?":
                must = ""
                rest.pop(0)
            rest.pop(0)  # the colon
            of = self._type(rest)
            if name and name.strip('"') not in ("metadata", "status"):
                found[name.strip('"') + must] = of
            if rest[0] == ";":
                rest.pop(0)
        rest.pop(0)
        return found or None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
