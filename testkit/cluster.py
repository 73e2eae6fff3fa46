"""What a cluster adds to manifests, as far as these and Kubernetes' documentation tell it.

Five questions that a look at one manifest does not answer: what collides (`Cluster`), what a pod waits for
(`waits_for`), who reaches whom (`reaches`), on which nodes a pod may come (`nodes_of`), and which signal ends what, and
when (`leaving`). Nothing is run. Objects are those that kubectl renders.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
# What can't be changed of an object that is there: another value is refused.
_IMMUTABLE = {
    "Job": (("template",), ("selector",), ("completionMode",)),
    "Deployment": (("selector",),),
    "StatefulSet": (("selector",), ("serviceName",), ("volumeClaimTemplates",)),
    "Service": (("clusterIP",),),
}
# Kinds that are in no namespace.
_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding")
# Google's front ends and health checks, by which a load balancer calls pods itself.
LOAD_BALANCERS = ("130.211.0.0/22", "35.191.0.0/16")


class Refused(Exception):
    """The API server takes an object not."""


@dataclass
class Cluster:
    """An API server without anything behind it: what is in it, by (namespace, kind, name)."""

    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)

    def apply(self, objects: Iterable[Object]) -> None:
        """As `kubectl apply`: what is there is changed.

        Raises:
            Refused: a namespace is not there, or what is different can't be changed.
        """
        for found in objects:
            self._put(found, create=False)

    def create(self, objects: Iterable[Object]) -> None:
        """As `kubectl create`: what is there is refused, the objects before it stay.

        Raises:
            Refused: as `apply`, or the object exists.
        """
        for found in objects:
            self._put(found, create=True)

    def find(self, namespace: str, kind: str, name: str) -> Object | None:
        return self.objects.get((namespace, kind, name))

    def _put(self, found: Object, *, create: bool) -> None:
        kind, name = found["kind"], found["metadata"]["name"]
        namespace = "" if kind in _WIDE else found["metadata"].get("namespace", "default")
        if namespace not in ("", "default") and not self.find("", "Namespace", namespace):
            raise Refused(f'{kind} {name}: namespaces "{namespace}" not found')
        there = self.find(namespace, kind, name)
        if there and create:
            raise Refused(f"{namespace}/{kind}/{name} already exists")
        for path in _IMMUTABLE.get(kind, ()) if there else ():
            if _at(there, ("spec", *path)) != _at(found, ("spec", *path)):
                raise Refused(f"{namespace}/{kind}/{name}: spec.{'.'.join(path)}: field is immutable")
        self.objects[namespace, kind, name] = found


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = (value or {}).get(key)
    return value


def containers_of(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def waits_for(cluster: Cluster, pod: Object, namespace: str) -> list[str]:
    """What a pod's spec names and the cluster has not: it starts as soon as all of it is there."""
    wanted: list[tuple[str, str, Iterable[str]]] = [("ServiceAccount", pod.get("serviceAccountName", "default"), ())]
    for container in containers_of(pod):
        for source in container.get("envFrom", []):
            wanted += list(_named(source, "configMapRef", "secretRef"))
        for variable in container.get("env", []):
            wanted += list(_named(variable.get("valueFrom", {}), "configMapKeyRef", "secretKeyRef"))
    for volume in pod.get("volumes", []):
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            wanted += list(_named(source, "configMap", "secret"))
    found = []
    for kind, name, keys in wanted:
        # These a cluster has by itself.
        if (kind, name) in (("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")):
            continue
        there = cluster.find(namespace, kind, name)
        if there is None:
            found.append(f"{kind} {name}")
        else:
            given = {**there.get("data", {}), **there.get("stringData", {})}
            if there.get("type") == "kubernetes.io/service-account-token":
                given |= {"token": "", "ca.crt": "", "namespace": ""}  # filled in by the cluster
            found += [f"{kind} {name}: its key {key}" for key in keys if key not in given]
    return found


