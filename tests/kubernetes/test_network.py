"""What servers and runs reach: what every one needs and what their profile names, and nothing else."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.kubernetes.platforms import ClusterPlatform, Person, profile, wait_for
from tests.kubernetes.test_cluster import listening, pod
from tests.kubernetes.test_runs import Analyst

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

pytestmark = pytest.mark.functional

CREDENTIALS = "169.254.169.254"  # where clouds hand out those of machines
ASK = """
import json, socket
found = {{}}
for name, (host, port) in {targets!r}.items():
    try:
        socket.create_connection((host, port), timeout=2).close()
        found[name] = True
    except OSError:
        found[name] = False
print("reached", json.dumps(found))
"""


@dataclass(frozen=True)
class Places:
    """What a pod may try to reach.

    Attributes:
        named: What the profile names.
        targets: Everything: name → host and port.
    """

    named: int
    targets: dict[str, tuple[str, int]]


@contextlib.contextmanager
def credentials(cluster: UsedCluster) -> Iterator[int]:
    """Have something at the address of credentials, as a cloud does; yield its port."""
    assert cluster.local is not None
    where = ("address", f"{CREDENTIALS}/32", "dev", cluster.local.layout.link)
    subprocess.run(["ip", where[0], "replace", *where[1:]], check=True, capture_output=True)
    try:
        with listening(CREDENTIALS) as (port, _):
            yield port
    finally:
        subprocess.run(["ip", where[0], "del", *where[1:]], check=True, capture_output=True)


@pytest.fixture(scope="module")
def places(platform: ClusterPlatform) -> Iterator[Places]:
    """Listeners of this machine, somebody else's server, and the API server."""
    cluster = platform.cluster
    if cluster.local is None:
        pytest.skip("whether policies are enforced is for those to say whose cluster it is")
    other = platform.person("neighbour")
    other.start("scratch")
    addresses = cluster.local.layout.addresses
    with ExitStack() as stack:
        (named, _), (unnamed, _) = (stack.enter_context(listening(cluster.host)) for _ in range(2))
        port = stack.enter_context(credentials(cluster))
        yield Places(
            named,
            {
                "named": (cluster.host, named),
                "unnamed": (cluster.host, unnamed),
                "neighbour": (other.pod()["status"]["podIP"], 8888),
                "api server": (addresses.kubernetes, 443),
                "node": (addresses.node, 6443),
                "registry": (addresses.node, 5000),
                "credentials": (CREDENTIALS, port),
            },
        )
    other.stop()


@pytest.fixture(scope="module")
def connected(platform: ClusterPlatform, places: Places) -> str:
    """A profile that names one of them."""
    egress = f"  network: {{egress: [{{cidr: {platform.cluster.host}/32, ports: [{places.named}]}}]}}\n"
    platform.approve(profile("connected", home=False) + egress)
    return "connected"


def reached(said: str) -> dict[str, bool]:
    """Return what a pod reached, by what it printed."""
    found: dict[str, bool] = json.loads(said.partition("reached ")[2].partition("}")[0] + "}")
    return found


def reached_by(person: Person, places: Places) -> dict[str, bool]:
    """Return what a person's server reaches."""
    command = ("python", "-c", ASK.format(targets=places.targets))
    return reached(person.kubectl("exec", "server", "-n", person.namespace, "--", *command))


def test_without_a_policy_all_of_it_is_reached(platform: ClusterPlatform, places: Places) -> None:
    free, cluster = f"free-{platform.id}", platform.cluster
    cluster.kubectl("create", "namespace", free)
    try:
        made = pod(cluster.image, "free", "python", "-c", ASK.format(targets=places.targets))
        made["metadata"]["namespace"] = free
        cluster.kubectl.apply(made)
        phase = ("get", "pod", "free", "-n", free, "-o", "jsonpath={.status.phase}")
        wait_for(lambda: cluster.kubectl(*phase) in ("Succeeded", "Failed"))
        found = reached(cluster.kubectl("logs", "free", "-n", free))
    finally:
        cluster.kubectl("delete", "namespace", free, "--wait=false")
    # The neighbour lets nobody in but the Hub.
    assert found == dict.fromkeys(places.targets, True) | {"neighbour": False}


def test_a_server_reaches_what_its_profile_names_and_nothing_else(
    platform: ClusterPlatform, places: Places, connected: str
) -> None:
    person = platform.person("reaching")
    person.start(connected)
    wait_for(lambda: reached_by(person, places)["named"])
    assert reached_by(person, places) == dict.fromkeys(places.targets, False) | {"named": True}
    person.stop()
    person.start("scratch")
    assert reached_by(person, places) == dict.fromkeys(places.targets, False)
    person.stop()


def test_a_run_reaches_what_its_profile_names_and_nothing_else(
    platform: ClusterPlatform, places: Places, connected: str
) -> None:
    ann = Analyst(platform, "reaches")
    wanted = dict.fromkeys(places.targets, False) | {"named": True}
    for last in (False, False, True):  # who enforces policies here hears of a pod a moment after it began
        run = ann.run(ASK.format(targets=places.targets), profile=connected)
        found = ann.ended(run)
        assert (found["state"], found["reason"]) == ("succeeded", "")
        cells = json.loads(ann.text(run, "notebook"))["cells"]
        said = "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))
        if last or reached(said) == wanted:
            break
    assert reached(said) == wanted
