"""gcloud, terraform, kubectl, docker, curl, ssh-keyscan and our own ./pants, as far as the documented paths need them.

Called by the name of what it stands for. What was done is kept in $WORLD; a step that the real one would refuse, as far
as we know it, ends with 1 and a sentence. Manifests, secrets and their arguments are the real kubectl's, $KUBECTL.
"""

import json
import os
import re
import sys
from pathlib import Path

# A page makes some seventy calls, so what few of them need is imported by those.

WORLD = Path(os.environ["WORLD"])
# What kubectl has rendered, for all tests.
RENDERED = Path(os.environ["RENDERED"])
EMPTY: dict = {name: [] for name in ("apis", "buckets", "grants", "waited", "log", "built", "pushed")}
EMPTY |= {"objects": {}, "versions": {}}
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


def real_kubectl(*words, **more):
    import subprocess

    return subprocess.run([os.environ["KUBECTL"], *words], **more)


def digest_of(data):
    from hashlib import sha256

    return sha256(data).hexdigest()


def parsed(text):
    """The documents of a YAML file."""
    import yaml

    return [found for found in yaml.load_all(text, Loader=yaml.CSafeLoader) if found]


def rendered(folder):
    """The objects of a folder, as the real kubectl makes them of all files that it may read."""
    read = sorted(path for path in Path("infra").rglob("*") if path.is_file())
    contents = [f"{path}\0".encode() + path.read_bytes() for path in read]
    kept = RENDERED / digest_of(b"\0".join([folder.encode(), *contents]))
    if not kept.exists():
        done = real_kubectl("kustomize", folder, capture_output=True, text=True)
        need(done.returncode == 0, done.stderr)
        kept.write_text(json.dumps(parsed(done.stdout)))
    return json.loads(kept.read_text())


def cluster():
    from testkit.cluster import Cluster

    return Cluster({tuple(key.split("/")): found for key, found in world["objects"].items()})


def put(objects, create=False):
    """Into the cluster; a pod has to start at once, so what it names has to be there."""
    from testkit.cluster import Refused, containers_of, waits_for

    now = cluster()
    try:
        (now.create if create else now.apply)(objects)
    except Refused as error:
        refuse(error)
    for found in objects:
        if found["kind"] in ("Job", "Deployment"):
            spec = found["spec"]["template"]["spec"]
            for container in containers_of(spec):
                need("unset" not in container["image"], f"ErrImagePull: {container['image']}")
            missing = waits_for(now, spec, found["metadata"]["namespace"])
            need(not missing, f"{found['metadata']['name']} waits: {missing} not found")
        if found["kind"] == "Job":
            world["versions"].setdefault("1", "candidate")
    world["objects"] = {"/".join(key): found for key, found in now.objects.items()}


def secret(space, name):
    """What a Secret holds, as text."""
    import base64

    data = world["objects"].get(f"{space}/Secret/{name}", {}).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def kubectl():
    space = words[words.index("-n") + 1] if "-n" in words else ""
    verbs = [w for at, w in enumerate(words) if w != "-n" and words[at - 1 : at] != ["-n"]]
    if verbs[0] == "kustomize":
        rendered(verbs[1])
        return
    if "--dry-run=client" in verbs:
        sys.exit(real_kubectl(*words).returncode)
    need(world["credentials"], "no cluster is known")
    if verbs[0] in ("apply", "create") and "-k" in verbs:
        put(rendered(verbs[verbs.index("-k") + 1]), verbs[0] == "create")
    elif verbs[:2] == ["apply", "-f"]:
        put(parsed(Path(verbs[2]).read_text()))
    elif verbs[0] == "create":
        done = real_kubectl(*words, "--dry-run=client", "-o", "json", capture_output=True)
        need(done.returncode == 0, done.stderr.decode())
        put([json.loads(done.stdout)], create=True)
    elif verbs == ["replace", "-f", "-"]:
        (found,) = parsed(sys.stdin)
        key = f"{found['metadata']['namespace']}/{found['kind']}/{found['metadata']['name']}"
        need(key in world["objects"], f"{key} not found")
        put([found])
    elif verbs[:2] == ["patch", "secret"]:
        key = f"{space}/Secret/{verbs[2]}"
        need(key in world["objects"], f"{key} not found")
        world["objects"][key]["data"] |= json.load(sys.stdin)["data"]
    elif verbs[0] == "wait":
        thing = next(w for w in verbs[1:] if "/" in w and not w.startswith("-"))
        kind, wanted = thing.split("/")
        need(f"{space}/{kind.capitalize()}/{wanted}" in world["objects"], f"{thing} not found")
        world["waited"].append(thing)
    elif verbs[0] == "logs":
        thing = next(w for w in verbs[1:] if "/" in w)
        need(thing in world["waited"], f"{thing}: no pod of it is running yet")
    elif verbs[:3] == ["rollout", "status", "statefulset/jenkins"]:
        start_jenkins(space)
    elif verbs[0] == "rollout":
        need(f"{space}/Deployment/serving" in world["objects"], "no Deployment")
        need("production" in world["versions"].values(), "timed out: no pod is ready, as there is nothing to serve")
    elif verbs[0] == "port-forward":
        need(f"{space}/Service/{verbs[1].partition('/')[2]}" in world["objects"], "no Service")
    else:
        refuse(f"the stand-in does not know {words}")


