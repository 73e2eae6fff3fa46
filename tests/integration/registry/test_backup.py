"""docs/operations/backup.md: a registry that is copied while somebody promotes is whole when it is put back."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import storage

from promote.pods import Pods
from promote.rollover import Rollover
from registry import Registry
from settings.schema import Mail
from testkit import buckets
from testkit.registries import MODEL, keys_in, promotable

PAGE = (Path(__file__).parents[3] / "docs" / "operations" / "backup.md").read_text()
SAVE, PUT_BACK, SAVE_BUCKET, PUT_BACK_BUCKET = re.findall(r"^```\n(.*?)^```$", PAGE, re.S | re.M)[:4]
FROM, TO = "live-registry", "copy-of-registry"


def promote(registry: Registry, folder: Path, version: int) -> None:
    mail = Mail(outbox=str(folder / "outbox"))
    Rollover(registry, Pods([]), mail, timeout=5).run("promote", version, "ada", "because")


def fill(registry: Registry, folder: Path) -> None:
    """Version 2 is in production, 1 was before it, 3 waits."""
    for _ in range(3):
        promotable(registry, folder)
    promote(registry, folder, 1)
    promote(registry, folder, 2)


def check(registry: Registry, folder: Path) -> None:
    """What is served is all there, and promotions go on."""
    assert registry.serving().stable == 2
    for version in (1, 2):
        assert not registry.verify(version, "production")
        registry.check_files(version)
    promote(registry, folder, 3)
    assert registry.serving().stable == 3 and not registry.verify(3, "production")


def shell(script: str, **variables: object) -> None:
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_folder_is_whole_though_a_version_was_promoted_in_the_middle(tmp_path: Path) -> None:
    live, back, backup = tmp_path / "live", tmp_path / "back", tmp_path / "backup.tar"
    registry = Registry.open(str(live), MODEL, keys_in(tmp_path))
    fill(registry, tmp_path)
    first, last = SAVE.split(" && tar -rf", 1)
    shell(f"{first})", REGISTRY=live, BACKUP=backup)
    promote(registry, tmp_path, 3)
    # The second command of the page's two, on what is there by now.
    shell(f'(cd "$REGISTRY" && tar -rf{last}', REGISTRY=live, BACKUP=backup)
    shell(PUT_BACK, REGISTRY=back, BACKUP=backup)
    restored = Registry.open(str(back), MODEL, keys_in(tmp_path))
    assert not [path for path in back.rglob("*") if path.name in (".locks", ".staging")]
    check(restored, tmp_path)


def test_other_order_would_be_found(tmp_path: Path) -> None:
    """The plain copy: folders first, then what names them."""
    live, back = tmp_path / "live", tmp_path / "back"
    registry = Registry.open(str(live), MODEL, keys_in(tmp_path))
    fill(registry, tmp_path)
    shell('cp -r "$REGISTRY" "$BACK"', REGISTRY=live, BACK=back)
    promote(registry, tmp_path, 3)
    shell('cp "$REGISTRY"/*/production/models.config "$BACK"/*/production/', REGISTRY=live, BACK=back)
    with pytest.raises(AssertionError):
        check(Registry.open(str(back), MODEL, keys_in(tmp_path)), tmp_path)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Client]:
    with buckets.emulator() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield storage.Client(project="test")


class Gcloud:
    """`gcloud storage` as its reference describes it: ls with wildcards, cp of one object, rsync with --exclude."""

    def __init__(self, client: storage.Client) -> None:
        self.client, self.calls = client, []  # type: ignore[var-annotated]

    def run(self, script: str, **variables: str) -> None:
        """The page's loop and line, each command in its order."""
        for name, value in variables.items():
            script = script.replace(f'${{config#"gs://${name}/"}}', "RELATIVE").replace(f"${name}", value)
        for line in script.splitlines():
            if found := re.match(r'for config in \$\(gcloud storage ls "(.*)"\)', line):
                listed = self.ls(found[1])
            elif line.strip().startswith("gcloud storage cp"):
                _, _, _, _, target = shlex.split(line)
                for uri in listed:
                    self.cp(uri, target.replace("RELATIVE", uri.split("/", 3)[3]))
            elif line.startswith("gcloud storage rsync"):
                words = shlex.split(line)[3:]
                assert words[0] == "--recursive"
                self.rsync(words[1].removeprefix("--exclude="), words[2], words[3])
            else:
                assert line == "done", line

    def ls(self, pattern: str) -> list[str]:
        bucket, glob = pattern.removeprefix("gs://").split("/", 1)
        wanted = re.compile(re.escape(glob).replace(r"\*", "[^/]*"))
        return [f"gs://{bucket}/{b.name}" for b in self.client.list_blobs(bucket) if wanted.fullmatch(b.name)]

    def cp(self, source: str, target: str) -> None:
        (of, name), (to, new) = (uri.removeprefix("gs://").split("/", 1) for uri in (source, target))
        self.client.bucket(of).copy_blob(self.client.bucket(of).blob(name), self.client.bucket(to), new)
        self.calls.append(f"cp {name}")

    def rsync(self, exclude: str, source: str, target: str) -> None:
        for blob in self.client.list_blobs(source.removeprefix("gs://")):
            # An object that stands for a folder may be passed over.
            if not re.match(exclude, blob.name) and not blob.name.endswith("/"):
                self.cp(f"{source}/{blob.name}", f"{target}/{blob.name}")


def test_bucket_is_whole_though_a_version_was_promoted_in_the_middle(client: storage.Client, tmp_path: Path) -> None:
    for name in (FROM, TO):
        buckets.make_bucket(name)
    gcloud, registry = Gcloud(client), Registry.open(f"gs://{FROM}", MODEL, keys_in(tmp_path))
    fill(registry, tmp_path)
    loop, rsync = SAVE_BUCKET.split("done\n")
    gcloud.run(loop + "done\n", REGISTRY=FROM, BACKUP=TO)
    promote(registry, tmp_path, 3)
    gcloud.run(rsync, REGISTRY=FROM, BACKUP=TO)
    for blob in list(client.list_blobs(FROM)):
        blob.delete()
    gcloud.calls.clear()
    gcloud.run(PUT_BACK_BUCKET, REGISTRY=FROM, BACKUP=TO)
    assert gcloud.calls[-1].endswith("models.config")  # what decides comes last
    check(Registry.open(f"gs://{FROM}", MODEL, keys_in(tmp_path)), tmp_path)
