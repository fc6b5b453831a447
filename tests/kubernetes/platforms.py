"""A real platform on this machine whose servers and runs are pods of the cluster, as the accounts that rbac.py says."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import yaml

from hub_ext.kubernetes import rbac
from hub_ext.kubernetes.places import Place
from tests.functional.conftest import Platform
from tests.kubernetes.api_proxy import ApiProxy
from tests.kubernetes.door import Door
from tests.kubernetes.silent import silent
from tests.timing import Pauses

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

API = "/services/workflows/api/v1"
PATIENCE = 120.0  # seconds; the machine may be busy with other tests
PROMPT = 15.0  # seconds within which the state is true again after any fault

# Profiles that ship would fill a small node: these ask for little of it.
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: 1, title: {title}, owner: platform-team}}
spec:
  description: For tests.
  access: {{groups: [analysts]}}
  image: {image}
  resources: {{cpu: {{request: 0.01, limit: 1}}, memory: {{request: {request}, limit: {limit}}}}}
  lifetime: {{idle: 60, maximum: {maximum}}}
"""
HOME = "  storage: {home: {size: 1Gi}}\n"


def profile(
    name: str,
    *,
    home: bool = True,
    image: str = "notebooks/standard",
    request: str = "64Mi",
    limit: str = "512Mi",
    maximum: int = 60,
) -> str:
    """Return the text of a profile."""
    title = name.capitalize()
    text = PROFILE.format(name=name, title=title, image=image, request=request, limit=limit, maximum=maximum)
    return text + (HOME if home else "")


# small: a home; scratch: none; the others never come up.
PROFILES = (
    profile("small"),
    profile("scratch", home=False),
    profile("huge", home=False, request="60Gi", limit="60Gi"),
    profile("tight", home=False, request="16Mi", limit="40Mi"),
    *(profile(name, home=False, image=f"notebooks/{name}") for name in ("missing", "changed", "unreachable")),
)


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE, told: str = "it did not come") -> Any:
    """Return the first true answer.

    Args:
        what: Asked again and again.
        seconds: How long.
        told: What went wrong when none came.
    """
    deadline, pause = time.monotonic() + seconds, Pauses()
    while not (found := what()):
        assert time.monotonic() < deadline, told
        pause()
    return found


def approve(api: Callable[[str], httpx.Client], *texts: str) -> None:
    """Let clara propose profiles, and rene approve them; both are curators, and one suffices."""
    clara, rene = api("clara"), api("rene")
    for text in texts:
        name = yaml.safe_load(text)["metadata"]["name"]
        proposed = clara.post(f"{API}/profiles/{name}/versions", json={"content": text})
        assert proposed.status_code == 201, proposed.text
        body = {"verdict": "approve", "digest": proposed.json()["digest"], "comment": ""}
        judged = rene.post(f"{API}/profiles/{name}/versions/1/approvals", json=body)
        assert judged.status_code == 200, judged.text


