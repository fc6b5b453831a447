"""The chart on a real cluster: installed, upgraded under load, walked through in a browser, gone without a trace.

One release lives through all of it: first a trial with one password; then with sign-in by a provider and results in a
bucket. Network policies are enforced from beginning to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import nbformat
import pytest
from playwright.sync_api import expect

from hub_ext.kubernetes.places import namespace_name
from tests.cluster.certificates import serving
from tests.filling import Disk
from tests.functional.browser import chromium, visiting
from tests.functional.conftest import HEALTH
from tests.kubernetes import full, gateways
from tests.kubernetes.accounts import _keep_looking
from tests.kubernetes.charts import Release, Watch, readme_lines
from tests.kubernetes.platforms import API, wait_for
from tests.kubernetes.test_cluster import listening, pod
from tests.kubernetes.test_network import ASK, reached
from tests.kubernetes.visits import compute, publish, run_to_a_report, sign_in_by_the_provider, start_a_server
from tests.kubernetes.volumes import SmallVolumes
from tests.s3 import ACCESS, SECRET, S3Server, s3_server

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

FIRST_PAGE = 60.0  # seconds from `helm install` with images present
GAP = 10.0  # seconds that pages may be away in an upgrade
DOCTOR = "hub-ext doctor --json || true"  # what it finds, also where that is something wrong
AUTHORITY = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"  # of the API server, in a pod with an account
UNREADY = 15.0  # seconds: longer than the cluster waits until it sends a replica no more requests
PARTS = ("hub", "service", "proxy")
BUSY = 3  # times as long on a machine that has other work as well


@pytest.fixture(scope="module")
def release(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release that runs; the last test uninstalls it."""
    _keep_looking(cluster)
    beside = {"egress": [{"to": [{"ipBlock": {"cidr": f"{cluster.host}/32"}}]}]}  # where provider and bucket will be
    values = {"settings": {"roles": {"clara": ["curator"]}}, "networkPolicies": beside}
    values |= {part: {"scratch": f"{full.SCRATCH}Mi"} for part in PARTS}
    made = Release(cluster, tmp_path_factory.mktemp("chart"), **values)
    if cluster.local is not None:
        gateways.know_the_kinds(cluster)
        made.values["gateway"] = gateways.values(made.namespace)
    small = SmallVolumes(cluster, f"small-{made.id}") if cluster.local is not None else None
    try:
        if small is not None:
            made.volumes = {
                "state": small.make(made.namespace, "hub-ext-state", 192),
                "database": small.make(made.namespace, "hub-ext-postgresql", 512),
                "home": small.make(namespace_name(f"zoe-{made.id}"), "home", 32),
            }
        took = made.install()
        print(f"helm install to the first page: {took:.1f} s")
        assert took <= BUSY * FIRST_PAGE
        yield made
    finally:
        made.close()
        if small is not None:
            small.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are left: `HUB_EXT_PICTURES`, or a folder of the tests."""
    named = os.environ.get("HUB_EXT_PICTURES")
    return Path(named) if named else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def ana(release: Release) -> str:
    """Somebody's name; the cluster is shared, so it has the release's id."""
    return f"ana-{release.id}"


@pytest.fixture(scope="module")
def bea(release: Release) -> str:
    """Somebody whom the provider knows."""
    return f"bea-{release.id}"


def test_helm_test_says_that_it_works(release: Release) -> None:
    said = release.paste(next(line for line in readme_lines() if " test " in line))
    assert "Phase:          Succeeded" in said


def test_the_doctor_finds_nothing_wrong(release: Release) -> None:
    asked = ("exec", "deploy/hub-ext-service", "-c", "service", "--", "hub-ext", "doctor", "--json")
    found = json.loads(release.kubectl(*asked))
    assert [one for one in found if one["state"] == "fail"] == []
    states = {one["what"]: one["state"] for one in found}
    for what in ("database", "the Hub's database", "result store", "profiles", "rights", "namespaces"):
        assert states[what] == "ok", found
    for what in ("admission policy", "storage class", "pods"):
        assert states[what] == "ok", found
    if release.cluster.local is not None:  # whose network holds policies
        assert states["network policies"] == "ok", found


def test_the_doctor_looks_at_the_certificate_of_the_public_address_from_its_pod(release: Release) -> None:
    def found(**environ: str) -> dict[str, str]:
        given = [f"{name}={value}" for name, value in environ.items()]
        asked = ("exec", "deploy/hub-ext-service", "-c", "service", "--", "env", *given, "sh", "-c", DOCTOR)
        everything = json.loads(release.kubectl(*asked))
        (one,) = [one for one in everything if one["what"] == "certificate of the platform"]
        return dict(one)

    # The API server is behind TLS, by an authority that no browser knows.
    public = {"HUB_EXT_PUBLIC_URL": "https://kubernetes.default.svc"}
    unknown = found(**public)
    assert (unknown["state"], "is not believed" in unknown["detail"]) == ("fail", True)
    assert found(**public, HUB_EXT_RESULTS_CA_FILE=AUTHORITY)["state"] == "ok"
    nowhere = found(HUB_EXT_PUBLIC_URL="https://hub.invalid")
    assert (nowhere["state"], "from here" in nowhere["detail"]) == ("warn", True)


def test_our_own_pods_are_restricted_and_have_limits(release: Release) -> None:
    pods = release.cluster.kubectl.items("pods", "-n", release.namespace)
    assert {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in pods} >= {
        "hub", "service", "proxy", "postgresql", "puller",
    }  # fmt: skip
    for one in pods:
        for container in one["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]
            assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
        mounts = json.dumps(one["spec"])
        reaches = one["metadata"]["labels"]["app.kubernetes.io/component"] in ("hub", "service")
        assert ("serviceaccount" in mounts) is reaches, one["metadata"]["name"]


def test_one_password_signs_everybody_in_for_a_trial(release: Release, ana: str, pictures: Path) -> None:
    with chromium() as browser, visiting(browser, release, pictures) as visitor:
        visitor.page.goto(f"{release.url}/hub/login")
        expect(visitor.page.get_by_role("heading", name="A trial: one password opens every name")).to_be_visible()
        visitor.picture("chart-sign-in", whole=True)
        visitor.sign_in(ana)
        start_a_server(visitor, ana)
        assert visitor.foreign == []
        assert visitor.refused == []


def test_a_gateway_of_another_make_brings_pages_streams_and_kernels(
    release: Release, ana: str, pictures: Path, tmp_path: Path
) -> None:
    if release.cluster.local is None:
        pytest.skip("the Gateway is on this machine, behind the cluster's own authority")
    with gateways.Gateway(release, tmp_path).running() as gateway:
        wait_for(gateway.answers, told=gateway.said())
        wait_for(lambda: gateway.says() == {"Accepted": True, "ResolvedRefs": True})
        assert gateway.get("/hub/login", host="elsewhere.example").status_code == 404
        assert gateway.hears(release.token(ana), f"{API}/events?topics=workflows")
        with (
            chromium() as browser,
            visiting(browser, gateway.as_platform(), pictures, ignore_https_errors=True) as visitor,
        ):
            visitor.sign_in(ana)
            compute(visitor, ana)
            assert visitor.foreign == []
            assert visitor.refused == []


def test_an_upgrade_leaves_servers_and_runs_alone_and_pages_away_for_a_moment(release: Release, ana: str) -> None:
    client = release.api(ana)
    before = release.cluster.kubectl.json("get", "pod", "server", "-n", namespace_name(ana))["metadata"]["uid"]
    node = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import time\nfor n in range(90): print(n, flush=True); time.sleep(0.5)")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    body = {"name": "long", "notebook": json.loads(nbformat.writes(node)), "profile": "quick-look"}
    assert client.post(f"{API}/workflows", json=body).status_code == 201
    run = client.post(f"{API}/workflows/{ana}/long/runs", json={"parameters": {}}).json()["id"]
    wait_for(lambda: client.get(f"{API}/runs/{run}").json()["state"] == "running")
    pages = [release.url + page for page in ("/hub/login", HEALTH, f"/user/{ana}/api")]
    with Watch(*pages) as watch:
        release.upgrade(
            settings={"banner": "A release later", "roles": {"clara": ["curator"]}},
            service=release.values["service"] | {"replicas": 2},
        )
        release.wait_until_answers()
    print(
        "longest away in an upgrade:", {url.removeprefix(release.url): f"{s:.1f} s" for url, s in watch.longest.items()}
    )
    assert max(watch.longest.values()) <= BUSY * GAP
    assert "A release later" in client.get("/hub/login").text
    after = release.cluster.kubectl.json("get", "pod", "server", "-n", namespace_name(ana))["metadata"]["uid"]
    assert after == before
    kill_a_replica(release)
    found = wait_for(lambda: ended(client, run))
    assert (found["state"], found["reason"]) == ("succeeded", "")
    assert client.delete(f"/hub/api/users/{ana}/server").status_code in (202, 204)


def kill_a_replica(release: Release) -> None:
    """Kill one of two pods of the service, without a word of warning; the other one goes on."""
    ours = "app.kubernetes.io/component=service"
    pods = release.kubectl("get", "pods", "-l", ours, "-o", "name").split()
    assert len(pods) >= 2
    release.kubectl("delete", pods[0], "--grace-period=0", "--force", "--wait=false")
    release.wait_until_answers()


def ended(client: httpx.Client, run: str) -> dict[str, Any] | None:
    """Return a run that has ended; None while it goes on, or while nobody answers."""
    with contextlib.suppress(httpx.HTTPError):
        answer = client.get(f"{API}/runs/{run}")
        if answer.status_code == 200 and answer.json()["state"] not in ("queued", "starting", "running"):
            return dict(answer.json())
    return None


def small(release: Release, name: str) -> Disk:
    """Return a volume of the release that can be filled."""
    if not release.volumes:
        pytest.skip("volumes are filled on a cluster of this machine alone")
    return release.volumes[name]


def test_a_full_state_volume_is_said_in_words_and_takes_the_pages_from_nobody(release: Release) -> None:
    volume, zoe, taken = small(release, "state"), full.Somebody(release, "zoe"), []
    assert zoe.publish("before").status_code == 201
    before = full.restarts(release)
    with volume.full():

        def nothing_can_be_kept() -> bool:
            volume.fill()
            published = zoe.publish("unlucky")
            assert published.status_code == 507, published.text
            assert full.NO_SPACE in published.text
            return full.health(release, serving="true").status_code == 200 and full.ready(release, "service")

        assert full.NO_SPACE in release.until(lambda: full.unwell(release))
        for ordered in (zoe.order("before"), zoe.order("before")):
            assert ordered.status_code in (201, 507), ordered.text
            taken += [ordered.json()["id"]] if ordered.status_code == 201 else []
        full.holds(nothing_can_be_kept, UNREADY, "a full volume takes the pages away")
        assert zoe.client.get(f"{API}/workflows/{zoe.name}/unlucky").status_code == 404
        assert any("space" in said for said in full.doctor(release).values())
    for state, why in [zoe.ends(run) for run in taken]:
        assert state == "succeeded" or full.NO_SPACE in why, why
    zoe.works("unlucky")
    after = full.restarts(release)
    assert [name for name in after if after[name] != before.get(name, 0)] == []


def test_a_full_database_is_said_in_words_and_goes_on_by_itself(release: Release) -> None:
    volume, zoe = small(release, "database"), full.Somebody(release, "zoe")
    assert zoe.publish("again").status_code == 201
    numbers = count()
    with volume.full():

        def told() -> bool:
            volume.fill()
            return full.NO_SPACE in full.signs_in(release, f"new{next(numbers)}-{release.id}")

        release.until(told)
        # 401, 503: the Hub cannot write down her visit.
        assert {zoe.order("again").status_code for _ in range(3)} <= {201, 401, 503, 507}
        sql = "psql -h /tmp -U hub_ext -c CHECKPOINT hub_ext; psql -h /tmp -U hub_ext -c 'SELECT 1' hub_ext"
        release.kubectl("exec", "deploy/hub-ext-postgresql", "--", "sh", "-c", sql)
        assert "PANIC" not in full.says(release, "postgresql")
        assert full.ready(release, "service")
        # Its log of changes may fill the volume as well: then it ends, and what comes after it waits for space.
        release.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=postgresql", "--wait=true")
        release.until(lambda: "No space left on the volume of PostgreSQL" in full.says(release, "postgresql"))
        assert not full.ready(release, "postgresql")
    release.wait_until_answers()
    # JupyterHub's first request finds that its connection is gone.
    release.until(lambda: "No favourites yet" in full.signs_in(release, f"later-{release.id}"))
    zoe.works("later")


def test_a_server_starts_in_a_full_home_and_space_is_made_in_it(release: Release) -> None:
    volume, zoe = small(release, "home"), full.Somebody(release, "zoe")
    zoe.start()
    kernel = zoe.client.post(f"/user/{zoe.name}/api/kernels", json={"name": "python3"})
    assert kernel.status_code == 201, kernel.text
    release.until((volume.root / ".ipython").exists)
    zoe.stop()
    with volume.full():
        zoe.start()
        files = f"/user/{zoe.name}/api/contents"
        refused = zoe.client.put(f"{files}/new.txt", json={"type": "file", "format": "text", "content": "x" * 9000})
        assert refused.status_code == 500
        assert zoe.client.delete(f"{files}/filler").status_code == 204
        saved = zoe.client.put(f"{files}/new.txt", json={"type": "file", "format": "text", "content": "x" * 9000})
        assert saved.status_code in (200, 201), saved.text
    zoe.stop()


def test_a_pod_with_too_many_temporary_files_is_replaced_and_nothing_is_lost(release: Release) -> None:
    if release.cluster.local is None:
        pytest.skip("pods are filled on a cluster of this machine alone")
    zoe = full.Somebody(release, "zoe")
    zoe.start()
    assert zoe.publish("meanwhile", seconds=20).status_code == 201
    run = zoe.order("meanwhile").json()["id"]
    filled = {part: full.running(release, part) for part in PARTS}
    for name in filled.values():
        full.overfill(release, name)
    for name in filled.values():
        why = release.until(lambda name=name: full.evicted(release, name), 240)  # it looks when it has time
        assert 'EmptyDir volume "tmp" exceeds the limit "64Mi"' in why
    release.until(lambda: all(full.is_replaced(release, part, name) for part, name in filled.items()))
    release.wait_until_answers()
    told = full.told_of_pods(release)
    for part, name in filled.items():
        assert any(name in detail and f"Raise `{part}.scratch`" in advice for detail, advice in told), told
    release.until(lambda: zoe.client.get(f"/user/{zoe.name}/api").status_code == 200)
    assert zoe.ends(run) == ("succeeded", "")
    zoe.stop()
    release.kubectl("delete", "pod", *filled.values())


@pytest.fixture(scope="module")
def bucket(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Results in a bucket of a server beside the cluster, from the next upgrade on."""
    cluster = release.cluster
    if cluster.local is None:
        pytest.skip("sign-in and the bucket are on this machine, behind the cluster's own authority")
    folder = tmp_path_factory.mktemp("bucket")
    tls = serving(cluster.local.layout.keys, "s3", cluster.host, folder)
    with s3_server(folder / "s3", cluster.host, tls) as server:
        keys = [f"--from-literal={key}={value}" for key, value in (("access-key", ACCESS), ("secret-key", SECRET))]
        release.kubectl("create", "secret", "generic", "results", *keys)
        url = f"{server.bucket('results')}/{release.id}"
        release.values["results"] = {"url": url, "endpoint": server.endpoint, "keysSecret": "results"}
        yield server


