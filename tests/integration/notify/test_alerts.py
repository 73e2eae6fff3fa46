"""Every alert of the rules reaches somebody: Debian's Alertmanager, where it is, routes and mails it."""

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from testkit.buckets import free_port

PLACE = Path(__file__).parents[3] / "infra" / "observability"
RULES = [rule for group in yaml.safe_load((PLACE / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule["labels"]["severity"] for rule in RULES if "alert" in rule}
WHO = {"page": "duty@example.com", "ticket": "engineers@example.com"}


class Inbox(Message):
    def __init__(self) -> None:
        super().__init__()
        # Subject -> its readers.
        self.mails: dict[str, str] = {}

    def handle_message(self, message) -> None:
        self.mails[message["Subject"]] = message["To"]


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if alertmanager is None:
        pytest.skip("Alertmanager is not installed (Debian: prometheus-alertmanager); no alert was routed")
    folder, inbox = tmp_path_factory.mktemp("alertmanager"), Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    about = yaml.safe_load((PLACE / "alertmanager.yaml").read_text())
    about["global"] |= {"smtp_smarthost": f"127.0.0.1:{server.port}", "smtp_require_tls": False}
    for route in (about["route"], *about["route"]["routes"]):
        route["group_wait"] = "1s"
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(about))
    port = free_port()
    places = [f"--config.file={folder}/alertmanager.yaml", f"--storage.path={folder}/data"]
    command = [alertmanager, *places, f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    log = (folder / "log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        labels = [{"alertname": name, "severity": of, "model": "digits"} for name, of in ALERTS.items()]
        alerts = [{"labels": each, "annotations": {"summary": "it is so"}} for each in labels]
        until(lambda: process.poll() is not None or post(port, alerts))
        assert process.poll() is None, (folder / "log").read_text()
        until(lambda: len(inbox.mails) >= len(ALERTS))
        yield inbox.mails
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
        server.stop()


def post(port: int, alerts: list[dict[str, object]]) -> bool:
    """Whether they were taken."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/api/v2/alerts", json.dumps(alerts), {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False


def until(there) -> None:
    deadline = time.monotonic() + 60
    while not there() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_mailed_to_whom_its_severity_names(mails: dict[str, str], alert: str) -> None:
    assert [to for subject, to in mails.items() if alert in subject.split("(")[0].split()] == [WHO[ALERTS[alert]]]