class ClusterPlatform(Platform):
    """A platform beside the cluster, with a proxy in front of the API server, and one before its door for executors.

    Args:
        folder: Of its own.
        cluster: The cluster.
        spec: What the enclave's spec has otherwise.
        proxied: Whether there is a proxy in front of the API server, which can make trouble.
        shared: Whether everybody's servers and runs are in one namespace, and no account may make another.
        **settings: Variables of the environment.
    """

    proxies: type[ApiProxy] = ApiProxy  # what stands in front of the API server
    waits_at_end = True  # until its namespaces are gone

    def __init__(
        self,
        folder: Path,
        cluster: UsedCluster,
        spec: Mapping[str, Any] | None = None,
        *,
        proxied: bool = True,
        shared: bool = False,
        **settings: str,
    ) -> None:
        super().__init__(folder / "state")
        self.cluster = cluster
        self.id = uuid4().hex[:6]
        self.system = f"hub-ext-system-{self.id}"
        self.shared = f"everybody-{self.id}" if shared else ""
        self.catalog = folder / "profiles"
        hub, service, executors = (free_port_of(cluster.host) for _ in range(3))
        self.hub_url, self.service_url = (f"http://{cluster.host}:{port}" for port in (hub, service))
        self.door = Door(cluster.host, executors)
        outside = [{"cidr": f"{cluster.host}/32", "ports": [hub, service], "executors": self.door.port}]
        registry, image = cluster.image.partition("/")[0], cluster.image.partition("@")[0]
        nothing = "sha256:" + "0" * 64
        images = {
            "notebooks/missing": f"{registry}/notebooks/missing@{nothing}",
            "notebooks/changed": f"{image}@{nothing}",
            "notebooks/unreachable": f"{registry.partition(':')[0]}:1/notebooks/standard@{nothing}",
        }
        if cluster.local is not None:
            images["notebooks/silent"] = silent(cluster)
        changes = {"system_namespace": self.system, "outside": outside, **(spec or {})}
        if shared:
            changes["shared_namespace"] = self.shared
        cluster.catalog(self.catalog, images, **changes)
        self.api_server = self.proxies(cluster.kubeconfig)
        self.proxied = proxied
        self._grant()
        roles = {"clara": ["curator"], "rene": ["curator"]}
        self.settings = {
            "HUB_EXT_RUNTIME": "kubernetes",
            "HUB_EXT_ENCLAVE": "cluster",
            "HUB_EXT_PROFILES_DIR": str(self.catalog),
            "HUB_EXT_KUBECONFIG": str(self._account(folder, rbac.HUB)),
            "HUB_EXT_SERVICE_KUBECONFIG": str(self._account(folder, rbac.SERVICE)),
            "HUB_EXT_PODS_HUB_URL": self.hub_url,
            "HUB_EXT_PODS_SERVICE_URL": self.service_url,
            "HUB_EXT_PODS_EXECUTORS_URL": f"http://executors.{self.system}.svc:{executors}",
            "HUB_EXT_ROLES": json.dumps(roles),
            **settings,
        }

    # Its accounts.

    def _manifests(self) -> list[dict[str, Any]]:
        """Return the accounts with their rights; what is not in a namespace bears this platform's id."""
        made = rbac.manifests(self.system, self.shared or None)
        for one in made:
            if one["kind"] not in ("ServiceAccount", "Namespace"):
                one["metadata"] = {**one["metadata"], "name": f"{one['metadata']['name']}-{self.id}"}
            if one["kind"] in ("ClusterRoleBinding", "RoleBinding"):
                one["roleRef"] = {**one["roleRef"], "name": f"{one['roleRef']['name']}-{self.id}"}
        return made

    def _grant(self) -> None:
        system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.system}}
        self.cluster.kubectl.apply(system, *self._manifests(), *self.door.manifests(self.system))

    def _account(self, folder: Path, name: str) -> Path:
        token = self.cluster.kubectl("create", "token", name, "-n", self.system, "--duration=8h").strip()
        there = yaml.safe_load(self.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": self.api_server.url} if self.proxied else there}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "current-context": "it",
        }
        path = folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(content))
        return path

    def close(self) -> None:
        """Stop, and take everything of it out of the cluster."""
        super().close()
        self.api_server.close()
        self.door.close()
        kubectl, wait = self.cluster.kubectl, f"--wait={str(self.waits_at_end).lower()}"
        mine = f"hub-ext/platform={self.system}"
        kubectl("delete", "namespace", "-l", mine, "--ignore-not-found", wait, seconds=240)
        names = [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in self._manifests()]
        if rights := [one for one in names if one.startswith("clusterrole")]:  # others went with their namespace
            kubectl("delete", *rights, "--ignore-not-found")
        kubectl("delete", "namespace", self.system, "--ignore-not-found", wait, seconds=240)

    # What a curator does.

    def approve(self, *texts: str) -> None:
        """Propose profiles, and approve them as somebody else."""
        approve(self.api, *texts)

    @contextlib.contextmanager
    def enclave(self, **changes: Any) -> Iterator[None]:
        """Have another enclave for a while; Hub and service decide by it when this is entered."""
        path = self.catalog / "_enclaves" / "cluster.yaml"
        before, known = path.read_text(), self._snapshot()
        content = yaml.safe_load(before)
        content["spec"] |= changes
        path.write_text(yaml.safe_dump(content))
        wait_for(lambda: known not in (self._snapshot(), self._snapshot_of_service()))
        try:
            yield
        finally:
            path.write_text(before)
            wait_for(lambda: {self._snapshot(), self._snapshot_of_service()} == {known})

    def _snapshot_of_service(self) -> str:
        """Return what the service decides by now."""
        return str(self.api("clara").get(f"{API}/catalog").json()["snapshot"])

    def _snapshot(self) -> str:
        """Return what the Hub decides by now: that of a start which is denied."""
        self.person("asker").ask("nonsense")
        with contextlib.closing(sqlite3.connect(self.state / "hub-ext.sqlite")) as database:
            query = "select snapshot from decisions where purpose = 'server' order by id desc limit 1"
            ((found,),) = database.execute(query)
        return str(found)

    def person(self, name: str) -> Person:
        """Return somebody with an API token; the name gets this platform's id, since the cluster is shared."""
        return Person(self, f"{name}-{self.id}")


