"""What a namespace's pods may reach and be reached by, as NetworkPolicies. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from hub_ext.catalog.models import Egress
from hub_ext.kubernetes.objects import MANAGED_BY, PORT, PREFIX, Manifest

HUB_PORT = 8081  # of the Hub's API
SERVICE_PORT = 8880  # of the sharing service
EXECUTORS_PORT = 8882  # of the sharing service, for executors alone
# They hand out credentials of machines and pods in clouds; the last three are the first three, translated to IPv6.
_CREDENTIALS = tuple(
    ipaddress.ip_network(one)
    for one in (
        "169.254.0.0/16",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "fd00:ec2::/32",
        "64:ff9b::a9fe:0/112",
        "64:ff9b::a83f:8110/128",
        "64:ff9b::6464:64c8/128",
    )
)


def default_deny(namespace: str) -> Manifest:
    """Return the NetworkPolicy that cuts every pod of a namespace off; others then open what is needed."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return _network_policy("default-deny", namespace, spec)


def network_policy(
    name: str,
    namespace: str,
    marks: Mapping[str, str],
    egress: Sequence[Egress],
    system: str,
    outside: Sequence[tuple[str, Sequence[int]]] = (),
) -> Manifest:
    """Return the NetworkPolicy of a server or a run: what every one needs, and what its profile names.

    Args:
        name: Name of the policy.
        namespace: Where it lives.
        marks: Labels of the pod that it is for.
        egress: What the profile names.
        system: Namespace of the Hub, its proxy and the sharing service.
        outside: Where they are when they are not in the cluster: addresses, each with its ports, those for executors
            alone for a run.
    """
    components = {"matchLabels": {"app.kubernetes.io/part-of": "hub-ext"}}
    platform = {"namespaceSelector": _named(system), "podSelector": components}
    dns = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    there = [({"ipBlock": {"cidr": cidr}}, ports) for cidr, ports in outside]
    is_run = marks[f"{PREFIX}/purpose"] == "run"
    there = there or [(platform, (EXECUTORS_PORT,) if is_run else (HUB_PORT, SERVICE_PORT))]
    rules = [
        {"to": [{"namespaceSelector": _named("kube-system")}], "ports": dns},
        *({"to": [one], "ports": _tcp(ports)} for one, ports in there),
        *(_egress_rule(one) for one in egress),
    ]
    spec = {
        "podSelector": {
            "matchLabels": {key: marks[key] for key in (f"{PREFIX}/purpose", f"{PREFIX}/name", f"{PREFIX}/launch")}
        },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [] if is_run else [{"from": [one for one, _ in there], "ports": _tcp([PORT])}],
        "egress": rules,
    }
    return _network_policy(name, namespace, spec, marks)


def _network_policy(name: str, namespace: str, spec: Manifest, marks: Mapping[str, str] = MANAGED_BY) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": dict(marks)}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _tcp(ports: Sequence[int]) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


def _named(namespace: str) -> Manifest:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def _egress_rule(egress: Egress) -> Manifest:
    ports = _tcp(egress.ports)
    if egress.namespace is not None:
        target: Manifest = {"namespaceSelector": _named(egress.namespace)}
        if egress.labels:
            target["podSelector"] = {"matchLabels": dict(egress.labels)}
        return {"to": [target], "ports": ports}
    network = ipaddress.ip_network(str(egress.cidr), strict=False)
    block: Manifest = {"cidr": str(network)}  # in one form, which rules compare as text
    held = [one for one in _CREDENTIALS if one.version == network.version and one.subnet_of(network)]  # type: ignore[arg-type]
    if held:
        block["except"] = [str(one) for one in held]
    return {"to": [{"ipBlock": block}], "ports": ports}
