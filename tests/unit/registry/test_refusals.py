"""A bucket that refuses what is not there, as Cloud Storage may where an account has rights in folders alone."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed

from promote import intent
from registry import Registry, ServingState
from registry.bucket import BucketStore
from registry.errors import Missing, Refused

MODEL = "chest-xray"


class Bucket:
    """Objects by name, for an account that may do everything below `folders` and is refused what is not there."""

    def __init__(self, *folders: str) -> None:
        self.folders = folders
        self.content: dict[str, tuple[bytes, int]] = {}
        self.count = 0

    def _may(self, name: str, *, there: bool = True) -> None:
        if not name.startswith(self.folders) or (there and name not in self.content):
            raise Forbidden(f"no access to {name} (or it may not exist)")

    def blob(self, name: str) -> Any:
        return Blob(self, name)

    def get_blob(self, name: str, **_: Any) -> Any:
        self._may(name)
        return Blob(self, name)

    def list_blobs(self, prefix: str, **_: Any) -> Any:
        self._may(prefix, there=False)
        return Pages(Blob(self, name) for name in sorted(self.content) if name.startswith(prefix))


class Pages(list[Any]):
    prefixes: tuple[str, ...] = ()


class Blob:
    def __init__(self, bucket: Bucket, name: str) -> None:
        self.bucket, self.name, self.metadata = bucket, name, None

    @property
    def generation(self) -> int:
        return self.bucket.content[self.name][1]

    def download_as_bytes(self, **_: Any) -> bytes:
        self.bucket._may(self.name)
        return self.bucket.content[self.name][0]

    def upload_from_string(self, data: bytes, if_generation_match: int | None = None, **_: Any) -> None:
        self.bucket._may(self.name, there=False)
        if if_generation_match not in (None, self.bucket.content.get(self.name, (b"", 0))[1]):
            raise PreconditionFailed("another generation")
        self.bucket.count += 1
        self.bucket.content[self.name] = (data, self.bucket.count)

    def delete(self, **_: Any) -> None:
        self.bucket._may(self.name)
        if self.name not in self.bucket.content:
            raise NotFound(self.name)
        del self.bucket.content[self.name]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    store = BucketStore("bucket", MODEL)
    bucket = Bucket(*(f"{MODEL}/{folder}/" for folder in ("production", "records", "journal")))
    monkeypatch.setattr(store._cloud, "_bucket", bucket)
    monkeypatch.setattr(store, "bucket", bucket, raising=False)
    return Registry(store, MODEL)


def bucket_of(registry: Registry) -> Bucket:
    store: Any = registry.store
    found: Bucket = store.bucket
    return found


def test_what_is_refused_and_not_listed_is_not_there(registry: Registry) -> None:
    with pytest.raises(Missing):
        registry.store.read("production/models.config")
    registry.store.delete("production/models.config")
    assert registry.serving() == ServingState()
    assert not registry.store.has_folder("production/1")


def test_what_may_not_be_listed_either_is_refused_with_the_role(registry: Registry) -> None:
    with pytest.raises(Refused, match=r"testing/1/x.*Storage Object User .* managed folder"):
        registry.store.read("testing/1/x")


def test_what_is_there_and_refused_all_the_same_is_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.store.write("records/1.json", b"{}")

    def refused(self: Blob, **_: Any) -> bytes:
        raise Forbidden("not that one")

    monkeypatch.setattr(Blob, "download_as_bytes", refused)
    with pytest.raises(Refused):
        registry.store.read("records/1.json")


def test_servers_are_told_a_folder_that_ends_with_a_slash_and_is_there(registry: Registry) -> None:
    registry.write_serving(ServingState((1,), {"stable": 1}))
    assert registry.serving().base_path == f"gs://bucket/{MODEL}/production/"
    assert bucket_of(registry).content[f"{MODEL}/production/"][0] == b""
    written = registry.serving()
    registry.write_serving(ServingState((1, 2), {"stable": 2}, written.generation))
    assert registry.store.list("production") == ["production/models.config"]


def test_promotion_is_noted_where_its_account_may_look(registry: Registry) -> None:
    assert intent.current(registry) is None
    held = intent.take(registry, "promote", 1, "ada", "")
    assert f"{MODEL}/production/promotion.json" in bucket_of(registry).content
    held.release()
    assert intent.current(registry) is None


def test_promotion_that_an_earlier_version_left_beside_the_folders_is_found(registry: Registry) -> None:
    held = intent.take(registry, "promote", 1, "bob", "")
    bucket = bucket_of(registry)
    # The one object that such an account was given besides its folders.
    bucket.folders = (*bucket.folders, f"{MODEL}/promotion.json")
    bucket.content[f"{MODEL}/promotion.json"] = bucket.content.pop(f"{MODEL}/production/promotion.json")
    found = intent.current(registry)
    assert found and found[0].id == held.intent.id
    with pytest.raises(intent.Conflict, match="is under way"):
        intent.take(registry, "promote", 2, "ada", "")
