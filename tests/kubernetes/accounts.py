"""Our policy and our accounts in a real cluster, under names of their own, and what the API server says to each."""

from __future__ import annotations

import base64
import copy
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import yaml

from hub_ext.catalog.policy import Enclave
from hub_ext.kubernetes import rbac
from hub_ext.kubernetes.admission import export
from hub_ext.kubernetes.confinement import admission, binding
from hub_ext.kubernetes.network import default_deny
from hub_ext.kubernetes.objects import MANAGED_BY, Manifest
from hub_ext.kubernetes.render import Rendering, render
from tests.catalog.breaking import CATALOG, ENCLAVE, IMAGE, STANDARD
from tests.kubernetes.conftest import UsedCluster

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/namespaces/{}/pods",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Event": "/api/v1/namespaces/{}/events",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
NOWHERE = {"hub-ext-tests/nowhere": "true"}  # no node has it: a pod that is really made never runs


@dataclass(frozen=True)
class Said:
    """What the API server said.

    Attributes:
        status: HTTP status.
        message: Its message, empty for a yes.
        body: All of it.
    """

    status: int
    message: str
    body: Any

    @property
    def admitted(self) -> bool:
        """Whether it was a yes."""
        return self.status < 300

    def by(self, policy: str) -> bool:
        """Return whether a policy of ours refused it, and nobody else."""
        return self.status in (403, 422) and f"ValidatingAdmissionPolicy '{policy}'" in self.message

    @property
    def by_rights(self) -> bool:
        """Whether it was refused for want of a right, before any policy."""
        return self.status == 403 and "cannot " in self.message and "ValidatingAdmissionPolicy" not in self.message


@dataclass
class Api:
    """The API server, as somebody with a token or a certificate."""

    http: httpx.Client

    def ask(self, method: str, path: str, body: Any = None, *, real: bool = False, kind: str = "json") -> Said:
        """Ask; nothing changes unless it is meant so.

        Args:
            method: HTTP method.
            path: Path, with its query.
            body: JSON.
            real: Whether it is to happen; else it is tried alone (dry run).
            kind: Of the body of a PATCH: ``merge-patch+json`` or ``apply-patch+yaml``.
        """
        writes = method != "GET"
        query = {} if real or not writes else {"dryRun": "All"}
        content = None if body is None else json.dumps(body)
        answer = self.http.request(
            method, path, params=query, content=content, headers={"Content-Type": f"application/{kind}"}
        )
        try:
            said = answer.json()
        except ValueError:
            said = {"message": answer.text}
        message = "" if answer.status_code < 300 else str(said.get("message"))
        return Said(answer.status_code, message, said)

    def make(self, manifest: Manifest, *, real: bool = False) -> Said:
        """Make an object."""
        return self.ask(
            "POST", PATHS[manifest["kind"]].format(manifest["metadata"].get("namespace")), manifest, real=real
        )

    def change(self, there: Manifest, patch: Any, *, real: bool = False, part: str = "") -> Said:
        """Change an object, or a part of it that has a path of its own."""
        return self.ask("PATCH", _path(there) + part, patch, real=real, kind="merge-patch+json")

    def remove(self, there: Manifest, *, real: bool = False) -> Said:
        """Delete an object."""
        options = {"gracePeriodSeconds": 0} | ({} if real else {"dryRun": ["All"]})  # a body hides the query
        return self.ask("DELETE", _path(there), options, real=real)


def _path(there: Manifest) -> str:
    about = there["metadata"]
    return f"{PATHS[there['kind']].format(about.get('namespace'))}/{about['name']}"


@dataclass(frozen=True)
class Platform:
    """A platform as a cluster knows it: its namespace, its accounts with their rights, its policies.

    Attributes:
        name: Its namespace, and the name of its policy.
        enclave: Its network.
        cluster: The cluster.
        hub: The API server, by the Hub's own credentials.
        service: By the service's.
        admin: By an administrator's.
        namespaces: Those that were made.
    """

    name: str
    enclave: Enclave
    cluster: UsedCluster
    hub: Api
    service: Api
    admin: Api
    namespaces: list[str] = field(default_factory=list)

    def rendering(self, purpose: str = "server", user: str = "", profile: Any = STANDARD, **more: Any) -> Rendering:
        """Return what a start makes, with a pod that no node takes."""
        user = user or f"{self.name}-ann"
        named = {"user": user, "purpose": purpose, "name": "x", "image": IMAGE} | more
        made = render(profile, profile.spec, self.enclave, **named)
        made.pod["spec"]["nodeSelector"] = dict(NOWHERE)
        if made.job is not None:
            made.job["spec"]["template"]["spec"]["nodeSelector"] = dict(NOWHERE)
        return made

    def room(self, user: str, *, around: bool = True) -> Rendering:
        """Make a person's namespace, by the Hub's own credentials, with what closes and bounds it."""
        made = self.rendering(user=user)
        for one in (made.namespace, *(made.around if around else ())):
            _done(self.hub.make(one, real=True))
            if one is made.namespace:
                self.namespaces.append(one["metadata"]["name"])
        return made

    def namespace(self, name: str, **labels: str) -> str:
        """Make a namespace as an administrator."""
        _done(self.admin.make({"kind": "Namespace", "metadata": {"name": name, "labels": labels}}, real=True))
        self.namespaces.append(name)
        return name

    def close(self, where: str) -> None:
        """Put a default deny and a roomy quota into a namespace, as an administrator."""
        for one in (default_deny(where), default_quota(where)):
            _done(self.admin.make(one, real=True))

    def loose(self, user: str = "loose") -> Rendering:
        """Make a person's namespace without a Pod Security level: what refuses there is our policy alone."""
        made = self.rendering(user=f"{self.name}-{user}")
        where, labels = made.namespace["metadata"]["name"], made.namespace["metadata"]["labels"]
        self.namespace(where, **{key: value for key, value in labels.items() if "pod-security" not in key})
        self.close(where)
        account = {"kind": "ServiceAccount", "metadata": {"name": "hub", "namespace": where}}
        _done(self.admin.make(account, real=True))
        return made


