"""A Deployment's pod template -> a pod that serves models which are copied into it."""

import copy
from pathlib import Path
from typing import Any

# The container that waits for the models, and the file that tells it that they are whole.
MODELS = "models"
WHOLE = ".whole"
# A clone whose maker is gone, with the machine it ran on, ends by itself.
_LONGEST_SECONDS = 3600
_SCRATCH = "8Gi"


def clone_of(
    template: dict[str, Any], name: str, model: str, folder: Path, image: str | None, more_flags: tuple[str, ...]
) -> dict[str, Any]:
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
    mount = {"name": MODELS, "mountPath": str(folder)}
    server["volumeMounts"] = [*server["volumeMounts"], {**mount, "readOnly": True}]
    waiting = {
        # The adapter's image has a shell and tar from its base, and is there anyway.
        **{key: adapter[key] for key in ("image", "securityContext")},
        "name": MODELS,
        "command": ["sh", "-c", f"until [ -e '{folder}/{WHOLE}' ]; do sleep 0.2; done"],
        "resources": {
            kind: {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": _SCRATCH} for kind in ("requests", "limits")
        },
        "volumeMounts": [mount, *(m for m in adapter["volumeMounts"] if m["name"] == "tmp")],
    }
    spec["initContainers"] = [waiting, *spec["initContainers"]]
    spec["volumes"] = [*spec["volumes"], {"name": MODELS, "emptyDir": {"sizeLimit": _SCRATCH}}]
    spec |= {"restartPolicy": "Never", "activeDeadlineSeconds": _LONGEST_SECONDS}
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
