"""Promotions that real pods must follow: waited for, asked, switched; or everything is put back."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.errors import GateNotPassed, InfrastructureError
from promote import intent
from promote.__main__ import app
from promote.pods import Pods
from promote.rollover import Outcome, Rollover
from registry import Registry
from settings.schema import Mail
from testkit.registries import open_registry, promotable
from tests.integration.promote.pods import GOLDEN, PROBABILITIES, Pod, running

EARLIER = ((1,), {"stable": 1})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Version 1 in production, 2 tested."""
    registry = open_registry(tmp_path)
    for _ in range(2):
        promotable(registry, tmp_path, golden=[{"image": GOLDEN, "probabilities": PROBABILITIES}])
    promote(registry, [], 1)
    return registry


def promote(
    registry: Registry, addresses: list[str], version: int, timeout: float = 20, action: Any = "promote"
) -> Outcome:
    outbox = Path(registry.store.uri("records")).parent.parent / "outbox"
    return Rollover(registry, Pods(addresses), Mail(outbox=str(outbox)), timeout).run(action, version, "ada", "")


def served(registry: Registry) -> tuple[tuple[int, ...], dict[str, int]]:
    return registry.serving().versions, registry.serving().labels


def check_put_back(registry: Registry) -> None:
    assert served(registry) == EARLIER
    assert [record.state for record in registry.records()] == ["production", "tested"]
    assert intent.current(registry) is None


def test_every_pod_loads_answers_and_switches_in_that_order(registry: Registry) -> None:
    pods = [Pod(registry), Pod(registry, slow=5)]
    with running(*pods) as addresses:
        outcome = promote(registry, addresses, 2)
    assert [step.name for step in outcome.steps] == ["check", "copy", "load", "ask", "switch", "confirm", "record"]
    assert sorted(outcome.pods) == sorted(addresses)
    for pod in pods:
        assert pod.told == [((1, 2), {"stable": 1}), ((1, 2), {"stable": 2, "previous": 1})]
        assert pod.asked == [2]
    assert served(registry) == ((1, 2), {"stable": 2, "previous": 1})


def test_rollback_waits_for_the_pods_too(registry: Registry) -> None:
    pod = Pod(registry)
    with running(pod) as addresses:
        promote(registry, addresses, 2)
        outcome = promote(registry, addresses, 1, action="rollback")
    assert outcome.pods == addresses
    assert pod.asked == [2, 1]
    assert served(registry) == ((1, 2), {"stable": 1, "previous": 2})


def test_pod_that_never_loads_stops_the_promotion(registry: Registry) -> None:
    slow = Pod(registry, never_loads={2})
    with (
        running(Pod(registry), slow) as addresses,
        pytest.raises(InfrastructureError, match=f"{slow.address}: version 2 LOADING.*1 is served as before"),
    ):
        promote(registry, addresses, 2, timeout=1)
    check_put_back(registry)


def test_pod_that_never_reads_its_configuration_again_is_told_how_it_would(registry: Registry) -> None:
    with (
        running(Pod(registry), Pod(registry, reads_once=True)) as addresses,
        pytest.raises(InfrastructureError, match=r"not loaded, stable is 1.*--model_config_file_poll_wait_seconds=1"),
    ):
        promote(registry, addresses, 2, timeout=1)
    check_put_back(registry)
    with (
        running(Pod(registry, never_loads={2})) as addresses,
        pytest.raises(InfrastructureError, match="2 LOADING") as loading,
    ):
        promote(registry, addresses, 2, timeout=1)
    assert "poll" not in str(loading.value)


def test_pod_that_fails_to_load_stops_the_promotion_at_once(registry: Registry) -> None:
    with (
        running(Pod(registry, fails_to_load={2})) as addresses,
        pytest.raises(InfrastructureError, match="could not load version 2"),
    ):
        promote(registry, addresses, 2, timeout=600)
    check_put_back(registry)


@pytest.mark.parametrize("probabilities", [[0.7002, 0.1998, 0.1], [0.1, 0.2, 0.7], [float("nan")] * 3])
def test_pod_that_answers_otherwise_than_recorded_stops_the_promotion(
    registry: Registry, probabilities: list[float]
) -> None:
    wrong = Pod(registry, probabilities=probabilities)
    with (
        running(Pod(registry), wrong) as addresses,
        pytest.raises(GateNotPassed, match=f"{wrong.address} answered golden request 1 of version 2"),
    ):
        promote(registry, addresses, 2)
    check_put_back(registry)
    assert not any(told[0] == (1, 2) and told[1]["stable"] == 2 for told in wrong.told)


def test_answers_within_the_tolerance_are_right(registry: Registry) -> None:
    with running(Pod(registry, probabilities=[0.70005, 0.19995, 0.1])) as addresses:
        assert promote(registry, addresses, 2).version == 2


def test_pod_that_answers_with_another_version_stops_the_promotion(registry: Registry) -> None:
    with running(Pod(registry, answers_as=1)) as addresses, pytest.raises(GateNotPassed, match="with version 1"):
        promote(registry, addresses, 2)
    check_put_back(registry)


def test_pod_that_does_not_switch_has_everything_put_back(registry: Registry) -> None:
    with (
        running(Pod(registry), Pod(registry, never_switches=True)) as addresses,
        pytest.raises(InfrastructureError, match="not every serving pod was ready"),
    ):
        promote(registry, addresses, 2, timeout=1.5)
    check_put_back(registry)


def test_pod_that_is_not_there_stops_the_promotion(registry: Registry) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
        with (
            running(Pod(registry)) as addresses,
            pytest.raises(InfrastructureError, match=f"No adapter answers at {nobody}"),
        ):
            promote(registry, [*addresses, nobody], 2, timeout=0.5)
    check_put_back(registry)


def test_pod_of_another_model_stops_the_promotion(registry: Registry) -> None:
    with (
        running(Pod(registry, model="other")) as addresses,
        pytest.raises(InfrastructureError, match="serves the model 'other'"),
    ):
        promote(registry, addresses, 2, timeout=0.5)
    check_put_back(registry)


def test_name_that_cannot_be_found_stops_the_promotion(registry: Registry) -> None:
    with pytest.raises(InfrastructureError, match="can't be found"):
        promote(registry, ["no-such-host.invalid:9090"], 2)
    check_put_back(registry)


def test_name_with_several_addresses_stands_for_all(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def headless(host: str, port: int, **options: Any) -> list[Any]:
        assert host == "adapters"
        v4 = [(socket.AF_INET, 1, 6, "", (f"127.0.0.{last}", port)) for last in (1, 2)]
        return [*v4, (socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", headless)
    assert Pods(["adapters:9090"]).addresses() == ["127.0.0.1:9090", "127.0.0.2:9090"]


def test_status_shows_what_each_pod_serves(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as unused, running(Pod(registry, slow=0)) as addresses:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
        arguments = ["status", "--registry", str(tmp_path / "registry"), "--pod", addresses[0], "--pod", nobody]
        result = CliRunner().invoke(app, [*arguments, "--json"])
        there, away = json.loads(result.stdout)["pods"]
        assert (there["stable"], there["versions"], there["error"]) == (1, {"1": "AVAILABLE"}, None)
        assert "No adapter answers" in away["error"]
        assert "1 AVAILABLE" in CliRunner().invoke(app, arguments).stdout
