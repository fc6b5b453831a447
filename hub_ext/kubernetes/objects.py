"""Plain arguments in, Kubernetes manifests out. Pure; the same functions serve servers, runs, previews and policy.

Every pod made here fits the Pod Security Standard `restricted` and names each of its sources, so that a policy rule
sees the same before and after the API server has filled in defaults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from hub_ext.catalog.models import Spec
from hub_ext.catalog.quantities import format_size
from hub_ext.catalog.room import Room

Manifest = dict[str, Any]

PREFIX = "hub-ext"  # of our labels, and of our namespaces' names
MANAGED_BY = {"app.kubernetes.io/managed-by": "hub-ext"}
PORT = 8888  # of a notebook server
QUOTA = "hub-ext"  # name of the quota that we make in a person's namespace
HOME = "home"  # name of the claim of a home volume, one in each namespace
_USER = 1000
_GROUP = 100
_TMP_SIZE = "1Gi"
UNNAMED = "default--server"  # no name gives this label: what is changed ends in a hash


def label_value(text: str) -> str:
    """Return a text as the value of a label: unchanged when it fits, else shortened with a hash of all of it.

    A value with a hash is marked by two hyphens, which no unchanged one has, so that two texts never meet.
    """
    safe = "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "-" for char in text)
    ends = 0 < len(text) <= 63 and text[0].isalnum() and text[-1].isalnum()
    if safe == text and ends and "--" not in text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{safe.strip('-_.')[:48].rstrip('-_.') or 'x'}--{digest}"


def marks_of_platform(system: str) -> dict[str, str]:
    """Return the labels of everything that a platform makes.

    Args:
        system: Its namespace: two platforms in one cluster leave each other's alone.
    """
    return {**MANAGED_BY, f"{PREFIX}/platform": label_value(system)}


def marks_of_person(user: str, system: str) -> dict[str, str]:
    """Return the labels of everything that is made for a person.

    Args:
        user: Who.
        system: Namespace of the platform that makes it: two platforms in one cluster leave each other's alone.
    """
    return {**marks_of_platform(system), f"{PREFIX}/user": label_value(user)}


def labels(
    profile: str, version: int, purpose: str, user: str, name: str, *, system: str, launch: str
) -> dict[str, str]:
    """Return the labels that every object of a server or run has.

    Args:
        profile: Name of the profile.
        version: Its version.
        purpose: ``server`` or ``run``.
        user: Who it is for.
        name: Name of the server (empty for the default), or id of the run.
        system: Namespace of the platform.
        launch: Id of the start.
    """
    return {
        **marks_of_person(user, system),
        f"{PREFIX}/profile": profile,
        f"{PREFIX}/profile-version": str(version),
        f"{PREFIX}/purpose": purpose,
        f"{PREFIX}/name": label_value(name) if name else UNNAMED,
        f"{PREFIX}/launch": label_value(launch),
    }


def _resources(spec: Spec) -> Manifest:
    memory, cpu = spec.resources.memory, spec.resources.cpu
    limits: Manifest = {"cpu": _cpu(cpu.limit), "memory": memory.limit, "ephemeral-storage": _TMP_SIZE}
    requests: Manifest = {"cpu": _cpu(cpu.request), "memory": memory.request, "ephemeral-storage": "100Mi"}
    if spec.resources.gpu:
        limits["nvidia.com/gpu"] = requests["nvidia.com/gpu"] = str(spec.resources.gpu)
    return {"requests": requests, "limits": limits}


def _cpu(cores: float) -> str:
    return f"{round(cores * 1000)}m"


def _confined() -> Manifest:
    """Return the security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _unprivileged() -> Manifest:
    """Return the security context of a pod."""
    return {
        "fsGroup": _GROUP,
        "fsGroupChangePolicy": "OnRootMismatch",
        "runAsGroup": _GROUP,
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container(
    spec: Spec,
    *,
    image: str,
    command: Sequence[str],
    env: Mapping[str, str],
    port: int | None,
    secret: str | None = None,
) -> Manifest:
    """Return the one container of a pod.

    Args:
        spec: What the decision resolved to.
        image: Registry, name and digest.
        command: What it runs.
        env: Its environment, names and plain values.
        port: Port it listens on, None for a run.
        secret: Name of the secret whose entries are further variables.
    """
    made: Manifest = {
        "name": "notebook",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [{"name": name, "value": value} for name, value in sorted(env.items())],
        "resources": _resources(spec),
        "securityContext": _confined(),
        "terminationMessagePolicy": "FallbackToLogsOnError",  # its last lines are in the status: nobody may read logs
        "volumeMounts": [{"name": "home", "mountPath": "/home/analyst"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    if secret is not None:
        made["envFrom"] = [{"secretRef": {"name": secret}}]
    if port is not None:
        made["ports"] = [{"name": "notebook", "containerPort": port, "protocol": "TCP"}]
    return made


def pod_spec(
    spec: Spec,
    *,
    image: str,
    command: Sequence[str],
    env: Mapping[str, str],
    home_claim: str | None,
    port: int | None,
    deadline: int | None,
    secret: str | None = None,
) -> Manifest:
    """Return the spec of a pod for a server or a run.

    Args:
        spec: What the decision resolved to.
        image: Registry, name and digest.
        command: What it runs.
        env: Its environment.
        home_claim: Name of the volume claim that holds the home folder; None gives an empty one.
        port: Port it listens on, None for a run.
        deadline: Longest life in seconds, None for no limit by the cluster.
        secret: Name of the secret whose entries are further variables.
    """
    made: Manifest = {
        "automountServiceAccountToken": False,
        "containers": [container(spec, image=image, command=command, env=env, port=port, secret=secret)],
        "enableServiceLinks": False,
        "hostIPC": False,
        "hostNetwork": False,
        "hostPID": False,
        "restartPolicy": "Never",
        "securityContext": _unprivileged(),
        "terminationGracePeriodSeconds": 10 if port is not None else 30,  # a run that is ended tells what it did
        "volumes": _volumes(home_claim),
    }
    if deadline is not None:
        made["activeDeadlineSeconds"] = deadline
    return made


def _volumes(home_claim: str | None) -> list[Manifest]:
    empty: Manifest = {"emptyDir": {"sizeLimit": _TMP_SIZE}}
    kept: Manifest = {"persistentVolumeClaim": {"claimName": home_claim}}
    return [{"name": "home", **(empty if home_claim is None else kept)}, {"name": "tmp", **empty}]


def pod(name: str, namespace: str, marks: Mapping[str, str], spec: Manifest) -> Manifest:
    """Return a pod.

    Args:
        name: Its name.
        namespace: Where it lives.
        marks: Its labels.
        spec: From `pod_spec`.
    """
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(marks)},
        "spec": spec,
    }


def namespace(name: str, user: str, enclave: str, system: str) -> Manifest:
    """Return the namespace of a person; its labels hold the Pod Security level and whose it is."""
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    marks = {
        **marks_of_person(user, system),
        **level,
        f"{PREFIX}/namespace": "person",
        f"{PREFIX}/enclave": label_value(enclave),
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": marks}}


def home_claim(name: str, namespace: str, marks: Mapping[str, str], size: str, storage_class: str | None) -> Manifest:
    """Return the claim for a home volume.

    Args:
        name: Its name.
        namespace: Where it lives.
        marks: Its labels.
        size: A quantity.
        storage_class: The enclave's storage class; None takes the cluster's default.
    """
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    metadata = {"name": name, "namespace": namespace, "labels": dict(marks)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def secret(name: str, namespace: str, marks: Mapping[str, str], entries: Mapping[str, str]) -> Manifest:
    """Return a secret that nobody can change afterwards.

    Args:
        name: Its name.
        namespace: Where it lives.
        marks: Its labels.
        entries: Names and texts.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(marks)},
        "type": "Opaque",
        "immutable": True,
        "stringData": dict(entries),
    }


def resource_quota(namespace: str, room: Room, *, servers: int, runs: int) -> Manifest:
    """Return the quota of a person's namespace: room for so many of the largest that she may start.

    It follows from what she may use, never from one start: another start changes nothing for those that run.

    Args:
        namespace: Where it lives.
        room: The most that one of them may take.
        servers: Servers at once.
        runs: Runs at once.
    """
    many = servers + runs
    hard = {
        "limits.cpu": _cpu(room.cpu * many),
        "limits.memory": format_size(room.memory * many),
        "persistentvolumeclaims": "1",
        "pods": str(many),  # those that have ended do not count
        "requests.nvidia.com/gpu": str(room.gpu * many),
        "requests.storage": format_size(room.home),
        "services": "0",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    metadata = {"name": QUOTA, "namespace": namespace, "labels": dict(MANAGED_BY)}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}


def limit_range(namespace: str, room: Room) -> Manifest:
    """Return the LimitRange of a namespace: the most that one container may have.

    Args:
        namespace: Where it lives.
        room: As for the quota.
    """
    most = {"cpu": _cpu(room.cpu), "memory": format_size(room.memory)}
    metadata = {"name": "hub-ext", "namespace": namespace, "labels": dict(MANAGED_BY)}
    limits = [{"type": "Container", "max": most, "default": dict(most), "defaultRequest": dict(most)}]
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": limits}}


def owned(manifest: Manifest, owner: Manifest) -> Manifest:
    """Return an object that goes when another one goes, whoever deletes that.

    Args:
        manifest: The object, of the same namespace.
        owner: The other one, as the API server has it.
    """
    about = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": about["name"], "uid": about["uid"],
    }  # fmt: skip
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}


def job(
    name: str,
    namespace: str,
    marks: Mapping[str, str],
    spec: Manifest,
    *,
    keep: int,
    queue: str | None,
    repeats: int = 0,
) -> Manifest:
    """Return the Job of a run.

    Args:
        name: Its name, which is the launch id.
        namespace: Where it lives.
        marks: Its labels.
        spec: From `pod_spec`.
        keep: Seconds that it stays after its end.
        queue: Kueue's local queue, where one is used.
        repeats: How often it is run again when its pod is lost; an executor that ends with another code than 143, or
            that needs too much memory, is not.
    """
    own = dict(marks) | ({"kueue.x-k8s.io/queue-name": queue} if queue else {})
    made: Manifest = {
        "backoffLimit": repeats,
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "Failed",
        "suspend": queue is not None,
        "ttlSecondsAfterFinished": keep,
        "template": {"metadata": {"labels": dict(marks)}, "spec": spec},
    }
    if repeats:
        made["podFailurePolicy"] = _only_when_lost()
    metadata = {"name": name, "namespace": namespace, "labels": own}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": made}


def _only_when_lost() -> Manifest:
    lost = {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    codes = {"containerName": "notebook", "operator": "NotIn", "values": [0, 143]}
    return {"rules": [lost, {"action": "FailJob", "onExitCodes": codes}]}