def test_the_whole_path_in_a_browser_with_sign_in_by_a_provider(
    release: Release, bucket: S3Server, bea: str, pictures: Path, tmp_path: Path
) -> None:
    with release.provider(f"{bea}=analysts") as issuer, chromium() as browser:
        # The certificate is by the cluster's authority, which pods know and a browser does not.
        with visiting(browser, release, pictures, ignore_https_errors=True) as visitor:
            sign_in_by_the_provider(visitor, bea, issuer)
            start_a_server(visitor, bea)
            visitor.picture("chart-lab")
            publish(visitor, tmp_path)
            run_to_a_report(visitor)
            visitor.picture("chart-run", whole=True)
            assert visitor.foreign == []
            assert visitor.refused == []
        jobs = release.cluster.kubectl.items("jobs", "-n", namespace_name(bea))
        assert len(jobs) <= 1  # one that has ended goes by itself
    results = bucket.root / "results" / release.id
    assert {one.name for one in results.glob("runs/*/*")} >= {"report.html", "notebook.ipynb"}
    assert list(results.glob("versions/*.ipynb"))  # hers, and those that ship


def test_parts_reach_one_another_as_they_need_to_and_a_stranger_reaches_the_pages_alone(
    release: Release, bucket: S3Server, bea: str
) -> None:
    beside = release.cluster.host, int(bucket.endpoint.rpartition(":")[2])
    with listening(release.cluster.host) as (elsewhere, _):
        targets = release.ports() | {"bucket": beside, "elsewhere": (release.cluster.host, elsewhere)}
        # The values let Hub and service reach this machine, where provider and bucket are.
        outside = {"bucket", "elsewhere"}
        hub = reached_by(release, targets, "deploy/hub-ext-hub", "hub") - {"hub"}
        assert hub == {"postgresql", "service", "proxy's API"} | outside
        service = reached_by(release, targets, "deploy/hub-ext-service", "service") - {"service", "executors"}
        assert service == {"postgresql", "hub", "proxy"} | outside
        server = ("exec", "server", "-n", namespace_name(bea), "--", "python", "-c", ASK.format(targets=targets))
        assert which(release.cluster.kubectl(*server)) == {"hub", "service"}
        for where in (release.namespace, f"{release.namespace}-stranger"):
            assert by_a_stranger(release, where, targets) == {"proxy"} | outside, where


