"""The configuration files of the parts. Pure: a layout in, texts out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.cluster.layout import DOMAIN, INSIDE, NODE, Layout

CONTAINERD = "/run/containerd/containerd.sock"
DEBIAN_CNI = "/usr/lib/cni"


def kubeconfig(layout: Layout, identity: str, keys: Path | None = None) -> str:
    """Return a kubeconfig.

    Args:
        layout: The cluster's.
        identity: Whose certificate it names.
        keys: Folder of keys to name, as the reader sees it; None puts the keys themselves in.
    """

    def key(name: str, field: str) -> dict[str, str]:
        if keys is not None:
            return {field: str(keys / name)}
        return {f"{field}-data": base64.b64encode((layout.keys / name).read_bytes()).decode()}

    server = f"https://{layout.addresses.node}:6443"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "hub-ext", "cluster": {"server": server, **key("ca.crt", "certificate-authority")}}],
        "users": [
            {
                "name": identity,
                "user": {**key(f"{identity}.crt", "client-certificate"), **key(f"{identity}.key", "client-key")},
            }
        ],
        "contexts": [{"name": "hub-ext", "context": {"cluster": "hub-ext", "user": identity}}],
        "current-context": "hub-ext",
    }
    return _json(content)


def kubelet(layout: Layout) -> str:
    """Return the kubelet's configuration."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(INSIDE / "keys/ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(INSIDE / "keys/kubelet.crt"),
            "tlsPrivateKeyFile": str(INSIDE / "keys/kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{layout.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,  # lower ones need a capability that not every root has
            "clusterDNS": [layout.addresses.dns],
            "clusterDomain": DOMAIN,
            "resolvConf": "",  # nothing outside of the cluster is reached
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            "serializeImagePulls": False,
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
            # A disk that is shared with others says little about this node.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            # How soon a pod is taken away that has more temporary files than it may; a minute by default.
            "volumeStatsAggPeriod": "15s",
            "nodeStatusUpdateFrequency": "5s",
            "nodeLeaseDurationSeconds": 40,
        }
    )


def proxy(layout: Layout) -> str:
    """Return the configuration of kube-proxy."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": layout.addresses.pods,
            "hostnameOverride": NODE,
            "clientConnection": {"kubeconfig": str(INSIDE / "config/proxy.kubeconfig")},
            "healthzBindAddress": f"{layout.addresses.node}:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "oomScoreAdj": 0,
            "conntrack": {  # the machine's limits stay as they are
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "iptables": {"minSyncPeriod": "0s"},
        }
    )


def containerd(pause: str) -> str:
    """Return containerd's configuration.

    Args:
        pause: The image that holds a pod's namespaces, by digest.
    """
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "{CONTAINERD}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{DEBIAN_CNI}"
    conf_dir = "{INSIDE}/config/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{INSIDE}/config/registries"
"""


def network(layout: Layout) -> str:
    """Return the pods' network: a wire of its own from each pod to the node, which routes between them.

    Without a bridge every packet passes the node's packet filter, so that Services work between pods of one node
    whether or not bridges are filtered on this machine.
    """
    plugins: list[dict[str, Any]] = [
        {
            "type": "ptp",
            "ipMasq": False,  # this machine has a route to the pods, and sees who asks
            "mtu": 1500,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni",
                "ranges": [[{"subnet": layout.addresses.pods}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return _json({"cniVersion": "0.4.0", "name": "hub-ext", "plugins": plugins})


def registry(layout: Layout) -> str:
    """Return the registry's configuration."""
    return _json(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": "/var/lib/registry"},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": layout.addresses.registry},
        }
    )


def registry_hosts(layout: Layout) -> str:
    """Return how containerd reaches the registry: without TLS, on a wire that leads nowhere else."""
    address = f"http://{layout.addresses.registry}"
    return f'server = "{address}"\n[host."{address}"]\n  capabilities = ["pull", "resolve"]\n'


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
