"""What is kept of a model's pipelines, in a real registry's folder."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from cli import InfrastructureError
from pipeline.ledger import KEY, SILENCE_SECONDS, Ended, Entry, Ledger, UnderWay


@pytest.fixture
def ledger(tmp_path):
    return Ledger(str(tmp_path / "registry"), "a")


def ended(code, commit="c1", pipeline="train", **more):
    return Ended(commit=commit, pipeline=pipeline, exit_code=code, run="k", **more)


def under_way(ago=0.0, host="elsewhere", pid=1):
    beat = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    return UnderWay(commit="c", pipeline="train", run="k", host=host, pid=pid, beat=beat)


def test_model_that_was_never_carried_out_has_nothing(ledger, tmp_path):
    assert ledger.read() == Entry()
    assert not (tmp_path / "registry").exists()


def test_success_is_the_next_base_and_forgets_the_failure_before(ledger):
    ledger.end(ended(3))
    assert (ledger.read().done, ledger.read().failed.commit) == (None, "c1")
    ledger.end(ended(0, "c2", version=7))
    assert (ledger.read().done.commit, ledger.read().done.version, ledger.read().failed) == ("c2", 7, None)


def test_failure_leaves_the_base_as_it_is(ledger):
    ledger.end(ended(0, "c1"))
    ledger.end(ended(6, "c2"))
    assert (ledger.read().done.commit, ledger.read().failed.commit) == ("c1", "c2")


@pytest.mark.parametrize("code", [0, 3])
def test_files_that_were_not_committed_are_no_base(ledger, code):
    ledger.end(ended(0, "c1"))
    ledger.end(ended(code, None))
    assert (ledger.read().done.commit, ledger.read().failed) == ("c1", None)


@pytest.mark.parametrize(("code", "final"), [(1, False), (2, False), (3, True), (4, True), (5, False), (6, False)])
def test_only_the_models_own_failure_is_final(code, final):
    assert ended(code).final is final


def test_end_and_leave_tell_that_nothing_is_under_way_any_more(ledger):
    for finish in (lambda: ledger.end(ended(0)), lambda: ledger.leave("k")):
        ledger.begin("train", "c", "k")
        assert ledger.read().under_way.alive
        finish()
        assert ledger.read().under_way is None


def test_another_run_that_is_under_way_is_left_alone(ledger):
    ledger.begin("train", "c", "of another")
    ledger.leave("k")
    ledger.end(ended(0))
    assert ledger.read().under_way.run == "of another"


def test_silence_is_taken_for_death():
    assert under_way().alive
    assert not under_way(SILENCE_SECONDS + 1).alive


def test_process_of_this_machine_is_looked_for():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert not under_way(host=platform.node(), pid=dead.pid).alive
    assert under_way(host=platform.node(), pid=1).alive


def test_what_cannot_be_read_is_written_anew(ledger, tmp_path):
    ledger.end(ended(0))
    (tmp_path / "registry/a" / KEY).write_text("{")
    assert ledger.read() == Entry()
    ledger.end(ended(0, "c2"))
    assert ledger.read().done.commit == "c2"


def test_what_a_newer_trainyard_keeps_besides_stays(ledger, tmp_path):
    ledger.end(ended(0))
    file = tmp_path / "registry/a" / KEY
    file.write_text(json.dumps(json.loads(file.read_text()) | {"more": 1}))
    ledger.end(ended(3, "c2"))
    assert json.loads(file.read_text())["more"] == 1


def test_several_at_once_lose_nothing(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    def one(number):
        Ledger(str(tmp_path / "registry"), "a").begin("train", "c", str(number))

    with ThreadPoolExecutor(4) as several:
        list(several.map(one, range(8)))
    assert Ledger(str(tmp_path / "registry"), "a").read().under_way


def test_registry_that_takes_no_word_keeps_nobody_from_working(tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "a").mkdir()
    (tmp_path / "registry" / "a" / KEY).mkdir(parents=True)
    heard = []
    with Ledger(str(tmp_path / "registry"), "a").beating("train", "c", "k", heard.append):
        pass
    assert len(heard) == 1
    assert heard[0].startswith("That train is under way could not be recorded for others: ")
    with pytest.raises((InfrastructureError, OSError)):
        Ledger(str(tmp_path / "registry"), "a").end(ended(0))
