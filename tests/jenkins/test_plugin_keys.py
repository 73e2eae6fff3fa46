"""The controller's keys against the setters in the plugins' own sources: Jenkins refuses to start on any other."""

import re
from pathlib import Path

import pytest
import yaml

from tests.jenkins.plugin_lock import asked
from tests.jenkins.test_controller import CASC, FILES, read

HERE = Path(__file__).parent
TAKEN = yaml.safe_load((HERE / "plugin_keys.yaml").read_text())
# Where a class's keys stand, lists left out -> the class, and the keys that Configuration as Code adds by its own code.
CLASSES = {
    "jenkins": ("Jenkins", {"clouds", "globalNodeProperties"}),  # JenkinsConfigurator: lists that have getters alone
    "jenkins.crumbIssuer.standard": ("DefaultCrumbIssuer", set()),
    "jenkins.globalNodeProperties.envVars": ("EnvironmentVariablesNodeProperty", set()),
    "jenkins.globalNodeProperties.envVars.env": ("EnvironmentVariablesNodeProperty", set()),
    "jenkins.securityRealm.local": ("HudsonPrivateSecurityRealm", {"users"}),  # HudsonPrivateSecurityRealmConfigurator
    "jenkins.securityRealm.ldap": ("LDAPSecurityRealm", set()),
    "jenkins.securityRealm.ldap.configurations": ("LDAPConfiguration", set()),
    "jenkins.nodes.permanent": ("DumbSlave", set()),
    "jenkins.nodes.permanent.launcher.ssh": ("SSHLauncher", set()),
    "jenkins.clouds.kubernetes": ("KubernetesCloud", set()),
    "jenkins.clouds.kubernetes.templates": ("PodTemplate", set()),
    "security.apiToken": ("ApiTokenPropertyConfiguration", set()),
    "security.gitHostKeyVerificationConfiguration": ("GitHostKeyVerificationConfiguration", set()),
    "credentials.system.domainCredentials.credentials.string": ("StringCredentialsImpl", set()),
    "credentials.system.domainCredentials.credentials.basicSSHUserPrivateKey": ("BasicSSHUserPrivateKey", set()),
    "unclassified.location": ("JenkinsLocationConfiguration", set()),
    "unclassified.mailer": ("Mailer", set()),
    "unclassified.mailer.authentication": ("SMTPAuthentication", set()),
}
# Keys of these are names (a class, a group) or of a class without a source that is read here.
ALSO = re.compile(
    r"^$|jenkins\.(authorizationStrategy|crumbIssuer|clouds|nodes|securityRealm|globalNodeProperties)(\.|$)"
    r"|security$|credentials(\.|$)|unclassified$|jobs$|.*(HostKeyVerificationStrategy|KeyVerificationStrategy)$"
)


def parts(value, path=""):
    """Each mapping with the dotted path of its keys."""
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            yield from parts(inner, f"{path}.{key}".lstrip("."))
    if isinstance(value, list):
        for item in value:
            yield from parts(item, path)


def unknown(content):
    found = []
    for path, mapping in parts(content):
        if path in CLASSES:
            name, added = CLASSES[path]
            found += [
                f"{path}.{key}: {name} has no setter of it" for key in mapping.keys() - added - {*TAKEN[name]["keys"]}
            ]
        elif not ALSO.match(path):
            found.append(f"{path}: of no class that was read")
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_key_has_a_setter_in_the_plugins_source(name):
    assert unknown(read(name)) == []


def test_key_at_the_wrong_part_would_be_found():
    content = read("gke")
    cloud = content["jenkins"]["clouds"][0]
    assert cloud["kubernetes"]["templates"][0]["showRawYaml"] is False
    cloud["kubernetes"]["showRawYaml"] = False
    assert unknown(content) == ["jenkins.clouds.kubernetes.showRawYaml: KubernetesCloud has no setter of it"]


def test_keys_were_read_at_the_versions_that_are_installed():
    pinned = asked((CASC.parent / "plugins.lock").read_text())
    core = re.search(r"^FROM jenkins/jenkins:([\d.]+)", (CASC.parent / "Dockerfile").read_text(), re.M)
    assert core
    versions = {about["from"].split()[0]: about["from"].split()[1] for about in TAKEN.values()}
    assert versions.pop("jenkins") == f"jenkins-{core[1]}"
    for repository, version in versions.items():
        plugin = {"ssh-agents-plugin": "ssh-slaves"}.get(repository, repository.removesuffix("-plugin"))
        assert version.removeprefix(f"{plugin}-") == pinned[plugin], repository