class Person:
    """Somebody who starts servers by the Hub's API.

    Attributes:
        name: Her name.
        place: Where her servers are, and what they are called.
        namespace: Her namespace, or that of all.
    """

    def __init__(self, platform: ClusterPlatform, name: str) -> None:
        self.platform = platform
        self.name = name
        self.place = Place(name, platform.shared)
        self.namespace = self.place.namespace
        self.client = platform.api(name)
        self.kubectl = platform.cluster.kubectl

    def path(self, server: str = "") -> str:
        """Return the path of a server in the Hub's API."""
        return f"/hub/api/users/{self.name}/" + (f"servers/{server}" if server else "server")

    def ask(self, profile: str, server: str = "", **options: Any) -> httpx.Response:
        """Ask for a server, and return what the Hub answers (202 while it is starting)."""
        return self.client.post(self.path(server), json={"profile": profile, "options": options})

    def servers(self) -> dict[str, Any]:
        """Return her servers as the Hub has them."""
        answer = self.client.get(f"/hub/api/users/{self.name}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["servers"]
        return found

    def ready(self, server: str = "") -> bool:
        """Return whether a server is ready."""
        return bool(self.servers().get(server, {}).get("ready"))

    def start(self, profile: str, server: str = "", seconds: float = PATIENCE, **options: Any) -> None:
        """Start a server, and wait until it is ready."""
        answer = self.ask(profile, server, **options)
        assert answer.status_code in (201, 202), answer.text
        wait_for(lambda: self.ready(server), seconds, f"{self.name}'s server {server!r} is not ready")

    def told(self, server: str = "", seconds: float = PATIENCE) -> Iterator[str]:
        """Yield what she is told while a server starts, the last word included."""
        with self.client.stream("GET", self.path(server) + "/progress", timeout=seconds) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    event = json.loads(line.removeprefix("data:"))
                    yield str(event.get("message", ""))
                    if event.get("ready") or event.get("failed"):
                        return

    def is_told(self, text: str, server: str = "", seconds: float = PATIENCE) -> str:
        """Return the first thing she is told that has some text in it."""
        deadline, heard = time.monotonic() + seconds, []
        for message in self.told(server, seconds):
            heard.append(message)
            if text in message:
                return message
            assert time.monotonic() < deadline, heard
        raise AssertionError(heard)

    def stop(self, server: str = "") -> None:
        """Stop a server, and wait until the Hub has none."""
        answer = self.client.delete(self.path(server))
        assert answer.status_code in (202, 204), answer.text
        wait_for(lambda: server not in self.servers(), told=f"{self.name}'s server does not stop")

    def has(self, *kinds: str) -> list[str]:
        """Return what there is in her namespace, by default all that only a start has."""
        found = self.kubectl.items(",".join(kinds or ("pods", "secrets", "networkpolicies")), "-n", self.namespace)
        names = [f"{one['kind']}/{one['metadata']['name']}" for one in found]
        return sorted(name for name in names if name != "NetworkPolicy/default-deny")

    def pod(self, name: str = "server") -> dict[str, Any]:
        """Return a pod of hers."""
        found: dict[str, Any] = self.kubectl.json("get", "pod", name, "-n", self.namespace)
        return found

    def is_clean(self, seconds: float = PROMPT) -> None:
        """See that nothing is left of any start."""
        wait_for(lambda: not self.has(), seconds, f"left in {self.namespace}: {self.has()}")

    def outcomes(self) -> list[tuple[str, str]]:
        """Return how her starts went, the first one first, with the reasons, as the record has it."""
        with contextlib.closing(sqlite3.connect(self.platform.state / "hub-ext.sqlite")) as database:
            query = "select outcome, reason from server_starts where user_name = ? order by asked_at, id"
            return [(str(outcome), str(reason)) for outcome, reason in database.execute(query, (self.name,))]


def free_port_of(host: str) -> int:
    """Return a port of this machine that nobody listens on at an address."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
