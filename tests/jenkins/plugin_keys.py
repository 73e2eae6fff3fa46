"""Writes plugin_keys.yaml: the keys that Configuration as Code takes for each class, from the plugins' own sources.

    python tests/jenkins/plugin_keys.py FOLDER > tests/jenkins/plugin_keys.yaml

FOLDER holds clones of github.com/jenkinsci/NAME as NAME; each is read at the version of plugins.lock (of Jenkins
itself: of the controller's Dockerfile). A key is what the constructor takes that Jenkins binds data by, or what has a
public setter: Jenkins refuses to start on any other.
"""

import re
import subprocess
import sys
from pathlib import Path

import yaml

CONTROLLER = Path(__file__).parents[2] / "infra" / "jenkins" / "controller"
# Repository, its plugin's name, and the classes: each with those it inherits setters from.
CLASSES: dict[tuple[str, str], dict[str, list[str]]] = {
    ("jenkins", "jenkins"): {
        "Jenkins": [],
        "DefaultCrumbIssuer": [],
        "EnvironmentVariablesNodeProperty": [],
        "HudsonPrivateSecurityRealm": [],
        "DumbSlave": ["Slave"],
        "ApiTokenPropertyConfiguration": [],
        "JenkinsLocationConfiguration": [],
    },
    ("kubernetes-plugin", "kubernetes"): {"KubernetesCloud": [], "PodTemplate": []},
    ("ldap-plugin", "ldap"): {"LDAPSecurityRealm": [], "LDAPConfiguration": []},
    ("mailer-plugin", "mailer"): {"Mailer": [], "SMTPAuthentication": []},
    ("ssh-agents-plugin", "ssh-slaves"): {"SSHLauncher": [], "ManuallyTrustedKeyVerificationStrategy": []},
    ("git-client-plugin", "git-client"): {
        "GitHostKeyVerificationConfiguration": [],
        "ManuallyProvidedKeyVerificationStrategy": [],
        "AcceptFirstConnectionStrategy": [],
        "KnownHostsFileVerificationStrategy": [],
    },
    ("plain-credentials-plugin", "plain-credentials"): {"StringCredentialsImpl": []},
    ("ssh-credentials-plugin", "ssh-credentials"): {"BasicSSHUserPrivateKey": ["DirectEntryPrivateKeySource"]},
}
_BOUND = re.compile(r"@DataBoundConstructor\s+(?:@\w+(?:\([^)]*\))?\s+)*public\s+\w+\s*\(([^{]*)\)", re.S)
_SETTER = re.compile(
    r"public\s+(?:final\s+)?(?:void|synchronized void)\s+set([A-Z]\w*)\s*\(([^{;]*?)\)\s*(?:throws[^{]*)?\{"
)


def main(folder: Path) -> None:
    found = {}
    for (repository, plugin), classes in CLASSES.items():
        clone = folder / repository
        version = _version(clone, plugin)
        files = _git(clone, "ls-tree", "-r", "--name-only", version).splitlines()
        for name, inherited in classes.items():
            keys: set[str] = set()
            for one in (name, *inherited):
                (path,) = [
                    file for file in files if re.search(rf"(^|/)src/main/java/.*/{_FILE.get(one, one)}\.java$", file)
                ]
                keys |= _keys(_git(clone, "show", f"{version}:{path}"))
            found[name] = {"from": f"{repository} {version}", "keys": sorted(keys)}
    print("# Made by plugin_keys.py of the plugins' sources; not written by hand.")
    print(yaml.safe_dump(found, sort_keys=True, width=120), end="")


# Classes within the file of another one.
_FILE = {"DirectEntryPrivateKeySource": "BasicSSHUserPrivateKey"}


def _keys(source: str) -> set[str]:
    source = re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.S)
    bound = {
        parameter.split()[-1]
        for match in _BOUND.finditer(source)
        for parameter in re.sub(r"<[^<>]*(<[^<>]*>)?[^<>]*>", "", match[1]).split(",")
        if parameter.strip()
    }
    return bound | {match[1][0].lower() + match[1][1:] for match in _SETTER.finditer(source) if "," not in match[2]}


def _version(clone: Path, plugin: str) -> str:
    if plugin == "jenkins":
        pinned = re.search(r"^FROM jenkins/jenkins:([\d.]+)", (CONTROLLER / "Dockerfile").read_text(), re.M)
        assert pinned
        return f"jenkins-{pinned[1]}"
    lines = dict(
        line.split(":") for line in (CONTROLLER / "plugins.lock").read_text().splitlines() if not line.startswith("#")
    )
    tags = _git(clone, "tag").splitlines()
    for tag in (lines[plugin], f"{plugin}-{lines[plugin]}"):
        if tag in tags:
            return tag
    return lines[plugin].partition(".v")[2].replace("_", "")  # a version holds its commit


def _git(clone: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", clone, *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
