"""A signing key that never leaves its keeper, here SoftHSM: what a KMS does, in a process of our own."""

import gc
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.errors import InfrastructureError, UsageError
from registry import Keys, Registry, WrongSignature, signing
from testkit.registries import MODEL, keys_in, published

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "7391"
P256 = bytes.fromhex("06082a8648ce3d030107")

pytestmark = pytest.mark.skipif(not MODULE.exists(), reason="SoftHSM is not installed (apt-get install softhsm2)")


@dataclass(frozen=True)
class Kept:
    pin_file: Path

    def address(self, token: str = "trainyard", key: str = "signing", module: Path = MODULE) -> str:
        return f"pkcs11:token={token};object={key}?module-path={module}&pin-source={self.pin_file}"

    def keys(self, *trusted: str) -> Keys:
        return Keys.of(self.address(), trusted, "gs://bucket/registry")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A token of its own with one key in it that can't be taken out."""
    import PyKCS11

    gc.collect()  # an error that is kept somewhere keeps its session, and one login counts for the whole process
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    made = ["softhsm2-util", "--init-token", "--free", "--label", "trainyard", "--so-pin", "0000", "--pin", PIN]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    library = PyKCS11.PyKCS11Lib().load(str(MODULE))
    slot = next(slot for slot in library.getSlotList() if library.getTokenInfo(slot).label.strip() == "trainyard")
    session = library.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
    session.login(PIN)
    named = [(PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_LABEL, "signing"), (PyKCS11.CKA_ID, (1,))]
    public = [*named, (PyKCS11.CKA_EC_PARAMS, tuple(P256)), (PyKCS11.CKA_VERIFY, True)]
    private = [*named, (PyKCS11.CKA_SIGN, True), (PyKCS11.CKA_SENSITIVE, True), (PyKCS11.CKA_EXTRACTABLE, False)]
    session.generateKeyPair(public, private, PyKCS11.Mechanism(PyKCS11.CKM_EC_KEY_PAIR_GEN, None))
    session.logout()
    session.closeSession()
    pin_file = tmp_path / "pin"
    pin_file.write_text(PIN)
    return Kept(pin_file)


def test_version_signed_by_a_kept_key_is_checked_with_its_public_half_alone(kept: Kept, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from registry import pkcs11

    keys = kept.keys()
    keys.require()
    registry = Registry.open(str(tmp_path / "registry"), MODEL, keys)
    published(registry, tmp_path)
    assert signing.check(keys, registry.record(1)) in keys.public_keys()

    public = tmp_path / "signing.pub"
    found = pkcs11.signer(kept.address()).public_key()
    public.write_bytes(found.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    elsewhere = Registry.open(str(tmp_path / "registry"), MODEL, Keys.of("", [str(public)], str(tmp_path / "registry")))
    assert elsewhere.fetch(1, tmp_path / "fetched").is_dir()
    assert not list(tmp_path.rglob("*.pem"))  # no key was made beside it


def test_signature_of_another_key_is_found(kept: Kept, tmp_path: Path) -> None:
    stranger = Registry.open(str(tmp_path / "registry"), MODEL, keys_in(tmp_path))
    published(stranger, tmp_path)
    with pytest.raises(WrongSignature, match="is signed by the key"):
        Registry(stranger.store, MODEL, kept.keys()).check_files(1)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("pkcs11:token=trainyard", "Neither 'id' nor 'object'|module-name"),
        ("pkcs11:object=signing?module-path={module}", "Need a token"),
        ("pkcs11:token=other;object=signing?module-path={module}", "token with label other"),
        ("pkcs11:token=trainyard;object=other?module-path={module}&pin-source={pin}", "label other"),
        ("pkcs11:token=trainyard;object=signing?module-path=/none.so", "module-path does not exist"),
        ("pkcs11:token=trainyard;object=signing?module-path={module}&pin-source=/none", "No such file"),
        ("pkcs11:token", "path attribute"),
    ],
)
def test_address_that_leads_nowhere_is_told_before_anything_is_trained(kept: Kept, address: str, says: str) -> None:
    keys = Keys.of(address.format(module=MODULE, pin=kept.pin_file), [], "registry")
    with pytest.raises(UsageError, match=says):
        keys.require()


def test_wrong_pin_is_told_and_never_shown(kept: Kept) -> None:
    kept.pin_file.write_text("8642\n")
    with pytest.raises(UsageError, match=r"refuses the PIN .*no line break") as raised:
        kept.keys().require()
    assert "8642" not in str(raised.value)


def test_module_that_is_none_is_the_keepers_failure(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "module.so").write_bytes(b"no library")
    with pytest.raises(InfrastructureError, match="The module that holds the signing key"):
        Keys.of(kept.address(module=tmp_path / "module.so"), [], "registry").require()


def test_keeper_that_fails_while_it_signs_is_told(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model_signing._signing.sign_pkcs11 import Signer

    sign = Signer.sign

    def late(self: Signer, payload: Any) -> Any:
        self.session.logout()
        return sign(self, payload)

    monkeypatch.setattr(Signer, "sign", late)
    with pytest.raises((InfrastructureError, UsageError), match="The module that holds"):
        published(Registry.open(str(tmp_path / "registry"), MODEL, kept.keys()), tmp_path)


def test_kept_key_of_another_kind_is_told(kept: Kept) -> None:
    import PyKCS11

    library = PyKCS11.PyKCS11Lib().load(str(MODULE))
    slot = next(slot for slot in library.getSlotList() if library.getTokenInfo(slot).label.strip() == "trainyard")
    session = library.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
    session.login(PIN)
    named = [(PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_LABEL, "rsa"), (PyKCS11.CKA_ID, (2,))]
    public = [*named, (PyKCS11.CKA_MODULUS_BITS, 2048), (PyKCS11.CKA_PUBLIC_EXPONENT, (1, 0, 1))]
    session.generateKeyPair(public, named, PyKCS11.Mechanism(PyKCS11.CKM_RSA_PKCS_KEY_PAIR_GEN, None))
    session.logout()
    session.closeSession()
    with pytest.raises(UsageError, match="no elliptic-curve key"):
        Keys.of(kept.address(key="rsa"), [], "registry").require()


def test_kept_key_is_no_file_to_hand_on(kept: Kept) -> None:
    with pytest.raises(UsageError, match="can't be handed on as a file"):
        kept.keys().file()
