"""For each rule of the baseline: objects as we make them, changed so that they break that rule and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hub_ext.catalog.loading import Catalog, load
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import Enclave, Kind
from hub_ext.kubernetes.render import Rendering, render, request_view
from hub_ext.settings import shipped

CATALOG: Catalog = load(shipped("profiles"))
ENCLAVE = Enclave.model_validate(
    {
        "apiVersion": "hub-ext/v1",
        "kind": "Enclave",
        "metadata": {"name": "low", "title": "Low side", "owner": "platform-team"},
        "spec": {
            "domain": "open",
            "registries": ["registry.low"],
            "largest": {"cpu": 16, "memory": "64Gi"},
        },
    }
)
STANDARD: Profile = CATALOG.versions("standard")[-1]
IMAGE = "registry.low/notebooks/standard@sha256:" + "a" * 64
ABOUT = {"user": "ann", "groups": ["analysts"], "purpose": "server", "hour": 12, "weekday": 3}


def rendering(purpose: str = "server") -> Rendering:
    """Return what we make for somebody."""
    return render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose=purpose, name="x", image=IMAGE)


Change = Callable[[dict[str, Any]], None]
_CONTAINER = "spec.containers.0"
_SECURITY = f"{_CONTAINER}.securityContext"
_GONE = object()


def put(path: str, value: Any) -> Change:
    """Return a change that sets a field, whose path has numbers for the items of lists."""

    def change(thing: dict[str, Any]) -> None:
        at: Any = thing
        *way, last = path.split(".")
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
        if value is _GONE:
            del at[last]
        else:
            at[last] = value

    return change


def mark(name: str, value: Any, where: str = "labels") -> Change:
    """Return a change that sets a label or an annotation, whose names have dots."""

    def change(thing: dict[str, Any]) -> None:
        marks = thing["metadata"].setdefault(where, {})
        if value is _GONE:
            del marks[name]
        else:
            marks[name] = value

    return change


def beside(kind: str, **changes: Any) -> Change:
    """Return a change that puts another container beside the first, like it but for some fields."""

    def change(thing: dict[str, Any]) -> None:
        container = copy.deepcopy(thing["spec"]["containers"][0]) | {"name": "beside"}
        security = changes.get("securityContext", {})
        container["securityContext"] = container["securityContext"] | security
        container |= {key: value for key, value in changes.items() if key != "securityContext"}
        thing["spec"].setdefault(kind, []).append(container)

    return change


def volume(**source: Any) -> Change:
    """Return a change that adds a volume."""
    return lambda thing: thing["spec"]["volumes"].append({"name": "more", **source})


def limit(name: str, value: Any, of: str = "limits") -> Change:
    """Return a change that sets a limit, or takes it away."""

    def change(thing: dict[str, Any]) -> None:
        found = thing["spec"]["containers"][0]["resources"][of]
        if value is _GONE:
            del found[name]
        else:
            found[name] = value

    return change


def to(*targets: Any, ports: Any = ({"port": 443},)) -> Change:
    """Return a change that adds a rule for what may be reached."""
    rule = {"to": list(targets), "ports": list(ports)}
    return lambda thing: thing["spec"]["egress"].append(rule)


def block(cidr: str, *left_out: str) -> Change:
    """Return a change that lets addresses be reached."""
    return to({"ipBlock": {"cidr": cidr} | ({"except": list(left_out)} if left_out else {})})


_SYSTEM = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}

PODS: dict[str, list[Change]] = {
    "no-privileged": [
        put(f"{_SECURITY}.privileged", True),
        beside("initContainers", securityContext={"privileged": True}),
    ],
    "no-escalation": [
        put(f"{_SECURITY}.allowPrivilegeEscalation", True),
        put(f"{_SECURITY}.allowPrivilegeEscalation", _GONE),
    ],
    "drop-capabilities": [
        put(f"{_SECURITY}.capabilities", {"drop": []}),
        put(f"{_SECURITY}.capabilities", {"drop": ["NET_RAW"]}),
        put(f"{_SECURITY}.capabilities", _GONE),
    ],
    "no-added-capabilities": [
        put(f"{_SECURITY}.capabilities.add", ["SYS_ADMIN"]),
        put(f"{_SECURITY}.capabilities.add", ["NET_BIND_SERVICE"]),
    ],
    "non-root": [
        put("spec.securityContext.runAsNonRoot", False),
        put("spec.securityContext.runAsNonRoot", _GONE),
    ],
    "non-root-containers": [put(f"{_SECURITY}.runAsNonRoot", False)],
    "no-root-user": [put("spec.securityContext.runAsUser", 0), put("spec.securityContext.runAsUser", _GONE)],
    "no-root-user-containers": [put(f"{_SECURITY}.runAsUser", 0)],
    "no-root-group": [put("spec.securityContext.runAsGroup", 0), put("spec.securityContext.fsGroup", 0)],
    "no-root-group-containers": [
        put(f"{_SECURITY}.runAsGroup", 0),
        put("spec.securityContext.supplementalGroups", [2000, 0]),
    ],
    "seccomp": [
        put("spec.securityContext.seccompProfile", {"type": "Unconfined"}),
        put("spec.securityContext.seccompProfile", {"type": "Localhost", "localhostProfile": "x"}),
        put("spec.securityContext.seccompProfile", _GONE),
    ],
    "seccomp-containers": [put(f"{_SECURITY}.seccompProfile", {"type": "Unconfined"})],
    "read-only-root": [
        put(f"{_SECURITY}.readOnlyRootFilesystem", False),
        put(f"{_SECURITY}.readOnlyRootFilesystem", _GONE),
    ],
    "no-host-network": [put("spec.hostNetwork", True)],
    "no-host-process": [put("spec.hostPID", True)],
    "no-host-memory": [put("spec.hostIPC", True)],
    "no-shared-processes": [put("spec.shareProcessNamespace", True)],
    "no-host-path": [volume(hostPath={"path": "/"})],
    "volume-kinds": [
        volume(nfs={"server": "10.0.0.1", "path": "/"}),
        volume(csi={"driver": "x"}),
        volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
        volume(image={"reference": "elsewhere/x"}),
        volume(configMap={"name": "kube-root-ca.crt"}),
    ],
    "bounded-scratch": [volume(emptyDir={}), volume(emptyDir={"sizeLimit": "11Gi"})],
    "no-devices": [
        put(f"{_CONTAINER}.volumeDevices", [{"name": "home", "devicePath": "/dev/xvda"}]),
        put("spec.resourceClaims", [{"name": "gpu", "resourceClaimName": "gpu"}]),
        put(f"{_CONTAINER}.resources.claims", [{"name": "gpu"}]),
    ],
    "no-host-ports": [put(f"{_CONTAINER}.ports", [{"containerPort": 8888, "hostPort": 80}])],
    "no-proc-mount": [put(f"{_SECURITY}.procMount", "Unmasked")],
    "no-selinux-options": [
        put("spec.securityContext.seLinuxOptions", {"type": "spc_t"}),
        put(f"{_SECURITY}.seLinuxOptions", {"user": "system_u"}),
    ],
    "apparmor": [
        put("spec.securityContext.appArmorProfile", {"type": "Unconfined"}),
        put(f"{_SECURITY}.appArmorProfile", {"type": "Unconfined"}),
    ],
    "no-legacy-profiles": [
        mark("container.apparmor.security.beta.kubernetes.io/notebook", "unconfined", "annotations"),
        mark("seccomp.security.alpha.kubernetes.io/pod", "unconfined", "annotations"),
    ],
    "no-windows-options": [
        put("spec.securityContext.windowsOptions", {"hostProcess": True}),
        put(f"{_SECURITY}.windowsOptions", {"hostProcess": True}),
    ],
    "no-host-probes": [
        put(f"{_CONTAINER}.{probe}Probe", {how: {"host": "10.0.0.1", "port": 80}})
        for probe in ("liveness", "readiness", "startup")
        for how in ("httpGet", "tcpSocket")
    ],
    "no-lifecycle-hooks": [
        put(f"{_CONTAINER}.lifecycle", {"postStart": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
        put(f"{_CONTAINER}.lifecycle", {"preStop": {"exec": {"command": ["x"]}}}),
    ],
    "no-sysctls": [put("spec.securityContext.sysctls", [{"name": "kernel.shm_rmid_forced", "value": "1"}])],
    "digest-pinned": [
        put(f"{_CONTAINER}.image", "registry.low/notebooks/standard:latest"),
        put(f"{_CONTAINER}.image", "registry.low/notebooks/standard@sha256:" + "a" * 63),
        put(f"{_CONTAINER}.image", "registry.low/notebooks/standard@sha256:" + "a" * 64 + "\n"),
    ],
    "allowed-registries": [
        put(f"{_CONTAINER}.image", "elsewhere/x@sha256:" + "a" * 64),
        put(f"{_CONTAINER}.image", "registry.lowly/x@sha256:" + "a" * 64),
    ],
    "memory-limit": [limit("memory", _GONE), limit("memory", "65Gi"), limit("memory", "nonsense")],
    "cpu-limit": [limit("cpu", _GONE), limit("cpu", "17")],
    "gpu-limit": [limit("nvidia.com/gpu", "1")],
    "known-resources": [
        limit("hugepages-2Mi", "1Gi"),
        limit("example.com/fuse", "1"),
        limit("example.com/fuse", "1", "requests"),
    ],
    "requests": [limit("memory", _GONE, "requests"), limit("cpu", _GONE, "requests")],
    "scratch-limit": [limit("ephemeral-storage", _GONE), limit("ephemeral-storage", "1Ti")],
    "no-token": [
        put("spec.automountServiceAccountToken", True),
        put("spec.automountServiceAccountToken", _GONE),
    ],
    "no-service-account": [put("spec.serviceAccountName", "hub"), put("spec.serviceAccount", "hub")],
    "no-node-name": [
        put("spec.nodeName", "control-plane"),
        lambda thing: thing["spec"].update(nodeName="control-plane", schedulerName="default-scheduler"),
    ],
    "no-control-plane": [
        put("spec.tolerations", [{"operator": "Exists"}]),
        put("spec.tolerations", [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]),
    ],
    "no-system-priority": [put("spec.priorityClassName", "system-node-critical")],
    "no-debug-containers": [beside("ephemeralContainers")],
    "required-labels": [mark("hub-ext/user", _GONE), mark("hub-ext/profile", _GONE), mark("hub-ext/name", _GONE)],
    "known-purpose": [mark("hub-ext/purpose", "other")],
    "own-namespace": [mark("hub-ext/user", "bob")],
    "has-an-end": [put("spec.activeDeadlineSeconds", _GONE), put("spec.activeDeadlineSeconds", 2592001)],
}  # fmt: skip

NETWORKS: dict[str, list[Change]] = {
    "isolated": [put("spec.policyTypes", ["Ingress"]), put("spec.policyTypes", ["Egress"])],
    "egress-named": [
        to(),
        to({"podSelector": {}}),
        to({"namespaceSelector": {}}),
        to({"namespaceSelector": {"matchLabels": {"team": "data"}}}),
        to(_SYSTEM, {"namespaceSelector": {}}),
    ],
    "egress-ports": [
        to(_SYSTEM, ports=()),
        to(_SYSTEM, ports=[{"port": 443}, {"protocol": "TCP"}]),
        to(_SYSTEM, ports=[{"port": 1, "endPort": 65535}]),
    ],
    "no-metadata-service": [
        block("0.0.0.0/0"),
        block("0.0.0.0/0", "169.254.169.254/32"),
        block("128.0.0.0/2"),
        block("169.1.2.3/8"),
        block("169.254.0.0/16", "169.254.169.254/32"),
        block("169.254.169.254/32"),
        block("169.254.170.23/32"),
        block("nonsense"),
        block("0.0.0.0/0", "169.254.0.0/16"),
        block("0.0.0.0/0", "169.254.0.0/16", "168.63.129.16/32"),
        block("0.0.0.0/0", "169.254.0.0/16", "100.100.100.200/32"),
        block("168.63.129.16/32"),
        block("168.63.0.0/16"),
        block("168.63.129.17/31"),
        block("100.100.100.200/32"),
        block("100.64.0.0/10"),
    ],
    "no-metadata-service-6": [
        block("::/0"),
        block("::/0", "fd00:ec2::/32"),
        block("fd00::/8"),
        block("FD00:0EC2::/32"),
        block("fd00:ec2::23/128"),
        block("::ffff:169.254.169.254/128"),
        block("64:ff9b::a9fe:a9fe/128"),
        block("2000::/1"),
        block("200::/16"),
        block("fe80::1/128"),
        block("::/0", "fd00:ec2::/32", "64:ff9b::a9fe:0/112"),
        block("64:ff9b::a83f:8110/128"),
    ],
    "ingress-named": [
        put("spec.ingress", [{}]),
        put("spec.ingress", [{"from": []}]),
        put("spec.ingress", [{"from": [{"namespaceSelector": {}}]}]),
        put("spec.ingress", [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
        put("spec.ingress", [{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
    ],
    "opens-for-one": [
        put("spec.podSelector", {}),
        put("spec.podSelector", {"matchLabels": {"hub-ext/purpose": "server"}}),
    ],
}

REQUESTS: dict[str, list[Change]] = {
    "signed-in": [put("user", "")],
    "not-too-many-cores": [put("cpu", 16.5)],
}


@dataclass(frozen=True)
class Breaking:
    """An object that breaks one rule.

    Attributes:
        rule: Its id.
        kind: What the object is.
        number: Tells those of one rule apart.
        subject: The object.
    """

    rule: str
    kind: Kind
    number: int
    subject: dict[str, Any]


def breaking() -> Iterator[Breaking]:
    """Yield all of them."""
    made = rendering()
    subjects: list[tuple[Kind, dict[str, Any], dict[str, list[Change]]]] = [
        ("pod", made.pod, PODS),
        ("networkpolicy", made.network, NETWORKS),
        ("request", request_view(STANDARD, STANDARD.spec, ABOUT), REQUESTS),
    ]
    for kind, good, table in subjects:
        for rule, changes in table.items():
            for number, change in enumerate(changes):
                subject = copy.deepcopy(good)
                change(subject)
                yield Breaking(rule, kind, number, subject)