def references(*names):
    """Of the controller's configuration: ${NAME} without a default, which something has to give."""
    folder = ROOT / "infra" / "jenkins" / "controller" / "casc"
    lines = [line.split("#")[0] for name in names for line in (folder / f"{name}.yaml").read_text().splitlines()]
    return set(re.findall(r"\$\{([A-Z_]+)\}", "\n".join(lines)))


def check_start(given, *configuration):
    """Whether the controller gets through its configuration and the seed's script."""
    lacking = {name for name in references(*configuration) | {"REQUEST_TOKEN"} if not given.get(name)}
    need(not lacking, f"the controller ends: nothing gives {sorted(lacking)}")
    examples = {
        name for name, value in given.items() if re.search(r"example[.,](dc=)?com\b|\bexample-|\bunset\b", value)
    }
    need(not examples, f"still the example: {sorted(examples)}")
    host = given["REPOSITORY_URL"].partition("@")[2].partition(":")[0]
    need(given["KNOWN_HOSTS"].startswith(f"{host} "), f"Host key verification failed: {host}")
    need("PRIVATE KEY" in given["REPOSITORY_KEY"], "the repository's key is none")


def start_jenkins(space):
    from testkit.cluster import waits_for

    now = cluster()
    found = now.find(space, "StatefulSet", "jenkins")
    need(found, "there is no StatefulSet")
    pod = found["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    need(container["image"] in world["pushed"], f"ErrImagePull: {container['image']}")
    missing = waits_for(now, pod, space)
    need(not missing, f"timed out: the controller waits for {missing}")
    given = {}
    for source in container["envFrom"]:
        given |= now.find(space, "ConfigMap", source["configMapRef"]["name"])["data"]
    need(given["AGENT_IMAGE"] in world["pushed"], f"AGENT_IMAGE is '{given['AGENT_IMAGE']}'")
    given |= secret(space, "jenkins-secrets")
    check_start(given, "common", "gke")
    world["jenkins"] = given


def docker():
    match words:
        case ["build", *_]:
            check_build(Path(words[-1]), option("--target"))
            world["built"].append(option("-t"))
        case ["tag", made, name]:
            need(made in world["built"], f"No such image: {made}")
            world["built"].append(name)
        case ["push", *_]:
            need(words[-1] in world["built"], f"An image does not exist locally with the tag: {words[-1]}")
            need(words[-1] not in world["pushed"], "the tag is there already, and is immutable")
            world["pushed"] += [words[-1], digest(words[-1])]
        case ["image", "inspect", *_]:
            if words[-1] in world["pushed"]:
                print(digest(words[-1]))
        case ["compose", "up", *_]:
            compose()
        case _:
            refuse(f"the stand-in does not know {words}")


def digest(image):
    name = image.rpartition(":")[0]
    return f"{name}@sha256:{digest_of(name.encode())}"


def check_build(folder, target):
    text = (folder / "Dockerfile").read_text()
    need(not target or re.search(rf"^FROM .* AS {target}$", text, re.M), f"target stage {target} could not be found")
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for part in copied.split():
            need((folder / part).exists(), f"{part}: not found")


def compose():
    text = Path("compose.yaml").read_text()
    for variable in re.findall(r"\$\{(\w+):\?", text):
        need(os.environ.get(variable), f"required variable {variable} is missing a value")
    (file,) = parsed(re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda m: os.environ.get(m[1]) or m[2] or "", text))
    held = {}
    for name, about in file["secrets"].items():
        place = Path(about["file"])
        need(place.is_file(), f"bind source path does not exist: {place}")
        # Whoever the container's user is.
        need(place.stat().st_mode & 0o004, f"{place}: permission denied")
        held[name] = place.read_text().strip()
    for service in file["services"].values():
        build = service["build"]
        build = {"context": build} if isinstance(build, str) else build
        check_build(Path(build["context"]), build.get("target"))
        need(set(service["secrets"]) <= held.keys(), "undefined secret")
    controller = file["services"]["controller"]
    given = {name: value or "" for name, value in controller["environment"].items()} | {
        name: held[name] for name in controller["secrets"]
    }
    given.pop("ENGINEERS")  # who stays an example's, as no mail is sent
    check_start(given | {"ENGINEERS": "me"}, "common", "laptop")
    import subprocess

    command = ["ssh-keygen", "-y", "-f", file["secrets"]["AGENT_KEY"]["file"]]
    os.chmod(command[-1], 0o600)  # ssh-keygen reads no key that others may read; the agent's sshd never sees this one
    public = subprocess.run(command, capture_output=True, text=True).stdout.split()[:2]
    need(public and held["AGENT_KEY_PUB"].split()[:2] == public, "the agent does not let the controller in")
    world["jenkins"] = given