def default_quota(where: str) -> Manifest:
    """Return a quota that is in nobody's way."""
    about = {"name": "hub-ext", "namespace": where, "labels": dict(MANAGED_BY)}
    hard = {"pods": "100", "limits.cpu": "1000", "limits.memory": "10Ti"}
    return {"kind": "ResourceQuota", "metadata": about, "spec": {"hard": hard}}


def _keep_looking(cluster: UsedCluster) -> None:
    """Have two policies about nothing that name the kinds which ours look for.

    An API server (1.34) stops to follow a kind when the last policy that names it is deleted, and never begins again
    until it is restarted. These two stay in the cluster of the tests, so that ours can be installed more than once.
    """
    nothing = {"apiGroups": ["hub-ext.invalid"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}
    made = []
    for api, kind in (("networking.k8s.io/v1", "NetworkPolicy"), ("v1", "ResourceQuota")):
        name = f"hub-ext-tests-{kind.lower()}"
        spec = {
            "paramKind": {"apiVersion": api, "kind": kind},
            "matchConstraints": {"resourceRules": [nothing]},
            "validations": [{"expression": "true"}],
        }
        made += [admission("ValidatingAdmissionPolicy", name, spec), binding(name, param="none")]
    cluster.kubectl.apply(*made)


@contextmanager
def platform(cluster: UsedCluster) -> Iterator[Platform]:
    """Install our policies and accounts under names of their own; take them away afterwards."""
    name = f"adm-{uuid4().hex[:8]}"
    spec = ENCLAVE.spec.model_copy(update={"system_namespace": name, "storage_class": cluster.storage_class})
    enclave = ENCLAVE.model_copy(update={"spec": spec})
    kubectl = cluster.kubectl
    _keep_looking(cluster)
    kubectl("create", "namespace", name)
    installed = [*rbac.manifests(name), *export(CATALOG.policy, enclave)]
    kubectl.apply(*installed)
    tokens = [kubectl("create", "token", one, "-n", name).strip() for one in (rbac.HUB, rbac.SERVICE)]
    clients = [_client(cluster, token) for token in (*tokens, None)]
    made = Platform(name, enclave, cluster, *(Api(client) for client in clients))
    try:
        _wait_until_in_force(made)
        yield made
    finally:
        for client in clients:
            client.close()
        for one in installed:
            if "namespace" not in one["metadata"]:
                kubectl("delete", one["kind"].lower(), one["metadata"]["name"], "--ignore-not-found")
        kubectl("delete", "namespace", name, *made.namespaces, "--ignore-not-found", "--wait=true", seconds=300)


def _wait_until_in_force(made: Platform) -> None:
    """Wait until the API server enforces every policy: each of them refuses what it alone refuses."""
    first = made.rendering(user=f"{made.name}-first")
    closed, quota, _ = first.around
    made.namespace(first.namespace["metadata"]["name"], **first.namespace["metadata"]["labels"])
    open_ = copy.deepcopy(first.pod)
    open_["spec"]["nodeName"] = "somewhere"
    elsewhere = copy.deepcopy(first.network)
    elsewhere["metadata"]["namespace"] = "default"
    _until(lambda: made.hub.make(elsewhere), f"{made.name}-accounts")
    settled(lambda: made.admin.make(closed, real=True))
    _until(lambda: made.admin.make(first.pod), f"{made.name}-bounded")
    settled(lambda: made.admin.make(quota, real=True))
    settled(lambda: made.admin.remove(closed, real=True))
    _until(lambda: made.admin.make(first.pod), f"{made.name}-closed")
    settled(lambda: made.admin.make(closed, real=True))
    _until(lambda: made.admin.make(open_), made.name)


def _done(said: Said) -> None:
    assert said.admitted, said


def settled(ask: Callable[[], Said]) -> None:
    """Do something as soon as the API server has heard of everything that was installed a moment ago."""
    deadline = time.monotonic() + 60
    while not (said := ask()).admitted:
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def _until(ask: Callable[[], Said], policy: str) -> None:
    deadline = time.monotonic() + 60
    while not (said := ask()).by(policy):
        assert time.monotonic() < deadline, (policy, said)
        time.sleep(0.1)


def _client(cluster: UsedCluster, token: str | None) -> httpx.Client:
    """Return a client of the API server: with a token, or as the kubeconfig's own user."""
    content = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--minify"))
    at, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(at["certificate-authority-data"]).decode())
    headers = {"Authorization": f"Bearer {token or user.get('token')}"} if token or "token" in user else {}
    if not headers:
        files = []
        for key in ("client-certificate-data", "client-key-data"):
            path = cluster.kubeconfig.parent / f".{key}.{uuid4().hex}"
            path.touch(0o600)
            path.write_bytes(base64.b64decode(user[key]))
            files.append(path)
        trust.load_cert_chain(*files)
        for path in files:
            path.unlink()
    return httpx.Client(base_url=at["server"], verify=trust, headers=headers, timeout=30)


def marked(kind: str, name: str, where: str, **content: Any) -> Manifest:
    """Return an object with our mark."""
    about = {"name": name, "namespace": where, "labels": dict(MANAGED_BY)}
    return {"kind": kind, "metadata": about, **content}