def which(said: str) -> set[str]:
    """Return the names of what was reached, by what was printed."""
    return {name for name, was in reached(said).items() if was}


def reached_by(release: Release, targets: dict[str, tuple[str, int]], pod: str, container: str) -> set[str]:
    """Return what a part of the release reaches."""
    return which(release.kubectl("exec", pod, "-c", container, "--", "python", "-c", ASK.format(targets=targets)))


def by_a_stranger(release: Release, where: str, targets: dict[str, tuple[str, int]]) -> set[str]:
    """Return what a pod reaches that is none of ours."""
    kubectl = release.cluster.kubectl
    if where != release.namespace:
        kubectl("create", "namespace", where)
    made = pod(release.cluster.image, "stranger", "python", "-c", ASK.format(targets=targets))
    made["metadata"]["namespace"] = where
    kubectl.apply(made)
    try:
        wait_for(lambda: kubectl.json("get", "pod", "stranger", "-n", where)["status"]["phase"] == "Succeeded")
        return which(kubectl("logs", "stranger", "-n", where))
    finally:
        kubectl("delete", "pod", "stranger", "-n", where, "--wait=true")
        if where != release.namespace:
            kubectl("delete", "namespace", where, "--wait=false")


def test_uninstalling_leaves_data_and_keys_and_nothing_else(release: Release) -> None:
    assert len(release.objects()) > 30
    release.kubectl("delete", "secret", "sign-in", "results", "--ignore-not-found")  # made by hand
    release.uninstall()
    if "gateway" in release.values:
        assert release.kubectl("get", f"httproutes.{gateways.GROUP}", "-o", "name") == ""
    kept = ["persistentvolumeclaim/hub-ext-postgresql", "persistentvolumeclaim/hub-ext-state", "secret/hub-ext-keys"]
    wait_for(lambda: release.objects() == kept, 60, str(release.objects()))
    people = release.cluster.kubectl("get", "namespaces", "-l", f"hub-ext/platform={release.namespace}", "-o", "name")
    assert people.strip() == ""
    release.kubectl("delete", *kept, "--wait=true")
    assert release.objects() == []
