"""What a cluster says of a pod, in words for the person who waits for it. Pure: manifests in, sentences out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub_ext.catalog.quantities import human_size, parse_cpu, parse_size
from hub_ext.kubernetes.objects import QUOTA, Manifest

_LONGEST = 300  # characters of what the cluster said that are passed on

TELL_ADMIN = "Tell an admin the time."
DELETED = "Its pod was deleted in the cluster."
TIME_LIMIT = "It reached its time limit."


@dataclass(frozen=True)
class Waiting:
    """Why a pod does not run yet.

    Attributes:
        words: What it waits for.
        hopeless: Whether waiting longer changes nothing.
        advice: What to do about it.
    """

    words: str
    hopeless: bool = False
    advice: str = ""


@dataclass(frozen=True)
class Ended:
    """How a pod ended.

    Attributes:
        words: Why, in a sentence.
        code: The exit status, 0 where there is none.
        advice: What to do about it.
        last: What it wrote last; for a log, and for people only without secrets.
    """

    words: str
    code: int = 0
    advice: str = ""
    last: str = ""


def _status(pod: Manifest) -> Manifest:
    found: Manifest = pod.get("status") or {}
    return found


def _condition(pod: Manifest, kind: str) -> Manifest:
    return next((one for one in _status(pod).get("conditions") or [] if one.get("type") == kind), {})


def _state(pod: Manifest, kind: str) -> Manifest:
    """Return the state of the container: ``waiting``, ``running`` or ``terminated``; empty if it is another."""
    for one in _status(pod).get("containerStatuses") or []:
        found: Manifest | None = (one.get("state") or {}).get(kind)
        if found is not None:
            return found
    return {}


def shortened(text: str, most: int = _LONGEST) -> str:
    """Return what the cluster said as one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


# Waiting.

_PULLING = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
     "RegistryUnavailable", "SignatureValidationFailed"}
)  # fmt: skip
# What the message says, what it means, and whether another try may help. The first that fits counts.
_PULL_ERRORS = (
    (r"digest|checksum|unexpected commit", "its content is not what its digest says", True),
    (r"not found|manifest unknown|no such image|does not exist", "the registry does not have it", True),
    (r"unauthori[sz]ed|denied|forbidden|\b40[13]\b|authentication", "the registry does not let us have it", True),
    (r"signature", "its signature does not hold", True),
    (r"no space left", "the node has no space left for it", False),
    (r"no such host|refused|time-?out|timed out|i/o|unreachable|\bEOF\b|\b50[0234]\b|TLS|x509",
     "the registry does not answer", False),
)  # fmt: skip


def waiting(pod: Manifest, home: str = "") -> Waiting | None:
    """Return what a pod waits for that is worth telling; None while it just boots.

    Args:
        pod: As the API server has it.
        home: What was heard of its home's claim last, in words; empty for nothing.
    """
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _for_a_node(pod, str(scheduled.get("message", "")), home)
    state = _state(pod, "waiting")
    reason, message = str(state.get("reason", "")), str(state.get("message", ""))
    if reason in _PULLING:
        return _for_an_image(pod, reason, message)
    if reason in ("CreateContainerError", "RunContainerError", "CreateContainerConfigError"):
        return Waiting(f"The node cannot make the container yet: {shortened(message, 160)}", advice=TELL_ADMIN)
    return None


def _for_a_node(pod: Manifest, message: str, home: str) -> Waiting:
    if "persistentvolumeclaim" in message.lower():
        return Waiting(home or "Waiting for the home volume to be made", advice=TELL_ADMIN)
    if "volume node affinity" in message:
        return Waiting("Waiting for a node that can reach the home volume", advice=TELL_ADMIN)
    if "Insufficient" in message or "Too many pods" in message:
        return Waiting(f"Waiting for a node with {_needs(pod)} free", advice="Try later, or with less.")
    return Waiting("Waiting for a node that this server may run on", advice=TELL_ADMIN)