def keyscan():
    print(f"{words[-1]} ssh-ed25519 AAAA")


def pants():
    if "package" in words:
        world["built"] += [
            f"trainyard/{word.partition(':')[2]}:latest" for word in words if word.startswith("infra/docker:")
        ]
        return
    target, own = words[1], words[words.index("--") + 1 :]
    if target == "serving/client":
        need(Path(own[1]).is_file(), f"there is no file {own[1]}")
        need("gateway/classifier" in world["waited"], "nobody answers yet at that address")
        token = option("--token-file")
        check_token(Path(token).read_text() if token else "")
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


def check_token(shown):
    """Whether production's adapters let the caller in."""
    pod = world["objects"]["trainyard/Deployment/serving"]["spec"]["template"]["spec"]
    if "--token-file=" in str(pod["containers"]):
        known = secret("trainyard", "adapter-tokens")["tokens"].split()
        need(shown.strip() in known, "401: the adapter wants a token")


def headers():
    given = [words[at + 1].partition(": ") for at, word in enumerate(words) if word == "-H"]
    return {name.lower(): value for name, _, value in given}


def curl():
    if words[-1].endswith("/generic-webhook-trigger/invoke"):
        ask_jenkins()
        return
    need(Path(words[words.index("-F") + 1].partition("@")[2]).is_file(), "there is no such picture")
    need("gateway/classifier" in world["waited"], "nobody answers yet at that address")
    check_token(headers().get("authorization", "").removeprefix("Bearer "))


def ask_jenkins():
    """The trigger of the job `request`: its token, and the variables that the job takes from the body."""
    given = world["jenkins"]
    need(words[-1] == f"{given['JENKINS_URL'].rstrip('/')}/generic-webhook-trigger/invoke", "404")
    need(headers()["token"] == given["REQUEST_TOKEN"].strip(), "Did not find any jobs with that token")
    need(headers()["content-type"] == "application/json", "the body is read as JSON")
    known = set(re.findall(r"value\('\$\.(\w+)'\)", (ROOT / "infra/jenkins/controller/jobs.groovy").read_text()))
    asked = json.loads(option("-d"))
    need(asked.keys() <= known, f"{asked.keys() - known} mean nothing")
    need(asked["pipeline"] in ("train", "retrain", "test"), "the filter of the job does not match")
    world["asked"] = asked


ROOT = Path(os.environ["YARD"])
name, words = Path(sys.argv[0]).name, sys.argv[1:]
world = json.loads(WORLD.read_text()) if WORLD.exists() else EMPTY
world["log"].append([name, *words])
{
    "gcloud": gcloud, "terraform": terraform, "kubectl": kubectl, "docker": docker, "pants": pants, "curl": curl,
    "ssh-keyscan": keyscan,
}[name]()  # fmt: skip
WORLD.write_text(json.dumps(world))
