"""What a start makes, before any cluster exists."""

from __future__ import annotations

from hub_ext.catalog.loading import load
from hub_ext.catalog.options import apply, choose_all
from hub_ext.catalog.policy import Enclave
from hub_ext.kubernetes.render import differences, namespace_name, render
from hub_ext.settings import shipped

ENCLAVE = Enclave.model_validate(
    {
        "apiVersion": "hub-ext/v1",
        "kind": "Enclave",
        "metadata": {"name": "low", "title": "Low side", "owner": "platform-team"},
        "spec": {
            "domain": "open",
            "registries": ["registry.low"],
            "largest": {"cpu": 16, "memory": "64Gi"},
            "storage_class": "fast",
            "images": {"notebooks/standard": "registry.low/notebooks/standard@sha256:" + "a" * 64},
        },
    }
)
IMAGE = ENCLAVE.spec.images["notebooks/standard"]
STANDARD = load(shipped("profiles")).versions("standard")[-1]


def test_a_server_makes_its_namespace_first_and_its_pod_last() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE)
    kinds = [one["kind"] for one in made.all()]
    assert kinds == [
        "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PersistentVolumeClaim", "NetworkPolicy", "Pod",
    ]  # fmt: skip
    assert made.pod["spec"]["containers"][0]["image"] == ENCLAVE.spec.images["notebooks/standard"]
    assert made.home is not None
    assert made.home["spec"]["storageClassName"] == "fast"


def test_a_run_makes_a_job_and_no_home() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="run", name="r-1", image=IMAGE)
    assert made.home is None
    assert made.all()[-1]["kind"] == "Job"
    assert made.pod["spec"]["activeDeadlineSeconds"] == STANDARD.spec.lifetime.maximum * 60


def test_two_people_never_share_a_namespace() -> None:
    names = ["ann", "Ann", "a.nn", "a-nn", "kube-system", "ann--x", "änn", "a" * 60, "a" * 61]
    made = {namespace_name(name) for name in names}
    assert len(made) == len(names)
    assert all(name.startswith("hub-ext-") and len(name) <= 63 for name in made)


def test_a_diff_says_what_servers_would_become() -> None:
    values, misfits = choose_all(STANDARD, {"memory": "8Gi"})
    assert misfits == []
    before = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE).all()
    after = render(STANDARD, apply(STANDARD, values), ENCLAVE, user="ann", purpose="server", name="", image=IMAGE).all()
    found = {(one.object, one.path): (one.before, one.after) for one in differences(before, after)}
    assert found["Pod", "spec.containers[notebook].resources.limits.memory"] == ("4Gi", "8Gi")
    assert ("Namespace", "metadata.name") not in found
