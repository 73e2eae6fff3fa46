"""A promotion without pods: what changes, what is refused, who may promote at a time."""

import os
import resource
import shutil
import threading
import time
from email import message_from_bytes
from multiprocessing import get_context
from pathlib import Path

import pytest

from cli.errors import Conflict, GateNotPassed, InfrastructureError, UsageError
from promote import choice, intent
from promote.ending import Ending
from promote.holder import Holder
from promote.rollover import Rollover
from registry import Registry, ServingState, Tampered
from testkit.registries import open_registry, promotable, published
from tests.unit.promote.helpers import check_served, promote, roll_back, rollover, states, two_promoted_one_tested


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    }


def test_first_promotion_serves_the_version(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    promotable(registry, tmp_path)
    outcome = promote(registry, 1)
    assert (outcome.version, outcome.previous) == (1, None)
    assert (registry.serving().versions, registry.serving().labels) == ((1,), {"stable": 1})
    assert states(registry) == {1: "production"}
    check_served(registry)


def test_next_promotion_keeps_the_old_version_at_hand(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    outcome = promote(registry, 3)
    assert outcome.previous == 2
    assert (registry.serving().versions, registry.serving().labels) == ((2, 3), {"stable": 3, "previous": 2})
    assert states(registry) == {1: "retired", 2: "retired", 3: "production"}
    assert [step.name for step in outcome.steps] == ["check", "copy", "load", "switch", "record"]


def test_journal_and_mail_tell_of_the_promotion(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    outcome = promote(registry, 3)
    entry = registry.journal.entries()[-1]
    assert (entry.action, entry.before, entry.after, entry.who, entry.reason) == ("promote", 2, 3, "ada", "because")
    assert outcome.mail is not None
    mail = message_from_bytes(Path(outcome.mail.where).read_bytes())
    assert mail["Subject"] == "chest-xray 3 promoted"


def test_rollback_loads_a_version_that_is_not_loaded_any_more(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    promote(registry, 3)
    roll_back(registry, 1)
    assert (registry.serving().versions, registry.serving().labels) == ((1, 3), {"stable": 1, "previous": 3})
    assert states(registry) == {1: "production", 2: "retired", 3: "retired"}


def test_rollback_twice_goes_back_twice(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    promote(registry, 3)
    for expected in (2, 1):
        assert choice.before_current(registry) == expected
        roll_back(registry, expected)
    with pytest.raises(UsageError, match=r"before 1; what was there at other times is 2, 3: .*rollback --to 3`"):
        choice.before_current(registry)


def test_rollback_of_the_first_promotion_names_no_way_there_is_none(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    promotable(registry, tmp_path)
    promote(registry, 1)
    with pytest.raises(UsageError, match="Version 1 is the first that was ever in production") as error:
        choice.before_current(registry)
    assert "--to" not in str(error.value)


def test_rollback_forward_and_back_again(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    roll_back(registry, 1)
    roll_back(registry, 2)
    promote(registry, 3)
    assert choice.before_current(registry) == 2


def test_rollback_with_a_configuration_made_by_hand_uses_its_label(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    with pytest.raises(UsageError, match="Nothing is in production"):
        choice.before_current(registry)
    registry.write_serving(ServingState((4, 7), {"stable": 7, "previous": 4}))
    assert choice.before_current(registry) == 4


def test_rollback_works_though_another_record_is_damaged(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    registry.store.write("records/3.json", b"{")
    assert choice.before_current(registry) == 1
    assert roll_back(registry, 1).version == 1


def test_going_back_from_a_version_whose_record_is_damaged_is_ended(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    registry.store.write("records/2.json", b"{")
    registry.store.write("journal/00000001.json", b"{")
    said: list[str] = []
    outcome = rollover(registry, tmp_path / "outbox", say=said.append).run("rollback", 1, "ada", "")
    assert (registry.serving().stable, intent.current(registry)) == (1, None)
    assert outcome.mail is not None and outcome.mail.where
    assert any("records/2.json is not a record" in line for line in said)
    assert b'"rollback"' in registry.store.read("journal/00000006.json")[0]


def test_mail_that_cannot_be_written_keeps_no_promotion_open(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    Path(registry.store.uri("reports/3/confusion.png")).mkdir(parents=True)
    outcome = promote(registry, 3)
    assert outcome.mail is not None and "confusion.png" in str(outcome.mail.error)
    assert intent.current(registry) is None
    assert roll_back(registry, 2).mail is not None


def test_version_in_production_is_not_promoted_again(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    before = snapshot(tmp_path)
    assert promote(registry, 2).already
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("training", "training has not ended"),
        ("gate", r"did not pass its training gate, so no files were saved \(0.6 is too low\)"),
        ("candidate", "--version 3"),
        ("rejected", "too slow"),
        ("retired", "--to 3"),
    ],
)
def test_version_that_may_not_be_promoted_is_refused_and_nothing_changes(tmp_path: Path, state: str, says: str) -> None:
    registry = two_promoted_one_tested(tmp_path)
    version = {"training": 4, "gate": 4, "candidate": 4, "rejected": 3, "retired": 1}[state]
    if state in ("training", "gate"):
        registry.create("train")
    if state == "gate":
        verdict = {"kind": "gate", "passed": False, "reasons": ["0.6 is too low"], "at": "2026-01-01T00:00:00Z"}
        registry.add_verdict(4, verdict, state="rejected")
    elif state == "candidate":
        published(registry, tmp_path)
    elif state == "rejected":
        verdict = {"kind": "test", "passed": False, "reasons": ["too slow"], "at": "2026-01-01T00:00:00Z"}
        registry.add_verdict(3, verdict, state="rejected")
    before = snapshot(tmp_path)
    with pytest.raises(GateNotPassed, match=says.replace("3", str(version))):
        promote(registry, version)
    assert snapshot(tmp_path) == before


def test_version_never_in_production_is_no_target_of_a_rollback(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    with pytest.raises(GateNotPassed, match="never in production"):
        roll_back(registry, 3)


def test_tampered_candidate_is_refused_by_name_and_not_copied(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    Path(registry.store.uri("testing/3/variables/variables.index")).write_bytes(b"evil")
    with pytest.raises(Tampered, match=r"changed: variables/variables\.index"):
        promote(registry, 3)
    assert registry.areas(3) == ["testing"]
    assert registry.serving().stable == 2
    assert intent.current(registry) is None


def test_tampered_copy_in_production_is_not_served_again(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    Path(registry.store.uri("production/1/saved_model.pb")).write_bytes(b"evil")
    with pytest.raises(Tampered, match=r"saved_model\.pb"):
        roll_back(registry, 1)
    assert registry.serving().stable == 2


def test_rollback_needs_only_the_copy_in_production(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    shutil.rmtree(registry.store.uri("testing/1"))
    roll_back(registry, 1)
    assert registry.serving().stable == 1


def test_newest_tested_version_is_chosen(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    published(registry, tmp_path)
    assert choice.newest_tested(registry).version == 3
    promote(registry, 3)
    with pytest.raises(GateNotPassed, match="No version"):
        choice.newest_tested(registry)


def test_older_tested_version_is_not_chosen_by_itself(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    promotable(registry, tmp_path)
    promotable(registry, tmp_path)
    promote(registry, 2)
    with pytest.raises(GateNotPassed, match="newer than 2"):
        choice.newest_tested(registry)


def failing_at(registry: Registry, tmp_path: Path, step: str, error: BaseException) -> Rollover:
    def say(line: str) -> None:
        if line.startswith(step):
            raise error

    return rollover(registry, tmp_path / "outbox", say=say)


@pytest.mark.parametrize("step", ["check", "copy", "load", "switch"])
@pytest.mark.parametrize("error", [InfrastructureError("The disk is gone."), KeyboardInterrupt(), SystemExit(143)])
def test_failure_before_the_end_puts_the_earlier_configuration_back(
    tmp_path: Path, step: str, error: BaseException
) -> None:
    registry = two_promoted_one_tested(tmp_path)
    with pytest.raises(type(error)) as raised:
        failing_at(registry, tmp_path, step, error).run("promote", 3, "ada", "")
    assert (registry.serving().versions, registry.serving().labels) == ((1, 2), {"stable": 2, "previous": 1})
    assert states(registry) == {1: "retired", 2: "production", 3: "tested"}
    assert intent.current(registry) is None
    if isinstance(error, InfrastructureError):
        told = "version 2 is served as before" if step in ("load", "switch") else "not changed"
        assert told in str(raised.value)
    promote(registry, 3)
    check_served(registry)


def test_failure_of_the_first_promotion_leaves_nothing_served(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    promotable(registry, tmp_path)
    with pytest.raises(InfrastructureError, match="nothing is served, as before"):
        failing_at(registry, tmp_path, "switch", InfrastructureError("x")).run("promote", 1, "ada", "")
    assert registry.serving().versions == ()
    promote(registry, 1)
    assert registry.serving().stable == 1


def test_configuration_edited_during_a_promotion_is_not_overwritten(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    edited = b'model_config_list { config { name: "other" base_path: "/m" model_platform: "tensorflow" } }'

    def say(line: str) -> None:
        if line.startswith("load"):
            registry.store.write("production/models.config", edited)

    with pytest.raises(Conflict, match="left as it is"):
        rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")
    assert registry.store.read("production/models.config")[0] == edited
    assert intent.current(registry) is None


def test_disk_that_is_full_in_the_middle_is_told_and_ended_by_the_next_call(tmp_path: Path) -> None:
    """A limit on the size of files fails writes as a full disk does."""
    registry = two_promoted_one_tested(tmp_path)

    def say(line: str) -> None:
        if line.startswith("load"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    child = os.fork()
    if child == 0:
        try:
            rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")
        except InfrastructureError as error:
            os._exit(6 if "the next call of promote does it" in str(error) else 98)
        except BaseException:
            os._exit(99)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    assert (registry.serving().versions, registry.serving().stable) == ((1, 2, 3), 2)
    check_served(registry)
    roll_back(registry, 1)
    assert (registry.serving().versions, registry.serving().stable) == ((1, 2), 1)


def test_second_promotion_at_the_same_time_is_told_who_holds_the_first(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    held, go_on = threading.Event(), threading.Event()

    def say(line: str) -> None:
        if line.startswith("load"):
            held.set()
            assert go_on.wait(30)

    first = threading.Thread(
        target=rollover(registry, tmp_path / "outbox", say=say).run, args=("promote", 3, "ada", "")
    )
    first.start()
    try:
        assert held.wait(30)
        for another in (lambda: promote(registry, 3), lambda: roll_back(registry, 1)):
            with pytest.raises(Conflict, match=f"version 3 by ada .process {os.getpid()} on "):
                another()
    finally:
        go_on.set()
        first.join(30)
    assert registry.serving().stable == 3


def test_promotion_held_elsewhere_is_taken_over_when_its_lease_has_ended(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    held = intent.take(registry, "promote", 3, "bob", "")
    held.change(holder=Holder(host="another-machine", pid=1))
    with pytest.raises(Conflict, match="by bob"):
        promote(registry, 3)
    registry.store.write(
        intent.KEY, held.intent.model_copy(update={"expires": time.time() - 1}).model_dump_json().encode()
    )
    promote(registry, 3)
    assert registry.serving().stable == 3
    # The one who lost it notices before changing anything.
    with pytest.raises(intent.Lost):
        held.change()


@pytest.mark.parametrize("other", [3, 4])
def test_promotion_that_another_came_before_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    registry = two_promoted_one_tested(tmp_path)
    promotable(registry, tmp_path)
    take = intent.take

    def late(*arguments: object) -> object:
        monkeypatch.undo()
        promote(registry, other)
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(intent, "take", late)
    with pytest.raises(Conflict, match=f"By now version {other} is in production, no longer 2"):
        promote(registry, 3)
    assert registry.serving().labels == {"stable": other, "previous": 2}
    assert intent.current(registry) is None


def test_decision_on_what_is_served_no_longer_is_a_conflict(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    promotable(registry, tmp_path)
    shown = registry.serving()
    promote(registry, 4)
    with pytest.raises(Conflict, match=r"By now version 4 is in production.* Nothing was changed"):
        rollover(registry, tmp_path / "outbox").run("promote", 3, "ada", "", shown)
    assert registry.serving().stable == 4


def lose(registry: Registry) -> None:
    """Makes the promotion under way one of a machine that has shown no sign of life for long."""
    found = intent.current(registry)
    assert found is not None
    gone = {"holder": Holder(host="another-machine", pid=1), "expires": time.time() - 1}
    registry.store.write(intent.KEY, found[0].model_copy(update=gone).model_dump_json().encode())


def test_process_that_stood_still_after_the_switch_and_lost_its_promotion_changes_nothing(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    promotable(registry, tmp_path)

    def say(line: str) -> None:
        if line.startswith("switch"):
            lose(registry)
            promote(registry, 4)  # which finishes that of version 3 first

    with pytest.raises(intent.Lost) as raised:
        rollover(registry, tmp_path / "late", say=say).run("promote", 3, "ada", "")
    assert "is served" not in str(raised.value)
    assert registry.serving().labels == {"stable": 4, "previous": 3}
    assert states(registry) == {1: "retired", 2: "retired", 3: "retired", 4: "production"}
    assert not (tmp_path / "late").exists()


def test_process_that_stands_still_while_it_keeps_the_books_overwrites_no_later_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_promoted_one_tested(tmp_path)
    promotable(registry, tmp_path)
    one = rollover(registry, tmp_path / "late")
    state = Ending._state

    def late(*arguments: object, **named: object) -> object:
        monkeypatch.undo()
        lose(registry)
        promote(registry, 4)
        return state(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Ending, "_state", late)
    with pytest.raises(intent.Lost):
        one.run("promote", 3, "ada", "")
    assert states(registry) == {1: "retired", 2: "retired", 3: "retired", 4: "production"}


@pytest.mark.parametrize("from_read", [1, 2, 3])
def test_storage_that_answers_with_an_old_configuration_leaves_no_record_behind(
    tmp_path: Path, from_read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch is done, but what is read afterwards, from some moment on, is still the configuration before it."""
    registry = two_promoted_one_tested(tmp_path)
    old, serving, reads = registry.serving(), registry.serving, iter(range(1, 100))

    def say(line: str) -> None:
        if line.startswith("switch"):
            monkeypatch.setattr(registry, "serving", lambda: old if next(reads) >= from_read else serving())

    with pytest.raises(
        InfrastructureError, match=r"was switched to version 3, but names 2 as `stable`.* completes the records"
    ):
        rollover(registry, tmp_path / "out", say=say).run("promote", 3, "ada", "")
    monkeypatch.undo()
    assert serving().stable == 3
    lose(registry)
    rollover(registry, tmp_path / "out").settle()
    assert states(registry) == {1: "retired", 2: "retired", 3: "production"}
    assert registry.journal.entries()[-1].version == 3
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_process_number_given_to_another_process_does_not_keep_a_promotion_alive() -> None:
    here = Holder.this_process()
    assert here.is_alive() is True
    if here.life:
        earlier = here.model_copy(update={"life": here.life.rsplit("/", 1)[0] + "/1"})
        assert earlier.is_alive() is False
    assert here.model_copy(update={"host": "another-machine"}).is_alive() is None


def test_promotion_that_cannot_be_understood_is_named(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    registry.store.write(intent.KEY, b"{")
    with pytest.raises(Exception, match=r"promotion\.json can't be understood"):
        promote(registry, 3)


def test_test_verdict_during_a_promotion_does_not_block_later_ones(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)

    def say(line: str) -> None:
        if line.startswith("switch"):
            registry.update(3, state="rejected")

    rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")
    assert registry.serving().stable == 3
    assert intent.current(registry) is None
    roll_back(registry, 2)
    assert registry.serving().stable == 2


def test_version_that_fails_a_test_while_it_is_loaded_gets_no_label(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)

    def say(line: str) -> None:
        if line.startswith("load"):
            registry.update(3, state="rejected")

    with pytest.raises(GateNotPassed, match=r"rejected by its tests.*earlier configuration is back"):
        rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")
    assert (registry.serving().versions, registry.serving().stable) == ((1, 2), 2)


def _try(folder: Path, version: int, results: Path) -> None:
    try:
        end = "already" if promote(open_registry(folder), version).already else "won"
    except Conflict:
        end = "conflict"
    except GateNotPassed:  # an earlier round promoted it, and another version replaced it
        end = "retired"
    (results / f"{end}-{version}").touch()


def test_processes_promoting_at_once_agree_on_what_happened(tmp_path: Path) -> None:
    registry = two_promoted_one_tested(tmp_path)
    for _ in range(3):
        promotable(registry, tmp_path)
    for number in range(3):
        results = tmp_path / f"results-{number}"
        results.mkdir()
        before = len(registry.journal.entries())
        processes = [
            get_context("fork").Process(target=_try, args=(tmp_path, version, results)) for version in (3, 4, 5, 6)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        won = {int(path.name.split("-")[1]) for path in results.glob("won-*")}
        assert len(list(results.iterdir())) == 4
        assert won or number > 0
        told = [entry.version for entry in registry.journal.entries()[before:]]
        assert sorted(told) == sorted(won)
        assert not told or told[-1] == registry.serving().stable
        production = [version for version, state in states(registry).items() if state == "production"]
        assert production == [registry.serving().stable]
        check_served(registry)
        assert intent.current(registry) is None


def _create(folder: Path, times: int) -> None:
    registry = open_registry(folder)
    for _ in range(times):
        registry.create("train", parameters={"pid": os.getpid()})


def test_processes_training_at_once_never_share_a_version(tmp_path: Path) -> None:
    processes = [get_context("fork").Process(target=_create, args=(tmp_path, 8)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    records = open_registry(tmp_path).records()
    assert [record.version for record in records] == list(range(1, 33))
    owners = [record.parameters["pid"] for record in records]
    assert sorted(owners.count(pid) for pid in set(owners)) == [8, 8, 8, 8]


def test_undo_killed_before_the_journal_is_told_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_promoted_one_tested(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise InfrastructureError("no more")

    def say(line: str) -> None:
        if line.startswith("switch"):
            monkeypatch.setattr(registry.journal, "append", fail)
            fail()

    with pytest.raises(InfrastructureError, match="Putting the earlier configuration back failed too"):
        rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")
    monkeypatch.undo()
    lose(registry)
    rollover(registry, tmp_path / "outbox").settle()
    last = registry.journal.entries()[-1]
    assert (last.action, last.before, last.after, last.since is None) == ("undo", 3, 2, False)
    assert registry.serving().stable == 2
