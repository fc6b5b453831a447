"""A Gateway for a release: traefik beside the cluster, with rights of its own, that reads the Gateway API's objects."""

from __future__ import annotations

import contextlib
import copy
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.cluster.builds import definitions
from tests.cluster.certificates import serving
from tests.functional.conftest import free_port

if TYPE_CHECKING:
    from tests.kubernetes.charts import Release
    from tests.kubernetes.conftest import UsedCluster

GROUP = "gateway.networking.k8s.io"
HOST = "localhost"  # a name that browsers here know without being told
_NAME, _SECTION = "shared", "https"
_PROGRAM = Path(sys.executable).parent / "traefik"


def know_the_kinds(cluster: UsedCluster) -> None:
    """See that the cluster knows the Gateway API's kinds; one of this machine learns them here, and keeps them."""
    kubectl = cluster.kubectl
    if cluster.local is not None:
        kubectl("apply", "--server-side", "-f", str(definitions()))
    elif not kubectl("get", "crd", f"httproutes.{GROUP}", "-o", "name", "--ignore-not-found").strip():
        pytest.skip("The cluster does not know the Gateway API.")
    kubectl("wait", "crd", f"httproutes.{GROUP}", "--for=condition=Established", "--timeout=60s", seconds=90)


def values(namespace: str) -> dict[str, Any]:
    """Return the chart's values for a route to the Gateway of a release.

    Args:
        namespace: Of the release.
    """
    parent = {"name": _NAME, "namespace": f"{namespace}-gateway", "sectionName": _SECTION}
    return {"enabled": True, "host": HOST, "parentRefs": [parent]}


