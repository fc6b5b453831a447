"""What a pod may reach and be reached by: whole manifests."""

from __future__ import annotations

from hub_ext.catalog.models import Egress
from hub_ext.kubernetes import objects
from hub_ext.kubernetes.network import network_policy


def _labels(profile: str, version: int, purpose: str, name: str) -> dict[str, str]:
    return objects.labels(profile, version, purpose, "ann", name, system="hub-ext", launch="s-1")


def test_the_network_of_a_server_is_what_every_one_needs_and_what_its_profile_names() -> None:
    egress = [
        Egress(namespace="data", labels={"app": "catalog"}, ports=(443,)),
        Egress(cidr="10.1.2.0/24", ports=(5432,)),
        Egress(cidr="0.0.0.0/0", ports=(443,)),
    ]
    marks = _labels("geo", 1, "server", "second")
    made = network_policy("server-second", "hub-ext-ann", marks, egress, "hub-ext")
    platform = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hub-ext"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "hub-ext"}},
    }
    assert made["spec"] == {
        "podSelector": {
            "matchLabels": {"hub-ext/purpose": "server", "hub-ext/name": "second", "hub-ext/launch": "s-1"}
        },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [platform], "ports": [{"port": 8888, "protocol": "TCP"}]}],
        "egress": [
            {
                "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            },
            {"to": [platform], "ports": [{"port": 8081, "protocol": "TCP"}, {"port": 8880, "protocol": "TCP"}]},
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}},
                        "podSelector": {"matchLabels": {"app": "catalog"}},
                    }
                ],
                "ports": [{"port": 443, "protocol": "TCP"}],
            },
            {"to": [{"ipBlock": {"cidr": "10.1.2.0/24"}}], "ports": [{"port": 5432, "protocol": "TCP"}]},
            {
                "to": [
                    {
                        "ipBlock": {
                            "cidr": "0.0.0.0/0",
                            "except": ["169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32"],
                        }
                    }
                ],
                "ports": [{"port": 443, "protocol": "TCP"}],
            },
        ],
    }


def test_a_platform_beside_the_cluster_is_opened_by_its_addresses() -> None:
    marks = _labels("geo", 1, "server", "")
    outside = [("10.1.2.3/32", (8081, 8880)), ("10.1.2.4/32", (443,))]
    made = network_policy("s-1", "hub-ext-ann", marks, [], "hub-ext", outside)
    assert made["spec"]["ingress"] == [
        {
            "from": [{"ipBlock": {"cidr": "10.1.2.3/32"}}, {"ipBlock": {"cidr": "10.1.2.4/32"}}],
            "ports": [{"port": 8888, "protocol": "TCP"}],
        }
    ]
    assert made["spec"]["egress"][1:] == [
        {
            "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
            "ports": [{"port": 8081, "protocol": "TCP"}, {"port": 8880, "protocol": "TCP"}],
        },
        {"to": [{"ipBlock": {"cidr": "10.1.2.4/32"}}], "ports": [{"port": 443, "protocol": "TCP"}]},
    ]


def test_a_run_reaches_the_door_for_executors_and_nothing_else_of_ours() -> None:
    made = network_policy("l-1", "hub-ext-ann", _labels("geo", 1, "run", "l-1"), [], "hub-ext")
    assert made["spec"]["ingress"] == []
    assert [rule["ports"] for rule in made["spec"]["egress"][1:]] == [[{"port": 8882, "protocol": "TCP"}]]
