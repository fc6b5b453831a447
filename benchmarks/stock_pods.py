"""A stock JupyterHub with KubeSpawner, in pods: its Hub, its proxy and its PostgreSQL, of the same images as ours."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from benchmarks.pods import PART
from tests.kubernetes.conftest import UsedCluster
from tests.kubernetes.platforms import wait_for

_CONFIG = """
import os
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.JupyterHub.db_url = f"postgresql+psycopg://hub_ext:{os.environ['PASSWORD']}@postgresql/jupyterhub"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = False
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = os.environ["NAMESPACE"]
c.KubeSpawner.image = os.environ["IMAGE"]
c.KubeSpawner.cmd = ["jupyterhub-singleuser"]
c.KubeSpawner.uid, c.KubeSpawner.gid, c.KubeSpawner.fs_gid = 1000, 100, 100
c.KubeSpawner.profile_list = [
    {
        "display_name": f"Profile {number}",
        "slug": f"p{number}",
        "description": "For measuring.",
        "profile_options": {
            "memory": {
                "display_name": "Memory",
                "choices": {
                    f"m{size}": {"display_name": f"{size} GiB", "kubespawner_override": {"mem_limit": f"{size}G"}}
                    for size in (4, 8, 16)
                },
            }
        },
    }
    for number in range(5)
]
"""


@dataclass(frozen=True)
class StockPods:
    """A stock JupyterHub that runs.

    Attributes:
        namespace: Of all of it.
        url: Of its proxy.
        hub: Of its Hub, in the cluster.
    """

    namespace: str
    url: str
    hub: str


@contextlib.contextmanager
def stock_pods(cluster: UsedCluster, images: Mapping[str, str]) -> Iterator[StockPods]:
    """Run it in a namespace of its own.

    Args:
        cluster: The cluster.
        images: `hub`, `proxy` and `postgresql`: registry, name and digest.
    """
    namespace = f"stock-{uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", namespace)
    try:
        cluster.kubectl.apply(*_manifests(cluster, namespace, images))
        found = cluster.kubectl.items("services", "-n", namespace)
        at = {one["metadata"]["name"]: one["spec"]["clusterIP"] for one in found}
        made = StockPods(namespace, f"http://{at['proxy']}:8000", f"http://{at['hub']}:8081")
        wait_for(lambda: _answers(f"{made.url}/hub/login"), told="the stock Hub does not answer")
        yield made
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=true", seconds=240)


def _answers(url: str) -> bool:
    time.sleep(0.2)
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    return False


def _manifests(cluster: UsedCluster, namespace: str, images: Mapping[str, str]) -> list[dict[str, Any]]:
    password, token = secrets.token_hex(16), {"CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(32)}
    binding: dict[str, Any] = {
        "kind": "RoleBinding",
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": "hub", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    entries = {"config.py": _CONFIG, "postgresql-password": password}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stock", "namespace": namespace}}
    environ = {"PASSWORD": password, "NAMESPACE": namespace, "IMAGE": cluster.image, **token}
    hub = ["jupyterhub", "-f", "/run/secrets/hub-ext/config.py"]
    proxy = ["configurable-http-proxy", "--ip=0.0.0.0", "--port=8000", "--api-ip=0.0.0.0", "--api-port=8001"]
    proxy += ["--default-target=http://hub:8081", "--error-target=http://hub:8081/hub/error", "--log-level=warn"]
    return [
        binding,
        {**secret, "stringData": entries},
        *_part(namespace, "postgresql", images, [], {}, {"postgresql": 5432}),
        *_part(namespace, "proxy", images, proxy, token, {"proxy": 8000, "proxy-api": 8001}),
        *_part(namespace, "hub", images, hub, environ, {"hub": 8081}),
    ]


def _part(
    namespace: str,
    part: str,
    images: Mapping[str, str],
    command: list[str],
    environ: Mapping[str, str],
    ports: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Return a Deployment of one pod, and the Services that lead to it.

    Args:
        namespace: Where.
        part: Which; also the name of its image.
        images: As for `stock_pods`.
        command: What it runs; empty for what the image runs.
        environ: Its environment.
        ports: Name of a Service → port.
    """
    about, selector = {"namespace": namespace}, {PART: part}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": part, **about},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": _pod(part, images[part], command, environ),
        },
    }
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, **about},
            "spec": {"selector": selector, "ports": [{"port": port}]},
        }
        for name, port in ports.items()
    ]
    return [deployment, *services]


def _pod(part: str, image: str, command: list[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the template of the one pod of a part."""
    volumes = [{"name": "work", "emptyDir": {}}, {"name": "stock", "secret": {"secretName": "stock"}}]
    container: dict[str, Any] = {
        "name": part,
        "image": image,
        "env": [{"name": name, "value": value} for name, value in environ.items()],
        "volumeMounts": [
            {"name": "work", "mountPath": "/var/lib/postgresql" if part == "postgresql" else "/srv/hub-ext"},
            {"name": "stock", "mountPath": "/run/secrets/hub-ext"},
        ],
        **({"args": command} if command else {}),
    }
    return {"metadata": {"labels": {PART: part}}, "spec": {"containers": [container], "volumes": volumes}}