class Gateway:
    """A Gateway that runs, for the route of one release.

    Attributes:
        url: Its address.

    Args:
        release: The release.
        folder: Where it may keep things.
    """

    def __init__(self, release: Release, folder: Path) -> None:
        local = release.cluster.local
        assert local is not None
        self._release, self._folder = release, folder
        self._namespace = f"{release.namespace}-gateway"
        self._port = free_port()
        self._authority = local.layout.keys / "ca.crt"
        self._files = serving(local.layout.keys, "gateway", HOST, folder)
        self.url = f"https://{HOST}:{self._port}"
        self._trusted = ssl.create_default_context(cafile=self._authority)
        self._beside = f"gateway-{release.id}"  # what is in no namespace

    # What there is of it in the cluster.

    def _rights(self) -> list[dict[str, Any]]:
        """Return its account and what that may: read what it serves, and say what became of it."""
        kinds = ["gateways", "httproutes", "grpcroutes", "tlsroutes", "listenersets", "backendtlspolicies"]
        look = ["get", "list", "watch"]
        inside = [
            {"apiGroups": [""], "resources": ["services", "secrets", "configmaps"], "verbs": look},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": look},
            {"apiGroups": [GROUP], "resources": [*kinds, "referencegrants"], "verbs": look},
            {"apiGroups": [GROUP], "resources": [f"{kind}/status" for kind in kinds], "verbs": ["update"]},
        ]
        beside = [
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": look},
            {"apiGroups": [GROUP], "resources": ["gatewayclasses"], "verbs": look},
            {"apiGroups": [GROUP], "resources": ["gatewayclasses/status"], "verbs": ["update"]},
        ]
        made = [_object("v1", "ServiceAccount", "gateway", self._namespace)]
        for where in (self._namespace, self._release.namespace):
            made += self._granted("Role", "gateway", where, inside)
        return made + self._granted("ClusterRole", self._beside, "", beside)

    def _granted(self, kind: str, name: str, namespace: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        group = "rbac.authorization.k8s.io"
        account = {"kind": "ServiceAccount", "name": "gateway", "namespace": self._namespace}
        role = {"apiGroup": group, "kind": kind, "name": name}
        return [
            _object(f"{group}/v1", kind, name, namespace, rules=rules),
            _object(f"{group}/v1", f"{kind}Binding", name, namespace, roleRef=role, subjects=[account]),
        ]

    def _served(self) -> list[dict[str, Any]]:
        """Return the class, the Gateway and its certificate; routes of the release's namespace alone are let in."""
        certificate, key = (file.read_text() for file in self._files)
        pair = {"tls.crt": certificate, "tls.key": key}
        chosen = {"matchLabels": {"kubernetes.io/metadata.name": self._release.namespace}}
        listener = {
            "name": _SECTION,
            "protocol": "HTTPS",
            "port": self._port,
            "hostname": HOST,
            "tls": {"mode": "Terminate", "certificateRefs": [{"name": "certificate"}]},
            "allowedRoutes": {"namespaces": {"from": "Selector", "selector": chosen}},
        }
        kind = _object(
            f"{GROUP}/v1", "GatewayClass", self._beside, spec={"controllerName": "traefik.io/gateway-controller"}
        )
        kind["metadata"]["labels"] = {"for": self._beside}  # another test's traefik leaves it alone
        spec = {"gatewayClassName": self._beside, "listeners": [listener]}
        return [
            _object("v1", "Secret", "certificate", self._namespace, type="kubernetes.io/tls", stringData=pair),
            kind,
            _object(f"{GROUP}/v1", "Gateway", _NAME, self._namespace, spec=spec),
        ]

    # Its program.

    def _command(self) -> list[str]:
        kubectl = self._release.cluster.kubectl
        there = yaml.safe_load(self._release.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        token = self._folder / "token"
        token.write_text(kubectl("create", "token", "gateway", "-n", self._namespace, "--duration=1h").strip())
        provider = {
            "endpoint": there,
            "certauthfilepath": self._authority,
            "token": token,
            "namespaces": f"{self._namespace},{self._release.namespace}",
            "labelselector": f"for={self._beside}",
        }
        given = [f"--providers.kubernetesgateway.{name}={value}" for name, value in provider.items()]
        asks_nobody = ["--global.checknewversion=false", "--global.sendanonymoususage=false"]
        door = f"--entrypoints.public.address=127.0.0.1:{self._port}"
        return [str(_PROGRAM), door, "--providers.kubernetesgateway", *given, *asks_nobody, "--log.level=WARN"]

    @contextlib.contextmanager
    def running(self) -> Iterator[Gateway]:
        """Run it until the end."""
        kubectl = self._release.cluster.kubectl
        try:
            kubectl.apply(_object("v1", "Namespace", self._namespace), *self._rights(), *self._served())
            with (self._folder / "gateway.log").open("wb") as log:
                env = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
                process = subprocess.Popen(self._command(), env=env, cwd=self._folder, stdout=log, stderr=log)
            try:
                yield self
            finally:
                process.terminate()
                process.wait(30)
        finally:
            beside = [f"{kind}/{self._beside}" for kind in ("gatewayclass", "clusterrole", "clusterrolebinding")]
            kubectl("delete", *beside, "--ignore-not-found")
            kubectl("delete", "namespace", self._namespace, "--ignore-not-found", "--wait=false")

    def said(self) -> str:
        """Return what it wrote last, for a test that fails."""
        return (self._folder / "gateway.log").read_text()[-3000:]

    # What is seen of it.

    def says(self) -> dict[str, bool]:
        """Return what it says of the release's route: ``Accepted``, ``ResolvedRefs``; empty while it says nothing."""
        route = self._release.cluster.kubectl.json(
            "get", f"httproutes.{GROUP}", "hub-ext", "-n", self._release.namespace
        )
        parents = route.get("status", {}).get("parents", [])
        return {one["type"]: one["status"] == "True" for parent in parents for one in parent["conditions"]}

    def answers(self) -> bool:
        """Return whether the Hub's first page comes through it."""
        with contextlib.suppress(httpx.HTTPError):
            return self.get("/hub/login").status_code == 200
        return False

    def get(self, path: str, host: str = HOST) -> httpx.Response:
        """Ask for a page through it, on a connection of its own.

        Args:
            path: Of the page.
            host: Which name is asked for.
        """
        with httpx.Client(verify=self._trusted, trust_env=False, timeout=20) as client:
            return client.get(f"https://{HOST}:{self._port}{path}", headers={"Host": f"{host}:{self._port}"})

    def hears(self, token: str, path: str) -> str:
        """Return the first line of an event stream, which goes on."""
        with (
            httpx.Client(verify=self._trusted, trust_env=False, timeout=60) as client,
            client.stream("GET", self.url + path, headers={"Authorization": f"token {token}"}) as stream,
        ):
            assert stream.status_code == 200
            return next(line for line in stream.iter_lines() if line)

    def as_platform(self) -> Release:
        """Return the release as somebody sees it who comes through here."""
        seen = copy.copy(self._release)
        seen.url, seen.port = self.url, self._port
        return seen


def _object(version: str, kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    about = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": about, **more}