def _named(source: Mapping[str, Any], *fields: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    for name in fields:
        about = source.get(name)
        if about and not about.get("optional"):
            kind = "Secret" if name.startswith("secret") else "ConfigMap"
            keys = [item["key"] for item in about.get("items", [])] + ([about["key"]] if "key" in about else [])
            yield kind, about.get("name") or about["secretName"], keys


@dataclass(frozen=True)
class Peer:
    """A pod, by its namespace and labels; or what is outside of the cluster, by its address."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


def reaches(objects: Iterable[Object], source: Peer, target: Peer, port: int) -> bool:
    """Whether the network policies among `objects` let `source` call `target` at a TCP port, on both sides."""
    policies = [found for found in objects if found["kind"] == "NetworkPolicy"]
    labels = {o["metadata"]["name"]: o["metadata"].get("labels", {}) for o in objects if o["kind"] == "Namespace"}
    sides = ((source, target, "Egress", "to"), (target, source, "Ingress", "from"))
    return all(_lets(policies, labels, *side, port) for side in sides)


def _lets(
    policies: list[Object],
    labels: Mapping[str, Mapping[str, str]],
    of: Peer,
    other: Peer,
    kind: str,
    word: str,
    port: int,
) -> bool:
    if of.address:
        return True  # what is outside has no policy here
    mine = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == of.namespace
        and kind in policy["spec"].get("policyTypes", ["Ingress"])
        and _selects(policy["spec"]["podSelector"], of.labels)
    ]
    rules = [rule for spec in mine for rule in spec.get(kind.lower(), [])]
    return not mine or any(
        (not rule.get("ports") or any(_is_port(one, port) for one in rule["ports"]))
        and (not rule.get(word) or any(_is_peer(one, other, of.namespace, labels) for one in rule[word]))
        for rule in rules
    )


def _is_port(given: Object, port: int) -> bool:
    return given.get("protocol", "TCP") == "TCP" and given.get("port", port) == port


def _is_peer(given: Object, peer: Peer, namespace: str, labels: Mapping[str, Mapping[str, str]]) -> bool:
    if "ipBlock" in given:
        block = given["ipBlock"]
        return bool(peer.address) and (
            _within(peer.address, block["cidr"]) and not any(_within(peer.address, o) for o in block.get("except", []))
        )
    if peer.address:
        return False
    if "namespaceSelector" in given:
        known = {"kubernetes.io/metadata.name": peer.namespace, **labels.get(peer.namespace, {})}
        if not _selects(given["namespaceSelector"], known):
            return False
    elif peer.namespace != namespace:
        return False
    return _selects(given.get("podSelector", {}), peer.labels)


def _within(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block)


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    def meets(wanted: Object) -> bool:
        key, operator, values = wanted["key"], wanted["operator"], wanted.get("values", [])
        return {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]

    return selector.get("matchLabels", {}).items() <= dict(labels).items() and all(
        meets(wanted) for wanted in selector.get("matchExpressions", [])
    )


def nodes_of(pod: Object, pools: Mapping[str, Sequence[Mapping[str, str]]], label: str) -> set[str]:
    """Of the pools, each with its nodes' taints and its name under `label`, those that a pod may come to."""

    def tolerated(taint: Mapping[str, str]) -> bool:
        return any(
            t.get("key") in (None, taint["key"])
            and t.get("effect") in (None, taint["effect"])
            and (t.get("operator") == "Exists" or t.get("value") == taint["value"])
            for t in pod.get("tolerations") or []
        )

    wanted = (pod.get("nodeSelector") or {}).get(label)
    return {name for name, taints in pools.items() if wanted in (None, name) and all(map(tolerated, taints))}


@dataclass(frozen=True)
class End:
    """How a container of a leaving pod ended; seconds from the pod's deletion on."""

    told: float  # SIGTERM
    ended: float
    killed: bool = False


def leaving(pod: Object, takes: Mapping[str, float | None]) -> dict[str, End]:
    """What happens to a pod that is deleted: preStop, SIGTERM, and SIGKILL when the grace period is over.

    Sidecars (init containers that are started again) are told only when all others have ended, the last one first.

    Arguments:
        takes: container -> seconds it goes on after SIGTERM; None if it does not heed that.
    """
    grace = float(pod.get("terminationGracePeriodSeconds", 30))

    def end(container: Object, at: float) -> End:
        hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        told, wanted = min(at + hook, grace), takes[container["name"]]
        ended = grace if wanted is None else told + wanted
        return End(told, min(ended, grace), killed=wanted is None or ended > grace)

    ends = {container["name"]: end(container, 0) for container in pod["containers"]}
    at = max(one.ended for one in ends.values())
    for sidecar in reversed([c for c in pod.get("initContainers", []) if c.get("restartPolicy") == "Always"]):
        ends[sidecar["name"]] = one = end(sidecar, at)
        at = one.ended
    return ends