def _needs(pod: Manifest) -> str:
    requests = pod["spec"]["containers"][0].get("resources", {}).get("requests", {})
    cores = parse_cpu(requests.get("cpu", "1m"))
    parts = [human_size(parse_size(requests.get("memory", 1))), f"{cores:g} core{'' if cores == 1 else 's'}"]
    if "nvidia.com/gpu" in requests:
        parts.insert(1, f"{requests['nvidia.com/gpu']} GPU")
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _for_an_image(pod: Manifest, reason: str, message: str) -> Waiting:
    image = str(pod["spec"]["containers"][0]["image"]).partition("@")[0].rpartition("/")[2]
    why, final = "the node cannot fetch it", reason in ("InvalidImageName", "ErrImageNeverPull")
    if reason == "InvalidImageName":
        why = "its name is not valid"
    for pattern, meaning, hopeless in _PULL_ERRORS:
        if re.search(pattern, message, re.IGNORECASE):
            why, final = meaning, hopeless or final
            break
    return Waiting(f"The image {image} cannot be pulled: {why}", final, "Ask the one who keeps the profile.")


# How often each is worth telling is for the caller; only those that say something new are here.
_EVENTS: Mapping[str, str] = {
    "Pulling": "Fetching the image, which this node does not have yet",
    "FailedMount": "Waiting for a volume to be mounted",
    "FailedAttachVolume": "Waiting for the home volume to be attached to the node",
    "FailedCreatePodSandBox": "The node cannot give it a network yet",
    "ProvisioningFailed": "The home volume cannot be made yet",
    "FailedBinding": "The home volume cannot be made: no storage fits it",
    "ExternalProvisioning": "Waiting for the home volume to be made by what makes volumes in this cluster",
    "TriggeredScaleUp": "Another node is being started for it",
    "NotTriggerScaleUp": "No node can be started for it",
}
_WITH_MESSAGE = frozenset({"FailedMount", "FailedAttachVolume", "ProvisioningFailed", "FailedBinding"})
# Why a claim has no volume, where the message is the cluster's own and says it in its own terms.
_NO_CLASS = "The home volume cannot be made: no storage class is set for homes, and none is the cluster's default"
_UNKNOWN_CLASS = re.compile(r'storageclass\S* "([^"]+)" not found')


def of_event(event: Manifest) -> str:
    """Return what an event says to the one who waits; empty for nothing new."""
    reason, message = str(event.get("reason", "")), str(event.get("message") or "")
    words = _EVENTS.get(reason, "")
    if reason == "FailedBinding" and "no storage class is set" in message:
        return _NO_CLASS
    unknown = _UNKNOWN_CLASS.search(message) if reason == "ProvisioningFailed" else None
    if unknown:
        return f"The home volume cannot be made: the cluster has no storage class {unknown[1]}"
    if words and reason in _WITH_MESSAGE and message:
        words = f"{words} ({shortened(message, 160)})"
    return words


# The end.

_DISRUPTED: Mapping[str, str] = {
    "PreemptionByScheduler": "Its place was needed for something more important.",
    "DeletionByTaintManager": "Its node is gone, or was taken out of service.",
    "EvictionByEvictionAPI": "It was moved off its node, which is being looked after.",
    "DeletionByPodGC": "Its node is gone.",
    "TerminationByKubelet": "Its node had too little memory or disk left, and ended it.",
}
_REASONS: Mapping[str, str] = {
    "NodeLost": "Its node is gone.",
    "NodeShutdown": "Its node was shut down.",
    "Terminated": "Its node was shut down.",
    "Shutdown": "Its node was shut down.",
    "Preempting": "Its place was needed for something more important.",
    "OutOfcpu": "Its node had no processor left for it.",
    "OutOfmemory": "Its node had no memory left for it.",
    "OutOfpods": "Its node has as many pods as it can.",
    "UnexpectedAdmissionError": "Its node refused it.",
    "NodeAffinity": "Its node refused it.",
}


def ended(pod: Manifest) -> Ended | None:
    """Return how a pod ended, or that it is being taken away; None while it lives.

    Args:
        pod: As the API server has it.
    """
    phase = _status(pod).get("phase")
    finished = _state(pod, "terminated")
    leaving = bool(pod["metadata"].get("deletionTimestamp"))
    if not finished and phase not in ("Succeeded", "Failed") and not leaving:
        return None
    last = str(finished.get("message", "") or "")
    code = int(finished.get("exitCode", 0) or (1 if phase == "Failed" else 0))
    words, advice = _why_ended(pod, finished, leaving=leaving)
    return Ended(words, code, advice, last)


