"""Manifests, compared whole; what goes in is plain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.models import Spec
from hub_ext.catalog.room import Room
from hub_ext.kubernetes import objects

SPEC = Spec.model_validate(
    {
        "description": "For tests.",
        "image": "notebooks/standard",
        "resources": {"cpu": {"request": 0.5, "limit": 2}, "memory": {"request": "1Gi", "limit": "4Gi"}},
        "storage": {"home": {"size": "10Gi"}},
    }
)
IMAGE = "registry.example/notebooks/standard@sha256:" + "0" * 64


def labels(profile: str, version: int, purpose: str, name: str) -> dict[str, str]:
    return objects.labels(profile, version, purpose, "ann", name, system="hub-ext", launch="s-1")


def test_the_pod_of_a_server_is_exactly_this() -> None:
    marks = labels("standard", 3, "server", "")
    spec = objects.pod_spec(
        SPEC,
        image=IMAGE,
        command=["serve"],
        env={"B": "2", "A": "1"},
        home_claim="home",
        port=8888,
        deadline=3600,
        secret="s-1",
    )
    assert objects.pod("server-default", "hub-ext-ann", marks, spec) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "server-default",
            "namespace": "hub-ext-ann",
            "labels": {
                "app.kubernetes.io/managed-by": "hub-ext",
                "hub-ext/platform": "hub-ext",
                "hub-ext/user": "ann",
                "hub-ext/profile": "standard",
                "hub-ext/profile-version": "3",
                "hub-ext/purpose": "server",
                "hub-ext/name": "default--server",
                "hub-ext/launch": "s-1",
            },
        },
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "notebook",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["serve"],
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    "resources": {
                        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "100Mi"},
                        "limits": {"cpu": "2000m", "memory": "4Gi", "ephemeral-storage": "1Gi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "privileged": False,
                        "readOnlyRootFilesystem": True,
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "volumeMounts": [
                        {"name": "home", "mountPath": "/home/analyst"},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                    "envFrom": [{"secretRef": {"name": "s-1"}}],
                    "ports": [{"name": "notebook", "containerPort": 8888, "protocol": "TCP"}],
                }
            ],
            "enableServiceLinks": False,
            "hostIPC": False,
            "hostNetwork": False,
            "hostPID": False,
            "restartPolicy": "Never",
            "securityContext": {
                "fsGroup": 100,
                "fsGroupChangePolicy": "OnRootMismatch",
                "runAsGroup": 100,
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 10,
            "volumes": [
                {"name": "home", "persistentVolumeClaim": {"claimName": "home"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            ],
            "activeDeadlineSeconds": 3600,
        },
    }


def test_a_run_has_no_port_no_home_and_an_end() -> None:
    spec = objects.pod_spec(
        SPEC, image=IMAGE, command=["run"], env={}, secret="l-1", home_claim=None, port=None, deadline=3600
    )
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "l-1"}}]
    assert "ports" not in spec["containers"][0]
    assert spec["volumes"][0] == {"name": "home", "emptyDir": {"sizeLimit": "1Gi"}}
    assert spec["activeDeadlineSeconds"] == 3600


def test_a_namespace_has_room_for_so_many_of_the_largest() -> None:
    room = Room(cpu=4, memory=16 * 2**30, gpu=1, home=10 * 2**30)
    assert objects.resource_quota("hub-ext-ann", room, servers=2, runs=4)["spec"]["hard"] == {
        "limits.cpu": "24000m",
        "limits.memory": "96Gi",
        "persistentvolumeclaims": "1",
        "pods": "6",
        "requests.nvidia.com/gpu": "6",
        "requests.storage": "10Gi",
        "services": "0",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    (limit,) = objects.limit_range("hub-ext-ann", room)["spec"]["limits"]
    assert limit["type"] == "Container"
    assert limit["max"] == limit["default"] == limit["defaultRequest"] == {"cpu": "4000m", "memory": "16Gi"}


def test_a_namespace_is_restricted_and_says_whose_it_is() -> None:
    made = objects.namespace("hub-ext-ann", "ann", "local", "hub-ext")
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "hub-ext",
        "hub-ext/platform": "hub-ext",
        "hub-ext/user": "ann",
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        "hub-ext/namespace": "person",
        "hub-ext/enclave": "local",
    }


def test_a_job_runs_once_and_is_queued_by_label_where_there_is_a_queue() -> None:
    marks = labels("standard", 1, "run", "r-1")
    made = objects.job("r-1", "hub-ext-ann", marks, {"containers": []}, keep=60, queue="analysts")
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "analysts"
    assert made["spec"]["suspend"] is True
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["template"] == {"metadata": {"labels": marks}, "spec": {"containers": []}}


def test_a_job_that_may_be_repeated_is_when_its_pod_is_lost_and_not_when_it_fails_by_itself() -> None:
    marks = labels("standard", 1, "run", "l-1")
    made = objects.job("l-1", "hub-ext-ann", marks, {"containers": []}, keep=60, queue=None, repeats=2)
    assert (made["spec"]["suspend"], made["spec"]["backoffLimit"]) == (False, 2)
    assert made["spec"]["podFailurePolicy"] == {
        "rules": [
            {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": "notebook", "operator": "NotIn", "values": [0, 143]},
            },
        ]
    }


def test_what_a_job_owns_names_it_by_its_identity() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "l-1", "uid": "u-1"}}
    made = objects.owned({"kind": "Secret", "metadata": {"name": "l-1"}}, job)
    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "l-1", "uid": "u-1"}
    ]


@given(st.text(min_size=1, max_size=200))
def test_any_text_becomes_a_value_that_a_label_may_have(text: str) -> None:
    value = objects.label_value(text)
    assert 1 <= len(value) <= 63
    assert value[0].isalnum()
    assert value[-1].isalnum()
    assert all(char.isascii() and (char.isalnum() or char in "-_.") for char in value)


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_two_texts_never_become_one_value(one: str, other: str) -> None:
    values = {objects.label_value(one), objects.label_value(other)}
    assert len(values) == len({one, other})
    assert objects.label_value(objects.label_value(one)) not in values - {objects.label_value(one)} or one == other
