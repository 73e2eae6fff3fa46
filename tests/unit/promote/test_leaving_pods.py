"""A pod that leaves while a promotion asks it: published for a while, and silent."""

from pathlib import Path

import pytest

from cli.errors import GateNotPassed, InfrastructureError
from promote import pods
from registry import Registry
from testkit.registries import open_registry, promotable

ONE, TWO = "10.0.0.1:9090", "10.0.0.2:9090"


class Named(pods.Pods):
    """Two pods under a name, of which the second is published for some look-ups more."""

    def __init__(self, published: int) -> None:
        super().__init__(["adapter.trainyard.svc:9090"])
        self.published = published

    def addresses(self) -> list[str]:
        self.published -= 1
        return [ONE, TWO] if self.published >= 0 else [ONE]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = open_registry(tmp_path)
    promotable(registry, tmp_path)
    return registry


def silent(address: str, record: object) -> None:
    if address == TWO:
        raise InfrastructureError(f"The pod {address} did not answer")


def test_pod_that_leaves_ends_no_promotion(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "_ask_golden", silent)
    monkeypatch.setattr(pods, "_POLL_SECONDS", 0.01)
    Named(published=5).ask_golden(registry.record(1))


def test_pod_that_stays_and_does_not_answer_does(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "_ask_golden", silent)
    monkeypatch.setattr(pods, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(pods, "_LEAVES_SECONDS", 0.1)
    with pytest.raises(InfrastructureError, match=TWO):
        Named(published=1_000_000).ask_golden(registry.record(1))


def test_pod_that_is_named_by_its_address_is_not_waited_for(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "_ask_golden", silent)
    with pytest.raises(InfrastructureError, match=TWO):
        pods.Pods([ONE, TWO]).ask_golden(registry.record(1))


def test_wrong_answer_of_a_pod_that_leaves_counts(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(address: str, record: object) -> None:
        raise GateNotPassed(f"The pod {address} answered otherwise")

    monkeypatch.setattr(pods, "_ask_golden", wrong)
    with pytest.raises(GateNotPassed):
        Named(published=1).ask_golden(registry.record(1))