def _why_ended(pod: Manifest, finished: Manifest, *, leaving: bool) -> tuple[str, str]:
    reason = str(_status(pod).get("reason", "") or "")
    disrupted = _condition(pod, "DisruptionTarget")
    # It is told also of a container that ended well after one of its kernels had run out of memory.
    if finished.get("reason") == "OOMKilled" and finished.get("exitCode"):
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory")
        bound = f" (its limit is {human_size(parse_size(limit))})" if limit else ""
        return f"It ran out of memory{bound}.", "Take more memory, or less data at once."
    if reason == "DeadlineExceeded":
        return TIME_LIMIT, ""
    if reason == "Evicted":
        return f"Its node ended it: {shortened(str(_status(pod).get('message', '')), 160)}", ""
    if disrupted.get("status") == "True" and disrupted.get("reason") in _DISRUPTED:
        return _DISRUPTED[disrupted["reason"]], ""
    if reason in _REASONS:
        return _REASONS[reason], ""
    if leaving:
        return DELETED, ""
    code = finished.get("exitCode", 0)
    if finished.get("reason") in ("StartError", "ContainerCannotRun"):
        return "The container could not be started.", "Ask the one who keeps the profile."
    if code == 0:
        return "It ended by itself: nobody had used it for a while, or it was shut down from inside.", ""
    return f"The notebook server ended with the exit code {code}.", _about(str(finished.get("message", "") or ""))


def _about(last: str) -> str:
    """Return what to do about a server's last words."""
    if "no space left on device" in last.lower():
        return "The home folder is full: ask the one who keeps the profile for a larger one, or an admin to make space."
    return ""


# What the API server refuses.

_NO_NAMESPACES = (
    "The platform may make no namespaces in this cluster, and there is none for everybody "
    "(`shared_namespace` of the enclave)."
)
# One that we did not make: of a namespace for everybody, it counts what others have there, too.
_OTHER_QUOTA = "A quota of the cluster's own leaves no room for it where it would run"
_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")
_NAMES: Mapping[str, str] = {
    "limits.cpu": "processor cores",
    "limits.memory": "memory",
    "pods": "servers and runs",
    "count/pods": "servers and runs",
    "persistentvolumeclaims": "volumes",
    "requests.storage": "storage",
    "requests.nvidia.com/gpu": "GPUs",
}


def refused(status: int, message: str) -> tuple[str, str]:
    """Return why the API server did not make something, and what to do about it.

    Args:
        status: HTTP status.
        message: What it said.
    """
    quota = _QUOTA.search(message)
    if quota:
        name, *amounts = quota.groups()
        told = _over_quota(*amounts)
        if name == QUOTA:
            return f"You have as much at once as you may ({told}).", "Stop a server, or wait until a run has ended."
        return f"{_OTHER_QUOTA} ({name}; {told}).", "Try later, or with less; an admin can raise that quota."
    if "ValidatingAdmissionPolicy" in message:
        said = message.rpartition("denied request: ")[2]
        return f"The cluster's own policy refuses it: {shortened(said)}", TELL_ADMIN
    if "violates PodSecurity" in message:
        return "The cluster's Pod Security level refuses it.", TELL_ADMIN
    if re.search(r'cannot \w+ resource ("namespaces"|.* at the cluster scope)', message):
        return _NO_NAMESPACES, TELL_ADMIN
    if "because it is being terminated" in message:
        return "Your part of the cluster is being removed.", "Try again in a minute."
    if re.search(r"(maximum|minimum) \S+ usage per", message):
        return "It is larger than one server may be in your part of the cluster.", TELL_ADMIN
    if status in (401, 403):
        return "This platform's account may not do that in the cluster.", TELL_ADMIN
    return "The cluster refuses it.", TELL_ADMIN


def _over_quota(requested: str, used: str, limited: str) -> str:
    amounts = [dict(part.split("=", 1) for part in text.split(",")) for text in (requested, used, limited)]
    parts = [
        f"{_NAMES.get(name, name)}: {_amount(name, amounts[1].get(name, '0'))} of "
        f"{_amount(name, amounts[2].get(name, '0'))} in use, and this needs {_amount(name, wanted)} more"
        for name, wanted in amounts[0].items()
    ]
    return "; ".join(parts)


def _amount(name: str, value: str) -> str:
    try:
        if name.endswith(("memory", "storage")):
            return human_size(parse_size(value)) if value != "0" else "0"
        return f"{parse_cpu(value):g}" if name.endswith("cpu") and value != "0" else value
    except ValueError:
        return value
