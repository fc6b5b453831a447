"""What a cluster says, in words for the person who waits. The messages are those of a real one."""

from __future__ import annotations

from typing import Any

import pytest

from hub_ext.kubernetes import words

IMAGE = "10.80.0.2:5000/notebooks/standard@sha256:" + "a" * 64
REQUESTS = {"cpu": "1500m", "memory": "8Gi"}


def pod(*, state: dict[str, Any] | None = None, leaving: bool = False, **status: Any) -> dict[str, Any]:
    container = {"image": IMAGE, "resources": {"requests": REQUESTS, "limits": {"memory": "8Gi"}}}
    if state is not None:
        status["containerStatuses"] = [{"name": "notebook", "state": state}]
    about = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    return {"metadata": about, "spec": {"containers": [container]}, "status": {"phase": "Pending", **status}}


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(conditions=[condition])


def pulling(reason: str, message: str) -> dict[str, Any]:
    return pod(state={"waiting": {"reason": reason, "message": message}})


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            (
                "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are "
                "available: 1 Preemption is not helpful for scheduling."
            ),
            "Waiting for a node with 8 GB and 1.5 cores free",
        ),
        ("0/1 nodes are available: 1 Insufficient cpu.", "Waiting for a node with 8 GB and 1.5 cores free"),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "Waiting for the home volume to be made",
        ),
        ('0/1 nodes are available: persistentvolumeclaim "home" not found.', "Waiting for the home volume to be made"),
        (
            "0/2 nodes are available: 1 node(s) had volume node affinity conflict.",
            "Waiting for a node that can reach the home volume",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.",
            "Waiting for a node that this server may run on",
        ),
    ],
)
def test_who_waits_for_a_node_is_told_for_which(message: str, expected: str) -> None:
    found = words.waiting(unschedulable(message))
    assert found is not None
    assert (found.words, found.hopeless) == (expected, False)


@pytest.mark.parametrize(
    ("message", "meaning", "hopeless"),
    [
        (
            (
                f'Back-off pulling image "{IMAGE}": ErrImagePull: code = NotFound desc = failed to pull and unpack '
                f'image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'
            ),
            "the registry does not have it",
            True,
        ),
        (
            (
                f'failed to pull and unpack image "{IMAGE}": failed to do request: dial tcp: lookup x on '
                "10.255.255.53:53: read udp 10.80.0.2:57972->10.255.255.53:53: i/o timeout"
            ),
            "the registry does not answer",
            False,
        ),
        (
            "failed to do request: dial tcp 10.80.0.2:5999: connect: connection refused",
            "the registry does not answer",
            False,
        ),
        (
            "pull access denied, repository does not exist or may require authorization: 401 Unauthorized",
            "the registry does not have it",
            True,
        ),
        (
            "failed to authorize: failed to fetch anonymous token: 403 Forbidden",
            "the registry does not let us have it",
            True,
        ),
        (
            "failed commit on ref: unexpected commit digest sha256:aa, expected sha256:bb: failed precondition",
            "its content is not what its digest says",
            True,
        ),
        ("write /var/lib/containerd/x: no space left on device", "the node has no space left for it", False),
        ("something that nobody has seen before", "the node cannot fetch it", False),
    ],
)
def test_why_an_image_cannot_be_pulled_and_whether_waiting_helps(message: str, meaning: str, hopeless: bool) -> None:
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        found = words.waiting(pulling(reason, message))
        assert found is not None
        assert (found.words, found.hopeless) == (f"The image standard cannot be pulled: {meaning}", hopeless)
        assert found.advice == "Ask the one who keeps the profile."


def test_a_server_that_found_no_space_at_its_start_says_what_to_do() -> None:
    said = "OSError: [Errno 28] No space left on device"
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": said}}
    pod = {"metadata": {"name": "x"}, "status": {"phase": "Failed", "containerStatuses": [{"state": ended}]}}
    found = words.ended(pod)
    assert found is not None
    assert found.advice.startswith("The home folder is full: ")


def test_a_name_that_is_none_will_never_be_pulled() -> None:
    found = words.waiting(pulling("InvalidImageName", "couldn't parse image reference"))
    assert found is not None
    assert found.hopeless


@pytest.mark.parametrize("state", [{"waiting": {"reason": "ContainerCreating"}}, {"running": {}}, None])
def test_a_pod_that_just_boots_has_nothing_to_tell(state: dict[str, Any] | None) -> None:
    assert words.waiting(pod(state=state)) is None


def test_an_event_is_told_when_it_says_something_new() -> None:
    assert words.of_event({"reason": "Pulling"}) == "Fetching the image, which this node does not have yet"
    assert words.of_event({"reason": "Scheduled", "message": "x"}) == ""
    failed = words.of_event({"reason": "FailedMount", "message": "MountVolume.SetUp failed\n for volume"})
    assert failed == "Waiting for a volume to be mounted (MountVolume.SetUp failed for volume)"


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        (
            "ProvisioningFailed",
            'storageclass.storage.k8s.io "fast" not found',
            "The home volume cannot be made: the cluster has no storage class fast",
        ),
        (
            "ProvisioningFailed",
            "failed to provision volume: quota of the\n project",
            "The home volume cannot be made yet (failed to provision volume: quota of the project)",
        ),
        (
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set",
            "The home volume cannot be made: no storage class is set for homes, and none is the cluster's default",
        ),
        ("FailedBinding", "", "The home volume cannot be made: no storage fits it"),
        ("WaitForFirstConsumer", "waiting for first consumer to be created before binding", ""),
    ],
)
def test_why_a_home_has_no_volume_is_said_in_plain_words(reason: str, message: str, said: str) -> None:
    assert words.of_event({"reason": reason, "message": message}) == said


