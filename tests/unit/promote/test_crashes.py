"""Killed before any system call that changes the disk: what is served stays whole, and the next call ends it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cli.errors import InfrastructureError
from promote import intent
from registry import Registry
from testkit.registries import model_folder, open_registry, promotable, published
from tests.unit.promote.helpers import check_served, promote, roll_back, rollover, states, two_promoted_one_tested

CHANGING = ("link", "replace", "rename", "unlink", "rmdir", "mkdir", "write")
KILLED = 77
_MOST_CALLS = 1000


def dies_before_call(number: int, work: Callable[[], Any]) -> bool:
    """Runs `work` in a child process that ends on the spot before its n-th changing call; False if it made fewer."""
    child = os.fork()
    if child == 0:
        left = number

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os._exit(KILLED)
                return real(*arguments, **options)

            return call

        for name in CHANGING:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def each_crash(base: Path, folder: Path, work: Callable[[Registry], Any], step: int = 1) -> Iterator[Registry]:
    """A copy of `base` for every (or every `step`-th) changing call of `work`, which was killed before it."""
    for number in range(1, _MOST_CALLS, step):
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(base, copy, symlinks=True)
        registry = open_registry(copy)
        if not dies_before_call(number, lambda registry=registry: work(registry)):  # type: ignore[misc]
            assert number > 10, "the calls are not counted"
            return
        yield registry
    pytest.fail("it never ended")


def promotions_of(registry: Registry, version: int, action: str) -> int:
    return sum(entry.action == action and entry.version == version for entry in registry.journal.entries())


def test_killed_promotion_is_finished_or_undone_by_the_next(tmp_path: Path) -> None:
    two_promoted_one_tested(tmp_path / "base")
    seen = set()
    for registry in each_crash(tmp_path / "base", tmp_path, lambda registry: promote(registry, 3)):
        check_served(registry)
        serving = registry.serving()
        assert serving.stable in (2, 3)
        seen.add((serving.stable, serving.versions))
        promote(registry, 3)
        check_served(registry)
        serving = registry.serving()
        assert (serving.versions, serving.labels) == ((2, 3), {"stable": 3, "previous": 2})
        assert states(registry) == {1: "retired", 2: "retired", 3: "production"}
        assert promotions_of(registry, 3, "promote") == 1
        assert not Path(registry.store.uri(intent.KEY)).exists()
    assert seen == {(2, (1, 2)), (2, (1, 2, 3)), (3, (1, 2, 3)), (3, (2, 3))}


def test_killed_promotion_does_not_stop_a_rollback(tmp_path: Path) -> None:
    two_promoted_one_tested(tmp_path / "base")
    for registry in each_crash(tmp_path / "base", tmp_path, lambda registry: promote(registry, 3), step=3):
        roll_back(registry, 1)
        check_served(registry)
        assert registry.serving().stable == 1
        assert [version for version, state in states(registry).items() if state == "production"] == [1]


def test_killed_rollback_is_finished_or_undone_by_the_next(tmp_path: Path) -> None:
    two_promoted_one_tested(tmp_path / "base")
    for registry in each_crash(tmp_path / "base", tmp_path, lambda registry: roll_back(registry, 1)):
        check_served(registry)
        assert registry.serving().stable in (1, 2)
        roll_back(registry, 1)
        check_served(registry)
        serving = registry.serving()
        assert (serving.versions, serving.labels) == ((1, 2), {"stable": 1, "previous": 2})
        assert states(registry) == {1: "production", 2: "retired", 3: "tested"}
        assert promotions_of(registry, 1, "rollback") == 1


def test_killed_first_promotion_serves_nothing_or_the_model(tmp_path: Path) -> None:
    promotable(open_registry(tmp_path / "base"), tmp_path / "base")
    for registry in each_crash(tmp_path / "base", tmp_path, lambda registry: promote(registry, 1), step=2):
        check_served(registry)
        promote(registry, 1)
        check_served(registry)
        serving = registry.serving()
        assert (serving.versions, serving.labels) == ((1,), {"stable": 1})
        assert states(registry) == {1: "production"}


def test_killed_undo_is_undone_by_the_next(tmp_path: Path) -> None:
    """The promotion was killed with version 3 loaded beside the others; then the call that undoes it is killed."""
    two_promoted_one_tested(tmp_path / "base")
    for registry in each_crash(tmp_path / "base", tmp_path, lambda registry: promote(registry, 3)):
        if registry.serving().versions == (1, 2, 3) and registry.serving().stable == 2:
            shutil.copytree(tmp_path / "copy", tmp_path / "left")
            break
    for registry in each_crash(tmp_path / "left", tmp_path, lambda registry: roll_back(registry, 1), step=3):
        check_served(registry)
        roll_back(registry, 1)
        assert registry.serving().stable == 1
        assert states(registry) == {1: "production", 2: "retired", 3: "tested"}


def test_promotion_that_failed_and_was_killed_is_never_finished(tmp_path: Path) -> None:
    """It fails after the switch, and is killed while it puts the earlier configuration back."""
    two_promoted_one_tested(tmp_path / "base")

    def fail(registry: Registry) -> None:
        def say(line: str) -> None:
            if line.startswith("switch"):
                raise InfrastructureError("A pod is gone.")

        with suppress(InfrastructureError):
            rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")

    seen = set()
    for registry in each_crash(tmp_path / "base", tmp_path, fail):
        left = intent.current(registry)
        failed = left is not None and left[0].undo
        seen.add((failed, registry.serving().stable))
        rollover(registry, tmp_path / "outbox").settle()
        check_served(registry)
        if failed:
            assert registry.serving().stable == 2
    assert (True, 3) in seen


def test_killed_publish_leaves_no_half_model_and_can_be_repeated(tmp_path: Path) -> None:
    published(open_registry(tmp_path / "base"), tmp_path / "base")
    built = model_folder(tmp_path / "built", b"new")

    def publish(registry: Registry) -> None:
        registry.publish(registry.create("train").version, built)

    for registry in each_crash(tmp_path / "base", tmp_path, publish):
        check_served(registry)
        newest = registry.records()[-1]
        version = newest.version if newest.state == "training" else registry.create("train").version
        assert registry.publish(version, built).state == "candidate"
        check_served(registry)
        # Whatever the killed process left aside goes with the next model.
        published(registry, tmp_path / "copy")
        assert list(Path(registry.store.uri("records")).parent.joinpath(".staging").iterdir()) == []
