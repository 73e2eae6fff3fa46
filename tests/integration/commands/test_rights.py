"""Every program does its work under its own account's rights, as Terraform grants them, and no right is left over.

Nobody but Google can say what is answered about what is not there (testkit/rights.py): all must work under the stricter
reading; the reads of TensorFlow are tried under both.
"""

import email.policy
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dataset import write_sample
from pipeline.ledger import Ledger
from promote import intent
from registry import Registry
from registry.errors import Refused
from testkit import buckets, rights
from testkit.registries import MODEL, keys_in
from tests import terraform
from tests.commands import call, publish_healthy
from tests.integration.model_server.google import Tunnel, write_certificate
from tests.integration.training.yards import write_yard

# Training, retraining and the model tests, one after the other.
pytestmark = pytest.mark.timeout(600)
BUCKET = "rights-of-all"
TRAINS, PROMOTES, SERVES = "trainyard-jobs/pipeline", "trainyard-promotion/promote", "trainyard/serving"
COLLECTS = "trainyard-promotion/gc"  # test_gc_rights.py
AGENT, CHECKS = "trainyard-train/trainyard-train", "trainyard-check/trainyard-check"
# Module of a command -> the accounts that call it, or why none does. A command that is added needs a line here.
PROGRAMS = {
    "training.train": (TRAINS, AGENT),
    "training.retrain": (TRAINS, AGENT),
    "testing": (TRAINS, AGENT),
    "monitoring.drift": (TRAINS,),
    "pipeline": (AGENT, CHECKS, "trainyard-train/trainyard-check"),
    "promote": (PROMOTES, "trainyard-promotion/trainyard-promote"),
    "registry": (COLLECTS,),
    "serving.model_server": (SERVES, "trainyard-staging/serving"),
    "serving.adapter": "it reads no bucket",
    "serving.client": "it reads no bucket",
    "serving.pod": "on one machine",
    "curation": "on one machine",
    "models": "on one machine",
    "quickstart": "on one machine",
    "training.networks.check": "it reads no bucket",
}
# Image -> the module that it starts (infra/docker/BUILD).
IMAGES = {
    "train": "training.train",
    "retrain": "training.retrain",
    "test_model": "testing",
    "model_server": "serving.model_server",
    "adapter": "serving.adapter",
    "promote": "promote",  # and registry
}
LIMITS = ["--epochs", "1", "--min-accuracy", "0", "--min-recall", "0"]
# What TensorFlow Serving asks for, in its order (its file_system_storage_path_source.cc, then TensorFlow's loader, by
# its C API, as Python's asks for other files). An answer about the folder, or about a model's debug info, other than
# "there" or "not there" is an error, at every poll.
AS_SERVING = """
import sys
sys.modules.update(sklearn=None, matplotlib=None)  # a third of TensorFlow's import, for wrappers alone
import ctypes, pathlib, tensorflow as tf
from google.protobuf import text_format
from trainyard.wire.tensorflow_serving_pb2 import ModelServerConfig
with tf.io.gfile.GFile(sys.argv[1]) as file:
    (entry,) = text_format.Parse(file.read(), ModelServerConfig()).model_config_list.config
if not tf.io.gfile.exists(entry.base_path):
    sys.exit(f"{entry.base_path} is not there")
children = {name.split("/")[0] for name in tf.io.gfile.listdir(entry.base_path)}
c = ctypes.CDLL(str(pathlib.Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
for maker in (c.TF_NewStatus, c.TF_NewGraph, c.TF_NewSessionOptions, c.TF_LoadSessionFromSavedModel):
    maker.restype = ctypes.c_void_p
c.TF_Message.restype = ctypes.c_char_p
for version in entry.model_version_policy.specific.versions:
    if str(version) not in children:
        sys.exit(f"{version} is not among {children}")
    folder = tf.io.gfile.join(entry.base_path, str(version))
    status, graph = ctypes.c_void_p(c.TF_NewStatus()), ctypes.c_void_p(c.TF_NewGraph())
    options = ctypes.c_void_p(c.TF_NewSessionOptions())
    tags = (ctypes.c_char_p * 1)(b"serve")
    c.TF_LoadSessionFromSavedModel(options, None, folder.encode(), tags, 1, graph, None, status)
    if c.TF_GetCode(status):
        sys.exit(c.TF_Message(status).decode())
    tf.io.gfile.GFile(folder + "/assets.extra/tf_serving_warmup_requests", "rb").read(1)
"""


