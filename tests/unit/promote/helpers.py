"""Promotions without pods, and what must hold of a registry at any moment."""

from pathlib import Path

from promote.pods import Pods
from promote.rollover import Outcome, Rollover
from registry import Registry
from settings.schema import Mail
from testkit.registries import open_registry, promotable


def rollover(registry: Registry, outbox: Path, **options: object) -> Rollover:
    return Rollover(registry, Pods([]), Mail(outbox=str(outbox)), timeout=5, **options)  # type: ignore[arg-type]


def promote(registry: Registry, version: int) -> Outcome:
    outbox = Path(registry.store.uri("records")).parent.parent / "outbox"
    return rollover(registry, outbox).run("promote", version, "ada", "because")


def roll_back(registry: Registry, version: int) -> Outcome:
    outbox = Path(registry.store.uri("records")).parent.parent / "outbox"
    return rollover(registry, outbox).run("rollback", version, "ada", "because")


def two_promoted_one_tested(folder: Path) -> Registry:
    """Version 2 in production, 1 before it, 3 tested."""
    registry = open_registry(folder)
    for _ in range(3):
        promotable(registry, folder)
    promote(registry, 1)
    promote(registry, 2)
    return registry


def states(registry: Registry) -> dict[int, str]:
    return {record.version: record.state for record in registry.records()}


def check_served(registry: Registry) -> None:
    """What servers are told to load are whole models that passed their tests, and nothing half-made has a number."""
    serving = registry.serving()
    for version in serving.versions:
        assert registry.record(version).state in ("tested", "production", "retired")
        assert not registry.verify(version, "production")
    for record in registry.records():
        for area in registry.areas(record.version):
            assert registry.store.manifest(f"{area}/{record.version}") == record.files
