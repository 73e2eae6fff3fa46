"""What is published is signed; whoever changes files, record or signature is found out."""

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.errors import InfrastructureError, TrainyardError, UsageError
from contracts.record import Record
from registry import Immutable, Keys, Registry, Tampered, Unsigned, WrongSignature, signing
from testkit.registries import MODEL, keys_in, model_folder, open_registry, published


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Version 1, signed."""
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    return registry


def without_keys(registry: Registry) -> Registry:
    return Registry(registry.store, MODEL)


def forge(registry: Registry, version: int, **fields: Any) -> None:
    """Writes into a record what no command would."""
    key = f"records/{version}.json"
    record = json.loads(registry.store.read(key)[0])
    registry.store.write(key, json.dumps(record | fields).encode())


def test_key_that_cannot_be_made_names_its_folder_and_the_ways_out() -> None:
    # Not even root can make a folder there.
    keys = Keys.of("", [], "/proc/registry")
    said = r"its folder /proc/registry\.keys can't be written.*--registry.*--signing-key"
    with pytest.raises(InfrastructureError, match=said):
        keys.require()


def test_published_version_is_signed_by_the_key_of_this_place(registry: Registry, tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    assert signing.check(keys, registry.record(1)) in keys.public_keys()
    assert registry.fetch(1, tmp_path / "fetched").is_dir()


def test_private_key_is_made_once_for_its_owner_alone_and_outside_the_registry(
    registry: Registry, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path)
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    before = keys.private.read_bytes()
    published(registry, tmp_path)
    assert keys.private.read_bytes() == before
    assert not [
        path for path in (tmp_path / "registry").rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()
    ]
    assert sorted(path.name for path in keys.private.parent.iterdir()) == ["signing.pem", "signing.pub"]


def test_signature_is_one_that_the_library_itself_accepts(registry: Registry, tmp_path: Path) -> None:
    """So that anybody can check a model without Trainyard."""
    signature = tmp_path / "model.sig"
    signature.write_text(json.dumps(registry.record(1).sigstore))
    folder = Path(registry.store.uri("testing/1"))
    command = [sys.executable, "-m", "model_signing", "verify", "key", "--signature", str(signature)]
    command += ["--public_key", str(keys_in(tmp_path).public), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "saved_model.pb").write_bytes(b"evil")
    assert subprocess.run(command, capture_output=True, env=environment, timeout=60).returncode != 0


def test_files_and_record_changed_together_are_found(registry: Registry, tmp_path: Path) -> None:
    folder = Path(registry.store.uri("testing/1"))
    (folder / "variables" / "variables.index").write_bytes(b"evil")
    from registry import manifest_of

    forge(registry, 1, files=manifest_of(folder))
    assert not registry.verify(1)  # digests alone say nothing
    with pytest.raises(WrongSignature, match=r"other files than were signed \(variables/variables.index\)"):
        registry.check_files(1)
    with pytest.raises(WrongSignature):
        registry.fetch(1, tmp_path / "fetched")
    with pytest.raises(WrongSignature):
        registry.copy_to_production(1)
    assert registry.areas(1) == ["testing"] and not (tmp_path / "fetched").exists()


def test_version_can_not_pass_for_another(registry: Registry, tmp_path: Path) -> None:
    """Files, digests and signature of 1, whole and true, put in the place of 2."""
    published(registry, tmp_path)
    old, new = Path(registry.store.uri("testing/1")), Path(registry.store.uri("testing/2"))
    shutil.rmtree(new)
    shutil.copytree(old, new)
    forge(registry, 2, files=registry.record(1).files, sigstore=registry.record(1).sigstore)
    with pytest.raises(WrongSignature, match=f"carries the signature of '{MODEL}/1'"):
        registry.check_files(2)


def test_key_that_is_not_trusted_signs_in_vain(registry: Registry, tmp_path: Path) -> None:
    stranger = Registry(registry.store, MODEL, keys_in(tmp_path / "stranger"))
    published(stranger, tmp_path)
    with pytest.raises(WrongSignature, match="--public-key"):
        registry.check_files(2)
    both = Keys(tmp_path / "none", (keys_in(tmp_path).public, keys_in(tmp_path / "stranger").public))
    for version in (1, 2):
        Registry(registry.store, MODEL, both).check_files(version)


def _payload(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def altered(bundle: dict[str, Any]) -> None:
        envelope = bundle["dsseEnvelope"]
        payload = json.loads(base64.b64decode(envelope["payload"]))
        change(payload)
        envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()

    return altered


@pytest.mark.parametrize(
    "change",
    [
        _payload(lambda payload: payload["subject"][0].update(name=f"{MODEL}/2")),
        _payload(lambda payload: payload["predicate"]["resources"].pop()),
        _payload(lambda payload: payload.update(predicateType="https://model_signing/Digests/v0.1")),
        lambda bundle: bundle["dsseEnvelope"].update(signatures=[]),
        lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="AAAA"),
        lambda bundle: bundle["dsseEnvelope"].pop("payload"),
        lambda bundle: bundle.update(mediaType="text/plain"),
        lambda bundle: bundle.pop("verificationMaterial"),
        lambda bundle: bundle["verificationMaterial"]["publicKey"].pop("hint"),
        lambda bundle: bundle.update(dsseEnvelope="x"),
    ],
)
def test_damaged_signature_is_refused(registry: Registry, change: Callable[[dict[str, Any]], None]) -> None:
    bundle = registry.record(1).sigstore
    change(bundle)
    forge(registry, 1, sigstore=bundle)
    with pytest.raises(WrongSignature):
        registry.check_files(1)


def test_version_without_a_signature_is_refused_until_it_is_signed(registry: Registry, tmp_path: Path) -> None:
    published(without_keys(registry), tmp_path)
    assert registry.record(2).sigstore == {}
    with pytest.raises(Unsigned, match=r"promote -- sign 2`"):
        registry.fetch(2, tmp_path / "fetched")
    registry.sign(2)
    assert registry.fetch(2, tmp_path / "fetched").is_dir()
    assert registry.journal.entries()[-1].action == "sign"
    with pytest.raises(Immutable, match="signed already"):
        registry.sign(2)


def test_changed_files_are_not_signed(registry: Registry, tmp_path: Path) -> None:
    published(without_keys(registry), tmp_path)
    Path(registry.store.uri("testing/2/saved_model.pb")).write_bytes(b"evil")
    with pytest.raises(Tampered):
        registry.sign(2)


def test_signature_never_changes(registry: Registry) -> None:
    for change in ({}, {"evil": True}):
        with pytest.raises(Immutable, match="signature never changes"):
            registry.update(1, sigstore=change)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"not a key", "P-256, P-384 or P-521"), (None, "does not exist")],
)
def test_what_is_no_key_is_told_before_anything_is_made(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    keys = Keys(tmp_path / "key")
    with pytest.raises(UsageError, match=says):
        keys.require()
    with pytest.raises(TrainyardError):
        Keys(tmp_path / "none", (tmp_path / "key",)).public_keys()


def test_key_for_a_bucket_is_never_made(tmp_path: Path) -> None:
    for named in ("", str(tmp_path / "key")):
        keys = Keys.of(named, [], "gs://bucket/registry")
        with pytest.raises(UsageError, match="TRAINYARD_SIGNING_KEY"):
            keys.require()
        with pytest.raises(UsageError, match="No key is there to check signatures with"):
            keys.public_keys()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["PKCS11:token=t;object=k?module-path=/none.so", "gcpkms://projects/p/key"])
def test_address_of_a_kept_key_is_never_made_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="signing key"):
        Keys.of(address, [], "registry").require()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", [("~nobody-of-this-name/key", []), ("", ["~nobody-of-this-name/key"])])
def test_key_of_a_user_who_is_none_is_told(named: tuple[str, list[str]]) -> None:
    with pytest.raises(UsageError, match="names a user"):
        Keys.of(*named, "registry")


def test_key_that_was_named_is_never_made(tmp_path: Path) -> None:
    """A mount that failed would be signed for by a stranger, and noticed when it is too late."""
    keys = Keys.of(str(tmp_path / "mounted" / "signing.pem"), [], str(tmp_path / "registry"))
    with pytest.raises(UsageError, match=r"mounted/signing.pem does not exist"):
        keys.require()
    assert list(tmp_path.iterdir()) == []


def test_key_is_beside_the_registry_whoever_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Keys.of("", [], "registry").private == tmp_path / "registry.keys" / "signing.pem"
    assert Keys.of("", [], f"{tmp_path}/registry/").private == tmp_path / "registry.keys" / "signing.pem"


def test_public_half_is_enough_to_check(registry: Registry, tmp_path: Path) -> None:
    keys_in(tmp_path).private.unlink()
    registry.check_files(1)
    keys_in(tmp_path).public.unlink()
    with pytest.raises(UsageError, match="No key is there to check signatures with"):
        registry.check_files(1)


def test_colleague_who_may_not_read_the_private_key_checks_with_the_public_one(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = keys_in(tmp_path).private
    assert private is not None
    access, read = os.access, Path.read_bytes

    def mine(path: Path) -> bytes:
        if path == private:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(os, "access", lambda path, mode: path != private and access(path, mode))
    monkeypatch.setattr(Path, "read_bytes", mine)
    registry.check_files(1)
    keys_in(tmp_path).public.unlink()  # type: ignore[union-attr]
    with pytest.raises(InfrastructureError, match=r"signing\.pem can't be read: Permission denied"):
        registry.check_files(1)


def test_public_half_that_a_killed_process_did_not_write_is_made_up_for(registry: Registry, tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    assert keys.public is not None
    before = keys.public.read_bytes()
    keys.public.unlink()
    keys.require()
    assert keys.public.read_bytes() == before


def test_records_older_than_signatures_can_be_read() -> None:
    old = {"version": 1, "model": MODEL, "state": "production", "kind": "train", "created": "2026-01-01T00:00:00Z"}
    assert Record.model_validate(old).sigstore == {}


def test_registry_loads_the_library_only_to_sign(tmp_path: Path) -> None:
    model_folder(tmp_path / "model")
    code = (
        "import sys, registry; from registry import Registry; "
        f"r = Registry.open({str(tmp_path / 'registry')!r}, 'm'); r.create('train'); r.records(); "
        "heavy = {'model_signing', 'sigstore', 'cryptography'} & set(sys.modules); assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