@dataclass
class Cloud:
    """The registry's bucket, and the way to it of each account."""

    folder: Path
    emulator: str
    accounts: dict[str, rights.Account] = field(default_factory=dict)

    @property
    def registry(self) -> Registry:
        """As whoever may do everything."""
        return Registry.open(f"gs://{BUCKET}", MODEL, keys_in(self.folder))

    def call(self, account: str, module: str, *arguments: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", self.accounts[account].address)
            return call(self.folder, module, *arguments, "--registry", f"gs://{BUCKET}", "--json")

    def read_as_serving(self, account: rights.Account, port: int) -> "subprocess.CompletedProcess[str]":
        """TensorFlow reads what is in production, through a tunnel to the account's proxy, which speaks TLS."""
        with Tunnel(port) as tunnel:
            threading.Thread(target=tunnel.serve_forever, daemon=True).start()
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
                "https_proxy": f"http://127.0.0.1:{tunnel.server_address[1]}",
                "CURL_CA_BUNDLE": str(self.folder / "certificate.pem"),
                "NO_GCE_CHECK": "true",
                "GCS_RETRY_CONFIG_MAX_RETRIES": "1",
            }
            command = [sys.executable, "-c", AS_SERVING, f"gs://{BUCKET}/{MODEL}/production/models.config"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
            tunnel.shutdown()
        return done


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("rights")
    (folder / "terraform").mkdir()
    # Without Terraform the commands are run all the same, with the rights to everything.
    may_all = rights.Grant("", "roles/storage.objectUser")
    everything = {name: [may_all] for name in (TRAINS, AGENT, CHECKS, PROMOTES, SERVES)}
    granted = terraform.grants(folder / "terraform") if shutil.which("terraform") else everything
    with ExitStack() as stack:
        made = Cloud(folder, stack.enter_context(buckets.emulator()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("STORAGE_EMULATOR_HOST", made.emulator)
        buckets.make_bucket(BUCKET)
        for name, grants in granted.items():
            made.accounts[name] = stack.enter_context(rights.account(made.emulator, grants, strict=True))
        keys_in(folder).require()
        write_yard(folder)
        write_certificate(folder / "certificate.pem", folder / "key.pem")
        write_sample(folder / "sample", images_per_class=12, seed=3)
        yield made


# The tests below are one history, in this order.


def test_train_retrain_and_test_model(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_GATES_TOLERANCE", "1")
    dataset = ["--dataset", str(cloud.folder / "sample")]
    record = cloud.call(TRAINS, "training.train", *dataset, *LIMITS)
    assert (record["version"], record["state"]) == (1, "candidate")
    assert not cloud.registry.verify(1)
    record = cloud.call(AGENT, "training.retrain", *dataset, *LIMITS)
    assert (record["version"], record["parent"]) == (2, 1)
    # One epoch makes no model that passes the tests; this one does.
    publish_healthy(cloud.registry, cloud.folder / "healthy")
    verdict = cloud.call(TRAINS, "testing", *dataset)
    assert (verdict["version"], verdict["passed"]) == (3, True)
    assert verdict["report"] == f"gs://{BUCKET}/{MODEL}/reports/3/test.html"


def test_promote(cloud: Cloud) -> None:
    result = cloud.call(PROMOTES, "promote", "run", "--yes", "--approver", "ada")
    assert (result["promoted"], result["previous"]) == (3, None)
    assert cloud.registry.serving().stable == 3 and not cloud.registry.verify(3, "production")
    config = cloud.registry.store.read("production/models.config")[0].decode()
    assert f'base_path: "gs://{BUCKET}/{MODEL}/production/"' in config
    [mail] = (cloud.folder / "outbox").iterdir()
    text = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default).get_body(("plain",)).get_content()
    assert f"--registry gs://{BUCKET}" in text


def test_promotion_that_an_earlier_version_left_beside_the_folders_is_found_and_ended(cloud: Cloud) -> None:
    held = intent.take(cloud.registry, "promote", 3, "bob", "")
    gone = held.intent.model_copy(
        update={"expires": 0.0, "holder": held.intent.holder.model_copy(update={"host": "x"})}
    )
    held.release()
    generation = cloud.registry.store.write(intent.EARLIER_KEY, gone.model_dump_json().encode())
    found = intent.current(cloud.registry)
    assert found and found[1] == generation
    assert cloud.call(PROMOTES, "promote", "run", "--yes", "--version", "3")["already"]
    assert intent.current(cloud.registry) is None


@pytest.mark.parametrize("strict", [True, False])
def test_tensorflow_serving_finds_what_it_serves(cloud: Cloud, strict: bool) -> None:
    grants, tls = cloud.accounts[SERVES].grants, (cloud.folder / "certificate.pem", cloud.folder / "key.pem")
    with rights.account(cloud.emulator, grants, strict=strict, tls=tls) as account:
        done = cloud.read_as_serving(account, account.port)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not account.refused
    cloud.accounts[SERVES].used |= account.used


def test_folder_without_its_slash_would_be_found_by_these_reads(cloud: Cloud) -> None:
    terraform.require()
    key = "production/models.config"
    config = cloud.registry.store.read(key)[0]
    grants, tls = cloud.accounts[SERVES].grants, (cloud.folder / "certificate.pem", cloud.folder / "key.pem")
    cloud.registry.store.write(key, config.replace(b'/production/"', b'/production"'))
    try:
        with rights.account(cloud.emulator, grants, strict=False, tls=tls) as account:
            done = cloud.read_as_serving(account, account.port)
    finally:
        cloud.registry.store.write(key, config)
    assert done.returncode and "403" in done.stderr


def test_configuration_of_an_earlier_version_is_mended(cloud: Cloud) -> None:
    key = "production/models.config"
    config = cloud.registry.store.read(key)[0]
    cloud.registry.store.write(key, config.replace(b'/production/"', b'/production"'))
    cloud.call(PROMOTES, "promote", "run", "--yes", "--version", "3")
    assert cloud.registry.serving().base_path == f"gs://{BUCKET}/{MODEL}/production/"


def test_ledger_of_an_agent_is_read_by_who_plans(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.accounts[AGENT].address)
    ledger = Ledger(f"gs://{BUCKET}", MODEL)
    ledger.begin("retrain", "c" * 40, "r1")
    ledger.leave("r1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.accounts[CHECKS].address)
    assert Ledger(f"gs://{BUCKET}", MODEL).read().under_way is None


def test_too_little_fails_and_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    terraform.require()
    fewer = [grant for grant in cloud.accounts[PROMOTES].grants if "/journal/" not in grant.prefix]
    with rights.account(cloud.emulator, fewer, strict=True) as account:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", account.address)
        there = Registry.open(f"gs://{BUCKET}", MODEL, keys_in(cloud.folder))
        with pytest.raises(Refused, match=f"{MODEL}/journal/.*Storage Object User"):
            there.journal.append("promote", 2)
    assert any("/journal/" in refused for refused in account.refused)


def test_nobody_was_refused_what_is_there(cloud: Cloud) -> None:
    beside = f"list {MODEL}/{intent.EARLIER_KEY}"  # which asks whether a refusal means that there is none
    assert {refused for account in cloud.accounts.values() for refused in account.refused} <= {beside}


def test_no_right_is_left_over(cloud: Cloud) -> None:
    """Of the first model; every other has the same (tests/unit/manifests)."""
    terraform.require()
    over = []
    # Who has the same rights does the same (PROGRAMS).
    alike = {
        AGENT: TRAINS,
        "trainyard-train/trainyard-check": CHECKS,
        "trainyard-promotion/trainyard-promote": PROMOTES,
        "trainyard-staging/serving": SERVES,
    }
    for name, account in cloud.accounts.items():
        others = cloud.accounts[alike[name]].used if name in alike else set()
        if name not in (COLLECTS, "trainyard-staging/serving"):
            of_first = [grant for grant in account.grants if grant.prefix.startswith(f"{MODEL}/")]
            over += [f"{name}: {right}" for right in rights.left_over(of_first, account.used | others)]
    assert over == []


def test_every_command_has_its_account() -> None:
    images = (terraform.TERRAFORM.parent / "k8s" / "images" / "kustomization.yaml").read_text()
    assert set(re.findall(r"\{name: trainyard/(\w+),", images)) == set(IMAGES)
    assert set(IMAGES.values()) <= PROGRAMS.keys()
    granted = {name for names in PROGRAMS.values() if isinstance(names, tuple) for name in names}
    tables = (terraform.TERRAFORM / "rights.tf").read_text().replace("${var.name}", "trainyard")
    assert granted == set(re.findall(r'"(trainyard[\w-]*/[\w-]+)"\s*=', tables)) | {SERVES}
