"""What a start makes, before any cluster exists."""

from __future__ import annotations

from hub_ext.catalog.loading import load
from hub_ext.catalog.models import Lifetime
from hub_ext.catalog.options import apply, choose_all
from hub_ext.catalog.policy import Enclave
from hub_ext.catalog.room import largest
from hub_ext.kubernetes.places import namespace_name
from hub_ext.kubernetes.render import RUN_GRACE, RUN_REPEATS, Rendering, differences, render
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
        },
    }
)
IMAGE = "registry.low/notebooks/standard@sha256:" + "a" * 64
STANDARD = load(shipped("profiles")).versions("standard")[-1]


def test_a_server_makes_its_namespace_first_and_its_pod_last() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE)
    kinds = [one["kind"] for one in made.all()]
    assert kinds == [
        "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PersistentVolumeClaim", "NetworkPolicy", "Pod",
    ]  # fmt: skip
    assert made.pod["spec"]["containers"][0]["image"] == IMAGE
    assert made.home is not None
    assert made.home["spec"]["storageClassName"] == "fast"


def test_a_run_makes_a_job_and_no_home() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="run", name="r-1", image=IMAGE)
    assert made.home is None
    assert made.all()[-1]["kind"] == "Job"
    assert made.pod["spec"]["activeDeadlineSeconds"] == STANDARD.spec.lifetime.maximum * 60 + RUN_GRACE
    assert made.pod["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "r-1"}}]
    assert made.job is not None
    assert made.job["spec"]["template"]["spec"] == made.pod["spec"]
    assert made.job["spec"]["backoffLimit"] == 0
    assert "podFailurePolicy" not in made.job["spec"]


def test_a_run_waits_in_the_queue_of_its_enclave_and_is_repeated_where_its_author_says_so() -> None:
    queued = ENCLAVE.model_copy(update={"spec": ENCLAVE.spec.model_copy(update={"queue": "analysts"})})
    made = render(
        STANDARD, STANDARD.spec, queued, user="ann", purpose="run", name="r-1", image=IMAGE, repeatable=True
    ).job
    assert made is not None
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "analysts"
    assert (made["spec"]["suspend"], made["spec"]["backoffLimit"]) == (True, RUN_REPEATS)


def test_a_run_of_the_longest_profile_meets_the_rule_on_its_end() -> None:
    longest = STANDARD.spec.model_copy(update={"lifetime": Lifetime(maximum=43200)})
    made = render(STANDARD, longest, ENCLAVE, user="ann", purpose="run", name="r-1", image=IMAGE)
    assert made.pod["spec"]["activeDeadlineSeconds"] == 30 * 24 * 3600


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


def quota(made: Rendering) -> dict[str, str]:
    found: dict[str, str] = made.around[1]["spec"]["hard"]
    return found


def test_another_start_leaves_the_quota_as_it_is() -> None:
    large = load(shipped("profiles")).versions("large-memory")[-1]
    room = largest(STANDARD) | largest(large)
    small, big = (
        render(one, one.spec, ENCLAVE, user="ann", purpose="server", image=IMAGE, name=one.name, room=room)
        for one in (STANDARD, large)
    )
    assert small.around == big.around
    assert quota(small)["limits.memory"] == f"{16 * 6}Gi"


def test_a_preview_has_room_for_the_largest_that_the_profile_reaches() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE)
    assert quota(made)["limits.memory"] == f"{8 * 6}Gi"
    assert quota(made)["requests.storage"] == "10Gi"


def test_what_only_one_start_needs_is_called_like_it() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="Two", image=IMAGE, launch="s-9")
    assert made.network["metadata"]["name"] == "s-9"
    assert made.pod["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "s-9"}}]
    assert made.pod["metadata"]["labels"]["hub-ext/launch"] == "s-9"
    assert made.pod["metadata"]["name"].startswith("server-two")


def test_an_idle_server_ends_by_itself_and_the_cluster_ends_it_in_any_case() -> None:
    made = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE)
    assert "--ServerApp.shutdown_no_activity_timeout=3600" in made.pod["spec"]["containers"][0]["command"]
    assert made.pod["spec"]["activeDeadlineSeconds"] == 720 * 60


def test_a_server_that_may_be_kept_for_longer_is_ended_by_the_cluster_at_its_longest_life_and_a_run_is_not() -> None:
    longer = STANDARD.spec.model_copy(update={"lifetime": Lifetime(idle=60, maximum=720, extensions=3)})
    made = render(STANDARD, longer, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE)
    assert made.pod["spec"]["activeDeadlineSeconds"] == (720 + 3 * 60) * 60
    run = render(STANDARD, longer, ENCLAVE, user="ann", purpose="run", name="l-1", image=IMAGE)
    assert run.pod["spec"]["activeDeadlineSeconds"] == 720 * 60 + RUN_GRACE
