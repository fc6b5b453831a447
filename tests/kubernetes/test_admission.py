"""The exported policy on a real API server: it compiles, lets through what we make, and refuses what we refuse.

In a namespace without a Pod Security level, so that it is our policy alone that refuses, rule by rule.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from hub_ext.kubernetes.admission import export
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.render import Rendering
from tests.catalog.breaking import CATALOG, Breaking, breaking
from tests.kubernetes.accounts import NOWHERE, Platform, Said, platform, settled
from tests.kubernetes.conftest import UsedCluster

OBJECTS = [one for one in breaking() if one.kind != "request"]
PODS = [one for one in OBJECTS if one.kind == "pod"]
# What an API server takes for no object at all, and so refuses before anybody asks the policy.
NO_OBJECT = {
    "no-privileged-0", "no-privileged-1",  # and no privilege escalation: see below
    "no-proc-mount-0",  # and users of the machine: see below
    "no-devices-0", "no-devices-2", "no-windows-options-0", "no-windows-options-1", "no-legacy-profiles-1",
    "digest-pinned-2", "memory-limit-2", "known-resources-2", "no-debug-containers-0",
    "no-metadata-service-7",
}  # fmt: skip
# What it mends: it fills in requests from limits, and leaves out volumes of a kind that is switched off.
MENDED = {"requests-0", "requests-1", "volume-kinds-3"}
# What it adds, which then breaks another rule first: the volume of a token, the field that an annotation stands for.
ADDED = {"no-token": "volume-kinds", "no-legacy-profiles": "apparmor"}


@pytest.fixture(scope="module")
def ours(cluster: UsedCluster) -> Iterator[Platform]:
    """Our policies and accounts in the cluster."""
    with platform(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def loose(ours: Platform) -> Rendering:
    """A person's namespace where nobody but our policy refuses anything."""
    return ours.loose()


def at(made: Rendering, subject: Manifest) -> Manifest:
    """Return an object of the table as one of this namespace."""
    found = copy.deepcopy(subject)
    found["metadata"]["namespace"] = made.namespace["metadata"]["name"]
    labels = found["metadata"].get("labels", {})
    if labels.get("hub-ext/user") == "ann":
        labels["hub-ext/user"] = made.namespace["metadata"]["labels"]["hub-ext/user"]
    return found


def as_job(made: Rendering, pod: Manifest) -> Manifest:
    """Return the Job that makes such a pod."""
    job = copy.deepcopy(made.job)
    assert job is not None
    about = {key: value for key, value in pod["metadata"].items() if key in ("labels", "annotations")}
    job["metadata"]["namespace"] = pod["metadata"]["namespace"]
    job["spec"]["template"] = {"metadata": about, "spec": pod["spec"]}
    return job


def named(one: Breaking) -> str:
    return f"{one.rule}-{one.number}"


def refused_for(said: Said, ours: Platform, *rules: str) -> bool:
    return said.by(ours.name) and any(f": {rule}: " in said.message for rule in rules)


def agrees(said: Said, ours: Platform, made: Rendering, one: Breaking) -> bool:
    """Whether the API server says of an object that breaks one rule what we say of it."""
    if said.admitted:
        params, labels = ours.enclave.params(), made.namespace["metadata"]["labels"]
        spec = said.body["spec"]
        seen = spec["template"] if said.body["kind"] == "Job" else said.body
        return named(one) in MENDED and CATALOG.policy.judge(one.kind, seen, params, labels) == []
    if said.status in (400, 422):
        return named(one) in NO_OBJECT
    return refused_for(said, ours, one.rule, ADDED.get(one.rule, one.rule))


# --- it compiles -----------------------------------------------------------------------------------------------------


