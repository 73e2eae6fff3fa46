"""The dashboard on its way into a Grafana: gke.md's commands, by the real curl, against a stand-in of its API."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.manifests import ROOT
from tests.unit.documented.yard import blocks

TOKEN = "glsa_a-token"
DASHBOARD = ROOT / "infra" / "observability" / "dashboard.json"
COMMANDS = blocks("gke", "Dashboard")


def refusal(path: str, body: dict[str, Any]) -> str:
    """What Grafana's documented API says against a body; empty: it is taken."""
    if path == "/api/datasources":
        missing = {"name", "type", "access", "url"} - body.keys()
        return f"bad request data: {missing}" if missing or not body["url"].startswith("http") else ""
    if path != "/api/dashboards/db":
        return "Not found"
    board = body.get("dashboard", {})
    if not board.get("title"):
        return "Dashboard title cannot be empty"
    # With a number of another Grafana's it is looked for, and not found.
    if board.get("id") is not None:
        return "Dashboard not found"
    if not re.fullmatch(r"[\w-]{1,40}", board.get("uid", "")):
        return "uid contains illegal characters"
    return "" if body.get("overwrite") is True else "The dashboard has been changed by someone else"


class Grafana(BaseHTTPRequestHandler):
    taken: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = (
            self.headers["Authorization"] == f"Bearer {TOKEN}" and self.headers["Content-Type"] == "application/json"
        )
        said = refusal(self.path, body) if known else "Unauthorized"
        self.send_response((400 if known else 401) if said else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"message": said}).encode())
        if not said:
            type(self).taken.append((self.path, body))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def grafana() -> Iterator[str]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed; the commands were not tried")
    Grafana.taken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Grafana)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(commands: str, address: str, token: str = TOKEN) -> "subprocess.CompletedProcess[str]":
    given = {
        "GRAFANA": address,
        "GRAFANA_TOKEN": token,
        "PROMETHEUS": "http://prometheus.monitoring:9090",
        "NO_PROXY": "*",
    }
    command = ["bash", "-euo", "pipefail", "-c", commands]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **given}, capture_output=True, text=True, timeout=60)


def test_grafana_takes_the_data_source_and_the_dashboard(grafana: str) -> None:
    done = run(COMMANDS, grafana)
    assert done.returncode == 0, done.stderr
    (_, source), (_, board) = Grafana.taken
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus.monitoring:9090")
    assert board["dashboard"] == json.loads(DASHBOARD.read_text())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("$GRAFANA_TOKEN", "another", "Unauthorized"), ("dashboards/db", "dashboards", "Not found"),
     ("true", "false", "changed by someone"), (r'\"url\"', r'\"urls\"', "bad request")],
)  # fmt: skip
def test_command_that_grafana_would_refuse_ends_badly(grafana: str, old: str, new: str, said: str) -> None:
    assert old in COMMANDS
    done = run(COMMANDS.replace(old, new), grafana)
    assert done.returncode and said in done.stdout, done


def wrong_with(board: dict[str, Any]) -> list[str]:
    """What Grafana would draw wrongly, or not at all."""
    found, taken, panels = [], set(), board["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        found.append("two panels have one id")
    variables = {one["name"] for one in board["templating"]["list"]}
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if cells & taken or place["x"] + place["w"] > 24:
            found.append(f"{panel['title']}: on another one, or beyond the edge")
        taken |= cells
        references = [target["refId"] for target in panel["targets"]]
        if len(set(references)) != len(references):
            found.append(f"{panel['title']}: two queries of one name")
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([board["panels"], board["templating"]]))) - {
        "__rate_interval",
        "__all",
    }
    return found + [f"no variable {name}" for name in sorted(used - variables)]


def test_panels_have_a_place_and_what_they_name_is_there() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert wrong_with(board) == []
    for change, said in (
        (lambda b: b["panels"][1].update(id=1), "two panels have one id"),
        (lambda b: b["panels"][1]["gridPos"].update(x=6), "on another one"),
        (lambda b: b["panels"][1]["targets"][1].update(refId="A"), "two queries of one name"),
        (lambda b: b["templating"]["list"].pop(), "no variable model"),
    ):
        broken = json.loads(DASHBOARD.read_text())
        change(broken)
        assert any(said in one for one in wrong_with(broken)), said
