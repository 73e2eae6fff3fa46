"""The key that signs is changed: for a while what either key signed may go live, then what the new one signed alone."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.errors import DataRefused, UsageError
from promote.__main__ import app
from registry import Keys, Registry
from testkit.registries import MODEL, promotable


class Installation:
    """A registry whose versions one key after the other signed, and the public keys that a Job is given."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mount = folder, folder / "public"
        (self.mount / "..2026_01_01").mkdir(parents=True)
        (self.mount / "..data").symlink_to("..2026_01_01")

    def publish_with(self, name: str) -> int:
        private = self.folder / f"{name}.pem"
        if not private.exists():
            make = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)]
            subprocess.run(make, check=True, capture_output=True)
        keys = Keys.of(str(private), [], str(self.folder / "registry"))
        return promotable(Registry.open(str(self.folder / "registry"), MODEL, keys), self.folder).version

    def trust(self, *names: str) -> None:
        """As Kubernetes mounts a ConfigMap: links into a hidden folder."""
        for file in self.mount.glob("[!.]*"):
            file.unlink()
        for name in names:
            private, public = self.folder / f"{name}.pem", self.mount / "..data" / f"{name}.pub"
            make = ["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)]
            subprocess.run(make, check=True, capture_output=True)
            (self.mount / f"{name}.pub").symlink_to(f"..data/{name}.pub")

    def promote(self, version: int) -> Result:
        return CliRunner().invoke(app, ["run", "--yes", "--version", str(version)])  # type: ignore[return-value]


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINYARD_REGISTRY_URI", str(tmp_path / "registry"))
    monkeypatch.setenv("TRAINYARD_MAIL_OUTBOX", str(tmp_path / "outbox"))
    monkeypatch.setenv("TRAINYARD_SIGNING_PUBLIC_KEYS", str(tmp_path / "public"))
    return Installation(tmp_path)


def test_what_the_old_key_signed_goes_live_until_that_key_is_taken_out(installation: Installation) -> None:
    first, second = installation.publish_with("old"), installation.publish_with("old")
    third = installation.publish_with("new")
    installation.trust("old")
    refused = installation.promote(third)
    assert isinstance(refused.exception, DataRefused) and "is signed by the key" in str(refused.exception)
    installation.trust("old", "new")
    for version in (first, third):
        done = installation.promote(version)
        assert done.exit_code == 0, done.output
    installation.trust("new")
    refused = installation.promote(second)
    assert isinstance(refused.exception, DataRefused) and "TRAINYARD_SIGNING_PUBLIC_KEYS" in str(refused.exception)
    assert isinstance(CliRunner().invoke(app, ["rollback", "--yes"]).exception, DataRefused)  # to `first`
    assert Registry.open(str(installation.folder / "registry"), MODEL).serving().stable == third


def test_folder_without_a_public_key_is_told(installation: Installation) -> None:
    version = installation.publish_with("old")
    (installation.mount / "signing.pem").write_text("not this one")
    refused = installation.promote(version)
    assert isinstance(refused.exception, UsageError)
    assert f"{installation.mount} holds no public key (NAME.pub)" in str(refused.exception)