def test_every_text_has_types_that_fit(ours: Platform) -> None:
    deadline = time.monotonic() + 60
    for name in (ours.name, f"{ours.name}-accounts", f"{ours.name}-closed", f"{ours.name}-bounded"):
        while True:
            found = ours.cluster.kubectl.json("get", "validatingadmissionpolicy", name)
            if found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]:
                break
            assert time.monotonic() < deadline, name
            time.sleep(0.2)
        assert found["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


# --- what we make ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["server", "run"])
@pytest.mark.parametrize("profile", CATALOG.profiles, ids=lambda one: one.name)
def test_a_start_of_each_profile_is_admitted(ours: Platform, profile: Any, purpose: str) -> None:
    made = ours.rendering(purpose, f"{ours.name}-{profile.name}-{purpose}", profile)
    api = ours.hub if purpose == "server" else ours.service
    for one in made.all():
        last = one is made.pod or one is made.job
        said = api.make(one, real=not last)
        assert said.admitted, (one["kind"], said.message)
        if one["kind"] == "Namespace":
            ours.namespaces.append(one["metadata"]["name"])


def test_a_run_becomes_a_pod_by_the_job_controller(ours: Platform) -> None:
    made = ours.room(f"{ours.name}-runs")
    run = ours.rendering("run", f"{ours.name}-runs", name="r-1")
    assert ours.service.make(run.network, real=True).admitted
    assert ours.service.make(run.job or {}, real=True).admitted
    pods = wait_for_pods(ours, made.namespace["metadata"]["name"])
    assert [pod["spec"]["nodeSelector"] for pod in pods] == [NOWHERE]
    assert ours.service.remove(run.job or {}, real=True).admitted


def wait_for_pods(ours: Platform, where: str) -> list[Manifest]:
    deadline = time.monotonic() + 60
    while not (found := ours.cluster.kubectl.items("pods", "-n", where)):
        assert time.monotonic() < deadline, ours.cluster.kubectl("get", "events", "-n", where)
        time.sleep(0.2)
    return found


# --- what we refuse, rule by rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", OBJECTS, ids=named)
def test_the_hub_itself_cannot_make_it(ours: Platform, loose: Rendering, one: Breaking) -> None:
    said = ours.hub.make(at(loose, one.subject))
    assert agrees(said, ours, loose, one), said
    assert (said.status in (400, 422), said.admitted) == (named(one) in NO_OBJECT, named(one) in MENDED)


@pytest.mark.parametrize("one", PODS, ids=named)
def test_nobody_else_can_make_such_a_pod(ours: Platform, loose: Rendering, one: Breaking) -> None:
    said = ours.admin.make(at(loose, one.subject))
    assert agrees(said, ours, loose, one), said


@pytest.mark.parametrize("one", PODS, ids=named)
def test_the_service_cannot_make_a_job_of_it(ours: Platform, loose: Rendering, one: Breaking) -> None:
    run = ours.rendering("run", f"{ours.name}-loose")
    said = ours.service.make(as_job(run, at(loose, one.subject)))
    assert agrees(said, ours, loose, one), said


def test_what_is_no_object_in_the_table_is_refused_in_forms_that_are(ours: Platform, loose: Rendering) -> None:
    for changes, spec, rule in (
        ({"privileged": True, "allowPrivilegeEscalation": True}, {}, "no-privileged"),
        ({"procMount": "Unmasked"}, {"hostUsers": False}, "no-proc-mount"),
        ({"windowsOptions": {"hostProcess": False}}, {}, "no-windows-options"),
    ):
        pod = copy.deepcopy(loose.pod)
        pod["spec"] |= spec
        pod["spec"]["containers"][0]["securityContext"] |= changes
        assert refused_for(ours.hub.make(pod), ours, rule), rule


def test_what_no_rule_is_about_is_admitted_in_the_same_namespace(ours: Platform, loose: Rendering) -> None:
    """Else everything above would be refused, and nothing proven."""
    run = ours.rendering("run", f"{ours.name}-loose")
    assert ours.hub.make(loose.pod).admitted
    assert ours.service.make(run.job or {}).admitted
    assert ours.hub.make(loose.network).admitted


def test_a_forbidden_job_of_an_administrator_makes_no_pod(ours: Platform, loose: Rendering) -> None:
    """Its Job is nobody's matter; its pod is made by the Job controller, and held against the rules like any other."""
    run = ours.rendering("run", f"{ours.name}-loose", name="forbidden")
    job = copy.deepcopy(run.job)
    assert job is not None
    job["spec"]["template"]["spec"]["hostNetwork"] = True
    assert ours.admin.make(job, real=True).admitted
    where, name = job["metadata"]["namespace"], job["metadata"]["name"]
    deadline = time.monotonic() + 60
    while True:
        events = ours.cluster.kubectl.items("events", "-n", where, f"--field-selector=involvedObject.name={name}")
        if any("no-host-network" in event["message"] for event in events):
            break
        assert time.monotonic() < deadline, events
        time.sleep(0.2)
    assert ours.cluster.kubectl.items("pods", "-n", where, "-l", f"job-name={name}") == []
    assert ours.admin.remove(job, real=True).admitted


# --- a pod that is there ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(ours: Platform, loose: Rendering) -> Manifest:
    """A pod that we made."""
    said = ours.hub.make(loose.pod, real=True)
    assert said.admitted, said.message
    return {**said.body, "kind": "Pod"}


def test_our_own_accounts_cannot_change_it_at_all(ours: Platform, there: Manifest) -> None:
    patch = {"metadata": {"annotations": {"a": "b"}}}
    for api in (ours.hub, ours.service):
        for part in ("", "/status", "/ephemeralcontainers", "/resize"):
            assert api.change(there, patch, part=part).by_rights
    for part in ("/eviction", "/binding"):
        path = f"/api/v1/namespaces/{there['metadata']['namespace']}/pods/{there['metadata']['name']}{part}"
        assert ours.hub.ask("POST", path, {}).by_rights


def test_who_may_change_it_cannot_make_it_a_forbidden_one(ours: Platform, there: Manifest) -> None:
    container = there["spec"]["containers"][0]
    name = container["name"]
    debug = {"name": "debug", "image": container["image"], "securityContext": container["securityContext"]}
    larger = {"name": name, "resources": {"limits": {"memory": "65Gi"}, "requests": {"memory": "65Gi"}}}
    image = {"name": name, "image": "elsewhere/x@sha256:" + "a" * 64}
    tolerations = [*there["spec"].get("tolerations", []), {"operator": "Exists"}]
    for part, spec, rule in (
        ("/ephemeralcontainers", {"ephemeralContainers": [debug]}, "no-debug-containers"),
        ("", {"containers": [image]}, "allowed-registries"),
        ("", {"tolerations": tolerations}, "no-control-plane"),
        ("/resize", {"containers": [larger]}, "memory-limit"),
    ):
        said = strategic(ours, there, {"spec": spec}, part)
        assert refused_for(said, ours, rule), (part, said)
    said = ours.admin.change(there, {"metadata": {"labels": {"hub-ext/user": "bob"}}})
    assert refused_for(said, ours, "own-namespace"), said


def strategic(ours: Platform, there: Manifest, patch: Any, part: str) -> Said:
    path = f"/api/v1/namespaces/{there['metadata']['namespace']}/pods/{there['metadata']['name']}{part}"
    return ours.admin.ask("PATCH", path, patch, kind="strategic-merge-patch+json")


def test_what_is_not_about_the_pod_may_change(ours: Platform, there: Manifest) -> None:
    assert ours.admin.change(there, {"metadata": {"annotations": {"a": "b"}}}).admitted
    assert ours.admin.change(there, {"status": {"message": "x"}}, part="/status").admitted


def test_a_pod_that_a_stricter_rule_forbids_can_still_end(ours: Platform, loose: Rendering) -> None:
    """A finalizer (a run's pod has one) is taken off although the pod would not be admitted any more."""
    pod = copy.deepcopy(loose.pod)
    pod["metadata"] |= {"name": f"old-{uuid4().hex[:6]}", "finalizers": ["hub-ext-tests/kept"]}
    assert ours.hub.make(pod, real=True).admitted
    largest = ours.enclave.spec.largest.model_copy(update={"memory": "1Mi"})
    stricter = ours.enclave.model_copy(update={"spec": ours.enclave.spec.model_copy(update={"largest": largest})})
    try:
        ours.cluster.kubectl.apply(*export(CATALOG.policy, stricter))
        deadline = time.monotonic() + 30
        new = pod | {"metadata": pod["metadata"] | {"name": "new"}}
        while not refused_for(ours.hub.make(new), ours, "memory-limit"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert ours.hub.remove(pod, real=True).admitted
        assert ours.admin.change(pod, {"metadata": {"finalizers": None}}, real=True).admitted
    finally:
        ours.cluster.kubectl.apply(*export(CATALOG.policy, ours.enclave))
        settled(lambda: ours.hub.make(loose.pod | {"metadata": loose.pod["metadata"] | {"name": "new"}}))
    assert (
        ours.admin.ask(
            "GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        ).status
        == 404
    )
