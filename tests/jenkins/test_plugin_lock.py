"""The plugins that the controller's image installs: the whole set, by what each needs according to its own pom."""

import copy
import re
import subprocess
import zipfile

import pytest
import yaml

from tests.jenkins.groovy import JENKINSFILES
from tests.jenkins.plugin_lock import NEEDS, asked, order

CONTROLLER = JENKINSFILES / "controller"
LOCK = asked((CONTROLLER / "plugins.lock").read_text())
WANTED = asked((CONTROLLER / "plugins.txt").read_text())
KNOWN = yaml.safe_load(NEEDS.read_text())
# The last Jenkins that plugins were split from: what was made for an older one needs those without saying so.
LAST_SPLIT = "2.356"


def core():
    (version,) = re.findall(r"^FROM jenkins/jenkins:([\d.]+)", (CONTROLLER / "Dockerfile").read_text(), re.M)
    return version


def faults(lock, wanted, known):
    """What is wrong with a locked list, by what each plugin needs."""
    found = [f"{name}: asked for in {version}" for name, version in wanted.items() if lock.get(name) != version]
    reached, new = set(), set(wanted)
    while new:
        reached |= new
        new = {other for name in new for other in known.get(name, {"needs": ()})["needs"]} - reached
    found += [f"{name}: nothing needs it" for name in lock.keys() - reached]
    found += [f"{name}: is not locked" for name in reached - lock.keys()]
    for name in lock.keys() & known.keys():
        of = known[name]
        if of["version"] != lock[name]:
            found.append(f"{name}: was read in {of['version']}")
        for other, least in {**of["takes"], **of["needs"]}.items():
            if other in lock and order(lock[other]) < order(least):
                found.append(f"{other}: {name} needs {least}")
        if not order(LAST_SPLIT) < order(of["jenkins"]) <= order(core()):
            found.append(f"{name}: was made for Jenkins {of['jenkins']}")
    return found


def test_list_is_closed_and_nothing_in_it_is_older_than_another_plugin_needs():
    assert len(LOCK) > 60
    assert faults(LOCK, WANTED, KNOWN) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda lock, known: lock.update({"build-pipeline-plugin": "1.5.8"}),
            "build-pipeline-plugin: nothing needs it",
        ),
        (lambda lock, known: lock.pop("scm-api"), "scm-api: is not locked"),
        (lambda lock, known: lock.update({"credentials": "1311.vcf0a_900b_37c2"}), "credentials: git needs "),
        (lambda lock, known: lock.update({"git": "5.9.0"}), "git: asked for in 5.10.0"),
        (lambda lock, known: known["mailer"].update({"jenkins": "2.999"}), "mailer: was made for Jenkins 2.999"),
        (lambda lock, known: known["mailer"].update({"jenkins": "2.300"}), "mailer: was made for Jenkins 2.300"),
    ],
)
def test_what_is_wrong_would_be_found(change, expected):
    lock, known = dict(LOCK), copy.deepcopy(KNOWN)
    change(lock, known)
    assert [fault for fault in faults(lock, WANTED, known) if fault.startswith(expected)]


def test_what_was_read_in_another_commit_is_told():
    unread = {name for name, of in KNOWN.items() if of["read"] != of["version"]}
    page = (JENKINSFILES.parents[1] / "docs" / "operations" / "jenkins.md").read_text()
    assert unread and all(f"`{name}`" in page for name in unread)


def test_versions_are_put_in_order_as_jenkins_does():
    ordered = ["2.9", "2.10", "5.10.0", "94.vcc3065403257", "728.v902a_273b_8947", "1480.v2246fd131e83"]
    assert sorted(ordered[::-1], key=order) == ordered
    assert order("2.30.1.82-277.v70ca_0b_877184") < order("2.30.1.83-289.v8426fcd19371")


def installed(folder, plugins):
    folder.mkdir()
    for name, version in plugins.items():
        with zipfile.ZipFile(folder / f"{name}.jpi", "w") as made:
            made.writestr(
                "META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\nPlugin-Version: {version}\r\nShort-Name: {name}\r\n"
            )
    check = [CONTROLLER / "check-plugins", CONTROLLER / "plugins.lock", folder]
    return subprocess.run(check, capture_output=True, text=True)


def test_image_holds_what_the_list_names_and_no_plugin_that_it_does_not(tmp_path):
    done = installed(tmp_path / "same", LOCK)
    assert done.returncode == 0, done.stderr
    for name, plugins, said in (
        ("one more", LOCK | {"script-console": "1.0"}, "> script-console:1.0"),
        ("another version", LOCK | {"git": "5.10.1"}, "> git:5.10.1"),
        ("one less", {n: v for n, v in LOCK.items() if n != "ldap"}, "< ldap:"),
    ):
        done = installed(tmp_path / name, plugins)
        assert done.returncode == 1 and said in done.stderr, name


def test_image_installs_the_list_and_is_refused_on_anything_else():
    text = (CONTROLLER / "Dockerfile").read_text()
    (copied,) = re.findall(r"^COPY plugins\.lock check-plugins (\S+)$", text, re.M)
    (command,) = re.findall(r"^RUN (jenkins-plugin-cli(?:.*\\\n)*.*)", text, re.M)
    assert [part.split() for part in command.replace("\\\n", " ").split("&&")] == [
        ["jenkins-plugin-cli", "--latest", "false", "--plugin-file", f"{copied}plugins.lock"],
        [f"{copied}check-plugins", f"{copied}plugins.lock", "/usr/share/jenkins/ref/plugins"],
    ]
