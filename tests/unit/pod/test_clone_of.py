"""A clone's pod is the Deployment's, but for where models come from."""

from pathlib import Path

import pytest
import yaml

from serving.pod.clone_of import clone_of
from tests.manifests import K8S

FOLDER = Path("/tmp/trainyard-clone-1")


@pytest.fixture
def template():
    # As it stands in the repository, so that kubectl is not needed.
    return yaml.safe_load((K8S / "base" / "serving.yaml").read_text())["spec"]["template"]


def by_name(containers):
    return {container["name"]: container for container in containers}


def made(template, image=None):
    return clone_of(template, "clone-1", "other", FOLDER, image, ("--max_num_load_retries=0",))


def test_programs_are_the_deployments_but_for_the_models(template):
    spec = made(template)["spec"]
    there = by_name([*template["spec"]["initContainers"], *template["spec"]["containers"]])
    here = by_name([*spec["initContainers"], *spec["containers"]])
    changed = {"args", "volumeMounts"}
    for name, container in there.items():
        assert {k: v for k, v in here[name].items() if k not in changed} == {
            k: v for k, v in container.items() if k not in changed
        }
    old, new = there["model-server"]["args"], here["model-server"]["args"]
    assert set(new) - set(old) == {
        f"--model_config_file={FOLDER}/models.config",
        "--model_config_file_poll_wait_seconds=0",
        "--max_num_load_retries=0",
    }
    assert len(set(old) - set(new)) == 2
    assert set(here["adapter"]["args"]) - set(there["adapter"]["args"]) == {"--model=other"}


def test_models_come_before_the_model_server_and_cannot_be_changed_by_it(template):
    spec = made(template)["spec"]
    assert [c["name"] for c in spec["initContainers"]] == ["models", "model-server"]
    (mount,) = [m for m in spec["initContainers"][1]["volumeMounts"] if m["mountPath"] == str(FOLDER)]
    assert mount["readOnly"]
    assert spec["initContainers"][0]["securityContext"] == template["spec"]["containers"][0]["securityContext"]


def test_no_service_and_no_policy_takes_it_for_a_serving_pod(template):
    assert not made(template)["metadata"]["labels"].items() & template["metadata"]["labels"].items()


def test_it_ends_by_itself(template):
    assert made(template)["spec"]["activeDeadlineSeconds"] <= 3600
    assert made(template)["spec"]["restartPolicy"] == "Never"


def test_another_image_of_the_model_server_may_be_tried(template):
    spec = made(template, "tensorflow/serving:2.20.0")["spec"]
    assert by_name(spec["initContainers"])["model-server"]["image"] == "tensorflow/serving:2.20.0"


def test_template_stays_as_it_is(template):
    import copy

    before = copy.deepcopy(template)
    made(template)
    assert template == before
