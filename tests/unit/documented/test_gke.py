"""docs/operations/gke.md, from an empty project to the first prediction, executed in its order on stand-ins.

A step that would stop stops the test: a name that is there already, a namespace, secret or right that is not there yet.
"""

import json
import re

import pytest

from tests.manifests import ROOT
from tests.unit.documented.yard import SECTIONS, gke

GKE = [gke(section) for section in SECTIONS]


def test_documented_path_ends_with_a_prediction(walk):
    yard = walk[-1]
    world = json.loads(yard.world.read_text())
    assert world["versions"] == {"1": "production"}
    images = (yard.folder / "infra/k8s/images/kustomization.yaml").read_text()
    assert "unset" not in images and images.count("digest: sha256:") == 6
    pushed = {words[-1].rpartition(":")[2].partition("-")[0] for tool, *words in world["log"] if words[:1] == ["push"]}
    assert "pinned" in pushed  # which the registry's clean-up keeps


GRANT = r"(gcloud storage buckets add-iam-policy-binding .*?\n.*?\n)(.*?)(\./pants run src/python/promote)"
TRAIN = "infra/k8s/jobs/train\n"
# What is done to the page, and what is said then.
FAULTS = {
    "right after the test": (lambda t: re.sub(GRANT, r"\2\1\3", t, flags=re.S), "refuses access"),
    "no public key": (lambda t: re.sub(r"export TRAINYARD_SIGNING_PUBLIC_KEYS=.*\n", "", t), "No key"),
    "two Jobs by create": (
        lambda t: t.replace(
            f"apply -k {TRAIN}", f"create -k {TRAIN}kubectl create -k {TRAIN.replace('train', 'retrain')}"
        ),
        "already exists",
    ),
    "images not pinned": (lambda t: re.sub(r"scripts/push-images .*\n", "", t), "ErrImagePull"),
    "no secret": (
        lambda t: re.sub(r"  kubectl -n trainyard-jobs create secret .*\n", "", t),
        "train waits: ['Secret signing'] not found",
    ),
    "no Secret of tokens": (
        lambda t: re.sub(r"  kubectl -n trainyard create secret .*\n", "", t),
        "serving waits: ['Secret adapter-tokens'] not found",
    ),
    "asked without a token": (lambda t: re.sub(r'-H "Authorization.*?" ', "", t), "the adapter wants a token"),
    "asked with another's token": (
        lambda t: t.replace("--token-file .trainyard/keys/token-me", "--token-file xray.png"),
        "401",
    ),
    "namespace comes later": (
        lambda t: t.replace("kubectl apply -f infra/k8s/overlays/production/namespace.yaml\n", ""),
        'namespaces "trainyard" not found',
    ),
    "API not enabled": (lambda t: t.replace(" serviceusage.googleapis.com", ""), "not enabled"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_step_that_would_stop_stops(after, fault):
    change, said = FAULTS[fault]
    changed = next(number for number, text in enumerate(GKE) if change(text) != text)
    # What comes before is as it was; where the fault shows may come later.
    done = after(changed).run("\n".join([change(GKE[changed]), *GKE[changed + 1 :]]))
    assert done.returncode and said in done.stderr, done.stderr[-2000:]


def test_no_page_makes_two_kinds_of_job_by_create():
    for page in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("infra/k8s/**/*.yaml")]:
        assert "create -k" not in page.read_text(), page
