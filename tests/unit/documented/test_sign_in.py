"""scripts/sign-in: docker gets the token of this machine's account, by no argument, and for Google's registries."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.manifests import ROOT

TOKEN = "a-token-of-the-account"
GOOGLES = "europe-west4-docker.pkg.dev"


class Metadata(BaseHTTPRequestHandler):
    """The metadata server, which answers nobody who does not say so."""

    def do_GET(self) -> None:
        known = self.path == "/computeMetadata/v1/instance/service-accounts/default/token"
        self.send_response(200 if known and self.headers["Metadata-Flavor"] == "Google" else 403)
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": TOKEN}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def signed_in(folder: Path, prefix: str, metadata: str) -> tuple[int, str, str]:
    """(exit code, docker's arguments, what it was told)"""
    docker = folder / "docker"
    docker.write_text(f'#!/bin/sh\necho "$*" > {folder}/arguments\ncat > {folder}/told\n[ -s {folder}/told ]\n')
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "GCE_METADATA_HOST": metadata}
    done = subprocess.run([ROOT / "scripts" / "sign-in", prefix], env=environment, capture_output=True, timeout=60)
    read = [(folder / name).read_text().strip() if (folder / name).exists() else "" for name in ("arguments", "told")]
    return done.returncode, read[0], read[1]


def test_docker_is_told_the_accounts_token(tmp_path: Path, metadata: str) -> None:
    code, arguments, told = signed_in(tmp_path, f"{GOOGLES}/project/trainyard", metadata)
    assert (code, told) == (0, TOKEN)
    assert arguments == f"login --username oauth2accesstoken --password-stdin https://{GOOGLES}"


@pytest.mark.parametrize("prefix", ["registry.example.com/trainyard", f"example.com/{GOOGLES}"])
def test_another_registry_never_gets_the_token(tmp_path: Path, metadata: str, prefix: str) -> None:
    assert signed_in(tmp_path, prefix, metadata) == (0, "", "")


def test_machine_without_an_account_is_told(tmp_path: Path) -> None:
    assert signed_in(tmp_path, f"{GOOGLES}/project/trainyard", "127.0.0.1:1")[0] == 6
