"""gcloud, terraform, kubectl, docker, curl and our own ./pants, as far as the documented path needs them.

Called by the name of what it stands for. What was done is kept in $WORLD; a step that the real one would refuse, as far
as we know it, ends with 1 and a sentence. Manifests are rendered by the real kubectl, $KUBECTL.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

WORLD = Path(os.environ["WORLD"])
EMPTY: dict = {name: [] for name in ("apis", "buckets", "grants", "waited", "log")} | {"objects": {}, "versions": {}}
EMPTY |= {"applied": False, "credentials": False}


def refuse(why):
    print(f"{name}: {why}", file=sys.stderr)
    sys.exit(1)


def need(condition, why):
    if not condition:
        refuse(why)


def option(flag, default=None):
    for at, word in enumerate(words):
        if word == flag:
            return words[at + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return default


def gcloud():
    bucket = next((w.removeprefix("gs://") for w in words if w.startswith("gs://")), None)
    match words[:3]:
        case ["services", "enable", *_]:
            world["apis"] += [w.removesuffix(".googleapis.com") for w in words[2:]]
        case ["storage", "buckets", "create"]:
            need("storage" in world["apis"], "the API storage is not enabled")
            need(bucket not in world["buckets"], f"the bucket {bucket} exists")
            world["buckets"].append(bucket)
        case ["storage", "buckets", "add-iam-policy-binding"]:
            need(bucket in world["buckets"], f"there is no bucket {bucket}")
            world["grants"].append([bucket, option("--role")])
        case ["config", "get", "account"]:
            print("me@example.com")
        case ["container", "clusters", "get-credentials"]:
            need(world["applied"], "there is no cluster")
            world["credentials"] = True
        case ["certificate-manager", "certificates", "describe"]:
            need(world["applied"], "there is no certificate")
            print("ACTIVE")
        case ["auth", *_] | ["projects", "create", *_] | ["config", "set", *_] | ["billing", *_]:
            pass
        case _:
            refuse(f"the stand-in does not know {words}")


def terraform():
    folder = Path(option("-chdir"))
    if "init" in words:
        backend = option("-backend-config").partition("=")[2]
        need(backend in world["buckets"], f"the bucket of the state, {backend}, is not there")
        return
    need({"cloudresourcemanager", "serviceusage"} <= set(world["apis"]), "the APIs that enable others are not enabled")
    if "apply" in words:
        given = dict(re.findall(r"^(\w+)\s*=\s*(.*?)(?:#|$)", (folder / "terraform.tfvars").read_text(), re.M))
        variables = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', (folder / "variables.tf").read_text(), re.S | re.M)
        missing = [v for v, body in variables if "default" not in body and v not in given]
        need(not missing, f"no value for {missing}")
        world["buckets"] += [given[v].strip().strip('"') for v in ("registry_bucket", "datasets_bucket")]
        world["applied"] = True


def rendered(folder):
    import yaml

    done = subprocess.run([os.environ["KUBECTL"], "kustomize", folder], capture_output=True, text=True)
    need(done.returncode == 0, done.stderr)
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def key_of(found):
    return f"{found['metadata'].get('namespace', '')}/{found['kind']}/{found['metadata']['name']}"


def put(found, create):
    key, there = key_of(found), world["objects"].get(key_of(found))
    space = found["metadata"].get("namespace")
    need(not space or f"/Namespace/{space}" in world["objects"], f'namespaces "{space}" not found')
    need(not (create and there), f"{key} already exists")
    need(not (there and found["kind"] == "Job" and there != found), f"{key}: field is immutable")
    world["objects"][key] = found
    if found["kind"] in ("Job", "Deployment"):
        check_pod(found, space)
    if found["kind"] == "Job" and not there:
        world["versions"].setdefault("1", "candidate")


def check_pod(workload, space):
    """A pod starts with everything that it names there; the order within one call does not matter."""
    spec = workload["spec"]["template"]["spec"]
    named = [("ServiceAccount", spec["serviceAccountName"])]
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        need("unset" not in container["image"], f"ErrImagePull: {container['image']}")
        named += [("ConfigMap", s["configMapRef"]["name"]) for s in container.get("envFrom", [])]
        for variable in container.get("env", []):
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            named += [("Secret", secret["name"])] if secret and not secret.get("optional") else []
    for volume in spec["volumes"]:
        named += [("ConfigMap", volume["configMap"]["name"])] if "configMap" in volume else []
        named += [("Secret", volume["secret"]["secretName"])] if "secret" in volume else []
    for kind, wanted in named:
        needed.append((f"{space}/{kind}/{wanted}", f"{workload['metadata']['name']}: {kind} {wanted} not found"))


def kubectl():
    space = words.pop(words.index("-n") + 1) if "-n" in words else ""
    verbs = [w for w in words if w != "-n"]
    if verbs[0] == "kustomize":
        rendered(verbs[1])
        return
    need(world["credentials"], "no cluster is known")
    if verbs[0] in ("apply", "create") and "-k" in verbs:
        for found in rendered(verbs[verbs.index("-k") + 1]):
            put(found, verbs[0] == "create")
        for key, why in needed:
            need(key in world["objects"], why)
    elif verbs[0] == "create":
        kind = {"secret": "Secret", "configmap": "ConfigMap"}[verbs[1]]
        made = verbs[3 if kind == "Secret" else 2]
        for word in verbs:
            if word.startswith("--from-file="):
                need(Path(word.partition("=")[2]).is_file(), f"there is no file {word}")
        put({"kind": kind, "metadata": {"name": made, "namespace": space}}, create=True)
    elif verbs[0] == "wait":
        thing = next(w for w in verbs[1:] if "/" in w and not w.startswith("-"))
        kind, wanted = thing.split("/")
        need(f"{space}/{kind.capitalize()}/{wanted}" in world["objects"], f"{thing} not found")
        world["waited"].append(thing)
    elif verbs[0] == "logs":
        thing = next(w for w in verbs[1:] if "/" in w)
        need(thing in world["waited"], f"{thing}: no pod of it is running yet")
    elif verbs[0] == "rollout":
        need(f"{space}/Deployment/serving" in world["objects"], "no Deployment")
        need("production" in world["versions"].values(), "timed out: no pod is ready, as there is nothing to serve")
    elif verbs[0] == "port-forward":
        need(f"{space}/Service/classifier" in world["objects"], "no Service")
    else:
        refuse(f"the stand-in does not know {words}")


def docker():
    if words[0] == "image":
        image = words[-1]
        print(f"{image.rpartition(':')[0]}@sha256:{'ab' * 32}")


def pants():
    if "package" in words:
        return
    target, own = words[1], words[words.index("--") + 1 :]
    if target == "serving/client":
        need(Path(own[1]).is_file(), f"there is no file {own[1]}")
        need("gateway/classifier" in world["waited"], "nobody answers yet at that address")
        return
    bucket = option("--registry").removeprefix("gs://")
    need(bucket in world["buckets"], f"there is no bucket {bucket}")
    need([bucket, "roles/storage.objectUser"] in world["grants"], f"gs://{bucket} refuses access")
    public = os.environ.get("TRAINYARD_SIGNING_PUBLIC_KEYS", "")
    need(
        Path(public).is_file() and "PUBLIC KEY" in Path(public).read_text(), "No key is there to check signatures with"
    )
    if target == "src/python/testing:test_model":
        need("trainyard-staging/Deployment/serving" in world["objects"], "there is no Deployment to clone")
        need(world["versions"].get("1") == "candidate", "there is no candidate")
        world["versions"]["1"] = "tested"
        cache = Path.home() / ".cache" / "trainyard" / "datasets" / "sample"
        cache.mkdir(parents=True)
        (cache / "a.png").touch()
    elif target == "src/python/promote":
        need("--yes" in own, "there is no terminal to ask at")
        need(world["versions"].get(option("--version")) == "tested", "it is not tested")
        world["versions"][option("--version")] = "production"
    else:
        refuse(f"the stand-in does not know {words}")


def curl():
    need(Path(words[words.index("-F") + 1].partition("@")[2]).is_file(), "there is no such picture")
    need("gateway/classifier" in world["waited"], "nobody answers yet at that address")


name, words, needed = Path(sys.argv[0]).name, sys.argv[1:], []
world = json.loads(WORLD.read_text()) if WORLD.exists() else EMPTY
world["log"].append([name, *words])
{"gcloud": gcloud, "terraform": terraform, "kubectl": kubectl, "docker": docker, "pants": pants, "curl": curl}[name]()
WORLD.write_text(json.dumps(world))
