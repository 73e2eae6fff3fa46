"""The list of images that is rolled out: what is signed is what is checked, by the images' key alone."""

import json
from pathlib import Path

import pytest

from cli.errors import UsageError
from registry import Unsigned, WrongSignature, images, signing
from registry.images import signature_of
from registry.keys import Keys
from testkit.registries import keys_in


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = keys_in(tmp_path / "ours")
    made.require()
    return made


@pytest.fixture
def listed(tmp_path: Path, keys: Keys) -> Path:
    place = tmp_path / "kustomization.yaml"
    place.write_text("images:\n  - {name: trainyard/adapter, newName: r/adapter, digest: sha256:aa}\n")
    images.sign(keys, place)
    return place


def test_list_is_known_by_its_signature(keys: Keys, listed: Path) -> None:
    (fingerprint,) = keys.public_keys()
    assert images.check(keys, listed) == fingerprint


def test_changed_list_is_refused(keys: Keys, listed: Path) -> None:
    listed.write_text(listed.read_text().replace("sha256:aa", "sha256:ab"))
    with pytest.raises(WrongSignature, match="not what was signed"):
        images.check(keys, listed)


def test_list_without_signature_or_of_another_key_is_refused(tmp_path: Path, keys: Keys, listed: Path) -> None:
    other = keys_in(tmp_path / "theirs")
    other.require()
    with pytest.raises(WrongSignature, match="trusted here is"):
        images.check(other, listed)
    images.sign(other, listed)
    with pytest.raises(WrongSignature, match="trusted here is"):
        images.check(keys, listed)
    signature_of(listed).unlink()
    with pytest.raises(Unsigned, match="is not signed"):
        images.check(keys, listed)


def test_another_keys_signature_under_our_name_is_refused(tmp_path: Path, keys: Keys, listed: Path) -> None:
    other = keys_in(tmp_path / "theirs")
    other.require()
    images.sign(other, listed)
    bundle = json.loads(signature_of(listed).read_text())
    (bundle["verificationMaterial"]["publicKey"]["hint"],) = keys.public_keys()
    signature_of(listed).write_text(json.dumps(bundle))
    with pytest.raises(WrongSignature, match="damaged or forged"):
        images.check(keys, listed)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"dsseEnvelope": {}}', "\x00"])
def test_what_is_no_signature_is_refused(keys: Keys, listed: Path, text: str) -> None:
    signature_of(listed).write_text(text)
    with pytest.raises(WrongSignature):
        images.check(keys, listed)


def test_signature_of_a_models_version_is_none_of_images(keys: Keys, listed: Path) -> None:
    bundle = signing.sign(keys, "images", 1, {listed.name: images._digest(listed)})
    signature_of(listed).write_text(json.dumps(bundle))
    with pytest.raises(WrongSignature, match="not what was signed"):
        images.check(keys, listed)


def test_no_key_is_made_and_none_is_guessed(tmp_path: Path, listed: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        images.sign(images.keys_of(str(tmp_path / "none.pem"), ()), listed)
    with pytest.raises(UsageError, match="Name the key"):
        images.keys_of("", ())
    assert not (tmp_path / "none.pem").exists()