def test_what_was_heard_of_the_home_is_told_while_the_pod_waits_for_it_alone() -> None:
    unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    for message, said in ((unbound, "no class"), ("0/1 nodes are available: 1 Insufficient memory.", "free")):
        found = words.waiting(unschedulable(message), "no class")
        assert found is not None
        assert said in found.words


# --- the end ---------------------------------------------------------------------------------------------------------


def disrupted(reason: str) -> list[dict[str, str]]:
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason}]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            pod(phase="Failed", state={"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
            "It ran out of memory (its limit is 8 GB).",
        ),
        (
            pod(phase="Succeeded", state={"terminated": {"reason": "OOMKilled", "exitCode": 0}}),
            "It ended by itself: nobody had used it for a while, or it was shut down from inside.",
        ),
        (pod(phase="Failed", reason="DeadlineExceeded", state={"terminated": {"exitCode": 143}}), words.TIME_LIMIT),
        (
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            "Its node ended it: The node was low on resource: memory.",
        ),
        (
            pod(phase="Running", leaving=True, conditions=disrupted("DeletionByTaintManager")),
            "Its node is gone, or was taken out of service.",
        ),
        (
            pod(phase="Running", leaving=True, conditions=disrupted("EvictionByEvictionAPI")),
            "It was moved off its node, which is being looked after.",
        ),
        (pod(phase="Failed", reason="NodeLost"), "Its node is gone."),
        (pod(phase="Running", leaving=True, state={"running": {}}), words.DELETED),
        (pod(phase="Failed", state={"terminated": {"exitCode": 3}}), "The notebook server ended with the exit code 3."),
        (
            pod(phase="Failed", state={"terminated": {"reason": "StartError", "exitCode": 128}}),
            "The container could not be started.",
        ),
    ],
)
def test_how_a_pod_ended_is_told(one: dict[str, Any], expected: str) -> None:
    found = words.ended(one)
    assert found is not None
    assert found.words == expected


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_a_pod_that_lives_has_not_ended(phase: str) -> None:
    assert words.ended(pod(phase=phase, state={"running": {}})) is None


def test_the_last_words_and_the_status_are_kept() -> None:
    found = words.ended(
        pod(phase="Failed", state={"terminated": {"exitCode": 1, "message": "ModuleNotFoundError: x\n"}})
    )
    assert found is not None
    assert (found.code, found.last) == (1, "ModuleNotFoundError: x\n")


# --- what the API server refuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            (
                'pods "over" is forbidden: exceeded quota: hub-ext, requested: limits.memory=32Gi, used: '
                "limits.memory=0, limited: limits.memory=20Gi"
            ),
            "You have as much at once as you may (memory: 0 of 20 GB in use, and this needs 32 GB more).",
        ),
        (
            (
                'pods "server" is forbidden: exceeded quota: hub-ext, requested: limits.cpu=1500m,pods=1, used: '
                "limits.cpu=3,pods=6, limited: limits.cpu=4,pods=6"
            ),
            (
                "You have as much at once as you may (processor cores: 3 of 4 in use, and this needs 1.5 more; servers "
                "and runs: 6 of 6 in use, and this needs 1 more)."
            ),
        ),
        (
            ('pods "x" is forbidden: exceeded quota: of-all, requested: pods=1, used: pods=9, limited: pods=9'),
            (
                "A quota of the cluster's own leaves no room for it where it would run (of-all; servers and runs: 9 of "
                "9 in use, and this needs 1 more)."
            ),
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
            "The cluster's Pod Security level refuses it.",
        ),
        (
            'pods "over" is forbidden: [maximum cpu usage per Container is 4, but limit is 8]',
            "It is larger than one server may be in your part of the cluster.",
        ),
        (
            (
                "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'hub-ext' with binding 'hub-ext' denied request: "
                "no-privileged: A container must not be privileged."
            ),
            "The cluster's own policy refuses it: no-privileged: A container must not be privileged.",
        ),
        (
            'pods "x" is forbidden: unable to create new content in namespace x because it is being terminated',
            "Your part of the cluster is being removed.",
        ),
        (
            'pods is forbidden: User "system:serviceaccount:x:y" cannot create resource "pods"',
            "This platform's account may not do that in the cluster.",
        ),
    ],
)
def test_what_is_refused_is_told_in_words(message: str, expected: str) -> None:
    assert words.refused(403, message)[0] == expected


def test_anything_else_is_told_without_its_text() -> None:
    assert words.refused(422, "spec.containers[0].env: secret stuff") == ("The cluster refuses it.", words.TELL_ADMIN)
