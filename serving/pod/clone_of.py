"""A Deployment's pod template -> a pod that serves models which are copied into it."""

import copy
from pathlib import Path

from cluster.objects import Container, Mount, Pod, Template

# The container that waits for the models, and the file that tells it that they are whole.
MODELS = "models"
WHOLE = ".whole"
# A clone whose maker is gone, with the machine it ran on, ends by itself.
_LONGEST_SECONDS = 3600
_SCRATCH = "8Gi"


def clone_of(
    template: Template, name: str, model: str, folder: Path, image: str | None, more_flags: tuple[str, ...]
) -> Pod:
    """The pod: images, limits, probes and flags are the template's, but for where models come from.

    Its label is not that of the Deployment's pods: no Service, budget or NetworkPolicy takes it for one of them, so it
    reaches nobody.
    """
    spec = copy.deepcopy(template["spec"])
    server, adapter = spec["initContainers"][0], spec["containers"][0]
    put = {"--model_config_file": str(folder / "models.config"), "--model_config_file_poll_wait_seconds": "0"}
    server["args"] = [*(_put(argument, put) for argument in server["args"]), *more_flags]
    adapter["args"] = [_put(argument, {"--model": model}) for argument in adapter["args"]]
    if image:
        server["image"] = image
    mount: Mount = {"name": MODELS, "mountPath": str(folder)}
    server["volumeMounts"] = [*server["volumeMounts"], {**mount, "readOnly": True}]
    needed = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": _SCRATCH}
    waiting: Container = {
        # The adapter's image has a shell and tar from its base, and is there anyway.
        "image": adapter["image"],
        "securityContext": adapter["securityContext"],
        "name": MODELS,
        "command": ["sh", "-c", f"until [ -e '{folder}/{WHOLE}' ]; do sleep 0.2; done"],
        "resources": {"requests": needed, "limits": needed},
        "volumeMounts": [mount, *(m for m in adapter["volumeMounts"] if m["name"] == "tmp")],
    }
    spec["initContainers"] = [waiting, *spec["initContainers"]]
    spec["volumes"] = [*spec["volumes"], {"name": MODELS, "emptyDir": {"sizeLimit": _SCRATCH}}]
    spec["restartPolicy"], spec["activeDeadlineSeconds"] = "Never", _LONGEST_SECONDS
    spec.pop("topologySpreadConstraints", None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "clone"}},
        "spec": spec,
    }


def _put(argument: str, values: dict[str, str]) -> str:
    flag = argument.partition("=")[0]
    return f"{flag}={values[flag]}" if flag in values else argument
