"""What counts of a load that was measured in turns."""

import time

import pytest

from testing import load


class Client:
    """Answers after `seconds`, but for the turns in which the machine is busy with something else."""

    def __init__(self, seconds, busy_calls=()):
        self.seconds, self.busy_calls, self.calls = seconds, busy_calls, 0

    def classify(self, image, version_label=None):
        self.calls += 1
        time.sleep(self.seconds[version_label] + (0.05 if self.calls in self.busy_calls else 0))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(load, "_ROUNDS", 3)
    monkeypatch.setattr(load, "_REQUESTS_A_ROUND", 16)


def measure(client):
    return load.measure_load(client, {"candidate": "stable", "production": "previous"}, [b"image"])


def test_turn_that_the_machine_disturbed_does_not_count():
    # The candidate's first turn, after the warm-up of both.
    busy = range(2 * load.CALLERS + 1, 2 * load.CALLERS + 17)
    found = measure(Client({"stable": 0.002, "previous": 0.002}, busy))
    assert max(found.candidate.samples_ms) > 50
    assert found.candidate.p95_ms < 50


def test_slow_version_is_slow_in_all_turns():
    found = measure(Client({"stable": 0.06, "previous": 0.002}))
    assert found.candidate.p95_ms >= 60
    assert found.candidate.requests_per_second < found.production.requests_per_second
    assert found.candidate.requests == len(found.candidate.samples_ms) == 48


def test_without_production_only_the_candidate_is_measured():
    found = load.measure_load(Client({"stable": 0}), {"candidate": "stable", "production": None}, [b"image"])
    assert found.production is None


def test_version_too_slow_for_all_turns_ends_early(monkeypatch):
    monkeypatch.setattr(load, "_MOST_SECONDS", 0.0)
    found = measure(Client({"stable": 0.001, "previous": 0.001}))
    assert found.candidate.requests == found.production.requests == 16
