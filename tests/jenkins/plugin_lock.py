"""Writes the locked list of Jenkins' plugins: what plugins.txt asks for, and all that these need, from their own poms.

    python tests/jenkins/plugin_lock.py FOLDER

writes infra/jenkins/controller/plugins.lock, which the image installs, and plugin_needs.yaml, by which a test holds it
to what each plugin needs. FOLDER holds clones of github.com/jenkinsci/NAME as NAME, `bom` among them: Jenkins' own
table of plugins that were tested together, whose version plugins.txt names. Each plugin is read at its own version, and
needs what its pom names without `optional` or `test`, at least in the version that is said there or in the table that
it names itself. What is not asked for by version is locked at that of Jenkins' table, or a newer one, where a plugin
needs that.
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

NEEDS = Path(__file__).parent / "plugin_needs.yaml"
CONTROLLER = Path(__file__).parents[2] / "infra" / "jenkins" / "controller"
# Plugins whose repository is not called NAME-plugin.
REPOSITORIES = {
    "ssh-slaves": "ssh-agents-plugin",
    "pipeline-model-api": "pipeline-model-definition-plugin",
    "pipeline-model-extensions": "pipeline-model-definition-plugin",
    "pipeline-stage-tags-metadata": "pipeline-model-definition-plugin",
    "mina-sshd-api-common": "mina-sshd-api-plugin",
    "mina-sshd-api-core": "mina-sshd-api-plugin",
}
# Parents of plugins in a repository of their own. That of most (`plugin`) names no plugin that one needs.
_PARENTS = {"analysis-pom": "analysis-pom-plugin"}
# Groups of Maven in which plugins are published, and what else is: a library, that comes inside of a plugin.
_GROUPS = re.compile(
    r"(org\.jenkins-ci\.plugins|io\.jenkins\.plugins|org\.jenkinsci\.plugins|org\.csanchez\.jenkins)(\.|$)"
)
_LIBRARIES = {"lib-durable-task"}
_NS = {"m": "http://maven.apache.org/POM/4.0.0"}


@dataclass
class Pom:
    """What a pom and those above it in the same repository say."""

    properties: dict[str, str] = field(default_factory=dict)
    managed: dict[str, str] = field(default_factory=dict)
    imported: list[tuple[str, str]] = field(default_factory=list)
    needs: dict[str, tuple[str | None, bool]] = field(default_factory=dict)

    def filled(self, text: str) -> str:
        for _ in range(5):
            text = re.sub(r"\$\{([\w.-]+)\}", lambda match: self.properties.get(match[1], match[0]), text)
        return text


class Sources:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.absent: set[str] = set()

    def about(self, plugin: str, version: str) -> dict[str, Any]:
        """Its version, where it was read, the oldest Jenkins, the plugins that it needs and those that it may take."""
        repository = REPOSITORIES.get(plugin, f"{plugin}-plugin")
        clone = self.folder / repository
        if not clone.exists():
            self.absent.add(repository)
            return {"needs": {}, "takes": {}}
        at = _at(clone, plugin, version)
        pom = self._pom(clone, at, self._place(clone, at, plugin))
        pom.properties["project.version"] = version  # of what comes from the same repository
        managed = {name: pom.filled(least) for name, least in pom.managed.items()}
        for name, of in pom.imported:
            for one, least in _table(self.folder / "bom", name, of).items():
                managed.setdefault(one, least)
        found: dict[str, Any] = {"needs": {}, "takes": {}}
        for name, (least, optional) in pom.needs.items():
            value = pom.filled(least) if least else managed.get(name)
            if value is None or "$" in value:
                raise SystemExit(f"{plugin} {version} needs {name} in a version that can't be read: {value}")
            found["takes" if optional else "needs"][name] = value
        read = version if at != "HEAD" else _git(clone, "log", "-1", "--format=another commit, of %cs").strip()
        return found | {"version": version, "jenkins": pom.filled(pom.properties["jenkins.version"]), "read": read}

    def _place(self, clone: Path, at: str, plugin: str) -> str:
        """The pom of the plugin itself, among those of its repository."""
        poms = [p for p in _git(clone, "ls-tree", "-r", "--name-only", at).splitlines()
                if re.search(r"(^|/)pom\.xml$", p) and "/test/" not in p and "/resources/" not in p]  # fmt: skip
        for path in sorted(poms, key=len):
            root = ET.fromstring(_git(clone, "show", f"{at}:{path}"))
            if (
                root.findtext("m:packaging", "", _NS) in ("hpi", "jpi")
                and root.findtext("m:artifactId", "", _NS) == plugin
            ):
                return path
        raise SystemExit(f"{clone.name} at {at} has no pom of {plugin}")

    def _pom(self, clone: Path, at: str, path: str) -> Pom:
        root = ET.fromstring(_git(clone, "show", f"{at}:{path}"))
        above = path.rpartition("/")[0].rpartition("/")[0]
        pom = Pom()
        outer = root.findtext("m:parent/m:artifactId", "", _NS)
        if outer in _PARENTS:
            parent = self.folder / _PARENTS[outer]
            pom = self._pom(parent, _at(parent, outer, root.findtext("m:parent/m:version", "", _NS)), "pom.xml")
        elif "/" in path and root.findtext("m:parent/m:relativePath", "../pom.xml", _NS) != "":
            pom = self._pom(clone, at, f"{above}/pom.xml".lstrip("/"))
        for one in root.findall("m:properties/*", _NS):
            pom.properties[one.tag.rpartition("}")[2]] = (one.text or "").strip()
        for one in root.findall("m:dependencyManagement/m:dependencies/m:dependency", _NS):
            name, version = one.findtext("m:artifactId", "", _NS), one.findtext("m:version", "", _NS)
            if one.findtext("m:scope", "", _NS) == "import":
                if one.findtext("m:groupId", "", _NS) == "io.jenkins.tools.bom":
                    pom.imported.append((pom.filled(name), pom.filled(version)))
            elif _plugin(one):
                pom.managed[name] = version
        for one in root.findall("m:dependencies/m:dependency", _NS):
            if _plugin(one) and one.findtext("m:scope", "compile", _NS) not in ("test", "provided"):
                optional = one.findtext("m:optional", "", _NS) == "true"
                pom.needs[one.findtext("m:artifactId", "", _NS)] = (one.findtext("m:version", None, _NS), optional)
        return pom


def _plugin(dependency: ET.Element) -> bool:
    """Whether a dependency is a plugin: in a group of theirs, and no part of one (a test jar, a library)."""
    group, name = dependency.findtext("m:groupId", "", _NS), dependency.findtext("m:artifactId", "", _NS)
    part = dependency.findtext("m:classifier", "", _NS)
    return bool(_GROUPS.match(group)) and not part and name not in _LIBRARIES


@cache
def _table(clone: Path, name: str, version: str) -> dict[str, str]:
    """A table of `bom`: plugin -> version."""
    at = _at(clone, "bom", version)
    root = ET.fromstring(_git(clone, "show", f"{at}:{name}/pom.xml"))
    properties = {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in root.findall("m:properties/*", _NS)}
    found: dict[str, str] = {}
    more = []
    for one in root.findall("m:dependencyManagement/m:dependencies/m:dependency", _NS):
        artifact, least = one.findtext("m:artifactId", "", _NS), one.findtext("m:version", "", _NS)
        if one.findtext("m:scope", "", _NS) == "import":
            more += [artifact] if artifact.startswith("bom-") else []  # the one of the next Jenkins
        elif one.findtext("m:type", "jar", _NS) != "pom":
            found.setdefault(artifact, re.sub(r"\$\{([\w.-]+)\}", lambda m: properties.get(m[1], m[0]), least))
    for other in more:
        for artifact, least in _table(clone, other, version).items():
            found.setdefault(artifact, least)
    return found


@cache
def _at(clone: Path, plugin: str, version: str) -> str:
    """The commit of a version: its tag, or the one whose hash the version ends with."""
    names = [version, f"{plugin}-{version}", f"v{version}", f"{clone.name.removesuffix('-plugin')}-{version}"]
    tags = set(_git(clone, "tag").splitlines())
    for name in names:
        if name in tags:
            return f"refs/tags/{name}"
    hashed = re.search(r"\.v([0-9a-f_]{12,})$", version)
    if hashed and _has(clone, hashed[1].replace("_", "")):
        return hashed[1].replace("_", "")
    return "HEAD"  # not in the copy at hand: its newest commit is the best that can be read


def order(version: str) -> list[tuple[int, int | str]]:
    """To compare versions by, as Jenkins does (hudson.util.VersionNumber): number by number, words before numbers."""
    parts = re.split(r"[.\-_]", version)
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]


def asked(text: str) -> dict[str, str]:
    """Plugin -> version of a list."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return dict(line.split()[0].split(":", 1) for line in lines if line)


