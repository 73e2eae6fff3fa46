"""`registry gc` works under the rights of its account in the cluster, and a right too few or too many is found."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from google.cloud import storage
from typer.testing import CliRunner, Result

from promote import intent
from promote.pods import Pods
from promote.rollover import Rollover
from registry import Registry
from registry.__main__ import app
from registry.errors import Conflict, Refused
from settings.schema import Mail
from testkit import buckets, rights
from testkit.registries import MODEL, keys_in, promotable
from tests import terraform

BUCKET, ACCOUNT = "rights-of-gc", "trainyard-promotion/gc"
# The account's table, of which a right is taken, or to which one is added.
_TABLE = re.search(r"  collector = \{\n.*?  \}\n", (terraform.TERRAFORM / "rights.tf").read_text(), re.S)
assert _TABLE
TABLE = _TABLE[0]


class Yard:
    """A bucket in which version 3 is in production, 2 was before it, 1 before that, and 4 waits."""

    def __init__(self, folder: Path, emulator: str, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.emulator, self.patch = folder, emulator, patch
        self.used: set[tuple[rights.Grant, str]] = set()
        buckets.make_bucket(BUCKET)
        for _ in range(4):
            promotable(self.registry, folder)
        for version in (1, 2, 3):
            mail = Mail(outbox=str(folder / "outbox"))
            Rollover(self.registry, Pods([]), mail, timeout=5).run("promote", version, "ada", "because")

    @property
    def registry(self) -> Registry:
        """As whoever may do everything."""
        return Registry.open(f"gs://{BUCKET}", MODEL, keys_in(self.folder))

    def grants(self, planted: str = TABLE) -> list[rights.Grant]:
        """Of the first model; every other has the same (tests/unit/manifests)."""
        (self.folder / "terraform").mkdir(exist_ok=True)
        found = terraform.grants(self.folder / "terraform", planted=(TABLE, planted))[ACCOUNT]
        return [grant for grant in found if grant.prefix.startswith(f"{MODEL}/")]

    def collect(self, grants: Sequence[rights.Grant]) -> tuple[Result, rights.Account]:
        with rights.account(self.emulator, grants, strict=True) as account:
            self.patch.setenv("STORAGE_EMULATOR_HOST", account.address)
            done = CliRunner().invoke(app, ["gc", "--registry", f"gs://{BUCKET}", "--keep", "0", "--yes"])
            self.patch.setenv("STORAGE_EMULATOR_HOST", self.emulator)
        self.used |= account.used
        return done, account  # type: ignore[return-value]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    terraform.require()
    folder = tmp_path_factory.mktemp("gc")
    with ExitStack() as stack:
        emulator = stack.enter_context(buckets.emulator())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(folder)
        patch.setenv("STORAGE_EMULATOR_HOST", emulator)
        yield Yard(folder, emulator, patch)


# The tests below are one history, in this order.


def test_it_waits_for_a_promotion_that_an_earlier_version_began(yard: Yard) -> None:
    yard.registry.store.write(intent.EARLIER_KEY, b"{}")
    done, _ = yard.collect(yard.grants())
    yard.registry.store.delete(intent.EARLIER_KEY)
    assert isinstance(done.exception, Conflict), done.output


@pytest.mark.parametrize("folder", ["production", "journal"])
def test_right_that_is_missing_is_found(yard: Yard, folder: str) -> None:
    (line,) = [line for line in TABLE.splitlines(True) if line.split()[0] == folder]
    fewer = yard.grants(TABLE.replace(line, ""))
    assert set(yard.grants()) - set(fewer) == {rights.Grant(f"{MODEL}/{folder}/", "roles/storage.objectUser")}
    done, account = yard.collect(fewer)
    assert isinstance(done.exception, Refused) and f"{MODEL}/{folder}/" in str(done.exception)
    assert any(f" {MODEL}/{folder}/" in refused for refused in account.refused)


def test_it_removes_what_nobody_needs_and_uses_every_right(yard: Yard) -> None:
    storage.Client(project="test").bucket(BUCKET).blob(f"{MODEL}/.staging/left").upload_from_string(b"of a killed call")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registry.bucket._ABANDONED_SECONDS", -60)  # as a day later
        done, account = yard.collect(yard.grants())
    assert done.exit_code == 0, done.output
    # What a missing right stopped half-way above is ended too.
    areas = {version: yard.registry.areas(version) for version in (1, 2, 3, 4)}
    assert areas == {1: [], 2: ["testing", "production"], 3: ["testing", "production"], 4: []}
    assert yard.registry.serving().stable == 3 and not yard.registry.verify(3, "production")
    assert not list(storage.Client(project="test").list_blobs(BUCKET, prefix=f"{MODEL}/.staging/"))
    # What asks for an object that is not there, to tell a refusal from that.
    assert set(account.refused) <= {f"list {MODEL}/{intent.EARLIER_KEY}"}
    assert rights.left_over(yard.grants(), yard.used) == []


def test_right_that_is_left_over_is_found(yard: Yard) -> None:
    more = yard.grants(TABLE.replace("  }\n", "    reports = local.writes\n  }\n"))
    assert rights.left_over(more, yard.used) == [f"{MODEL}/reports/ is never used"]
    read = {(grant, right) for grant, right in yard.used if right in (rights.GET, rights.LIST)}
    assert f"{MODEL}/production/ is only read" in rights.left_over(more, read)