def resolve(wanted: dict[str, str], tested: dict[str, str], sources: Sources) -> dict[str, Any]:
    """plugin -> what is known of it, for the whole set: gone over until nothing changes any more."""
    chosen = dict(wanted)
    while True:
        known = {plugin: sources.about(plugin, version) for plugin, version in chosen.items()}
        least = dict(wanted)
        for of in known.values():
            for name in of["needs"]:
                least.setdefault(name, tested.get(name, ""))
        for name in least.keys() - wanted:
            asked_for = [of[kind][name] for of in known.values() for kind in ("needs", "takes") if name in of[kind]]
            least[name] = max(least[name], *asked_for, key=order)
        if least == chosen:
            return known
        chosen = least


def _has(clone: Path, commit: str) -> bool:
    return subprocess.run(["git", "-C", clone, "cat-file", "-e", commit], capture_output=True).returncode == 0


def _git(clone: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", clone, *arguments], check=True, capture_output=True, text=True).stdout


def main(folder: Path) -> None:
    text = (CONTROLLER / "plugins.txt").read_text()
    ((name, version),) = re.findall(r"^# (bom-\S+) (\S+)", text, re.M)
    sources = Sources(folder)
    known = resolve(asked(text), _table(folder / "bom", name, version), sources)
    if sources.absent:
        raise SystemExit("Clone too: " + " ".join(sorted(sources.absent)))
    head = "# Made by tests/jenkins/plugin_lock.py; not written by hand.\n"
    lines = [f"{plugin}:{of['version']}\n" for plugin, of in sorted(known.items())]
    (CONTROLLER / "plugins.lock").write_text(head + "".join(lines))
    NEEDS.write_text(head + yaml.safe_dump(known, sort_keys=True, width=120))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
