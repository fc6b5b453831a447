"""What a Job and its pods, as the API server reports them, say about a run. Pure; in words for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.kubernetes import words

Manifest = Mapping[str, Any]

STUCK = 20.0  # seconds that a pod may outlive the end of its time before its node counts as gone

_DELETED_JOB = "its Job was deleted from outside"
_DELETED_POD = "its pod was deleted from outside"
_SILENT = "its node does not answer any more"
_QUEUED = "it waits in the queue of the cluster"


@dataclass(frozen=True)
class Sight:
    """What is to be seen of a launch.

    Attributes:
        state: ``absent``: there is nothing (any more). ``waits``: no container of it runs yet. ``stuck``: neither will
            one without help. ``runs``: its executor is there. ``ended``: it was.
        why: Why it waits or is stuck, why it is about to end, or why it ended, as a clause; empty where nobody knows.
        never: Whether what it is stuck with will not change by itself.
        code: Exit code of its executor, where it ended by itself.
        last: The last line that it wrote.
    """

    state: Literal["absent", "waits", "stuck", "runs", "ended"]
    why: str = ""
    never: bool = False
    code: int | None = None
    last: str = ""


def look(
    job: Manifest | None, pods: Sequence[Manifest], *, minutes: int, now: datetime, last: Manifest | None = None
) -> Sight:
    """Return what a Job and its pods say.

    Args:
        job: The Job, None if there is none.
        pods: Its pods.
        last: The last pod that it had, as it was when it was deleted.
        minutes: How long it may run.
        now: The time.
    """
    alive = [pod for pod in pods if not _has_ended(pod)]
    if alive:
        return _of_living(job, max(alive, key=_made_at), now)
    if job is not None and not _is_over(job):
        return Sight("waits", _QUEUED if _get(job, "spec", "suspend") else "")
    if pods:
        return _of_ended(job, max(pods, key=_made_at), minutes)
    if job is None:
        return Sight("absent", _DELETED_JOB)
    told = _of_ended(job, last, minutes).why if last is not None else ""
    return Sight("ended", told or _of_job(job))


def _of_living(job: Manifest | None, pod: Manifest, now: datetime) -> Sight:
    leaves = _get(pod, "metadata", "deletionTimestamp")
    if leaves and (now - _time(leaves)).total_seconds() > STUCK:
        return Sight("ended", _why_taken(job, pod, _SILENT))
    if _get(pod, "status", "phase") == "Running" and _get(_container(pod), "state", "running") is not None:
        return Sight("runs", _why_taken(job, pod))
    waiting = words.waiting(dict(pod))
    if waiting is None:
        return Sight("waits")
    why = clause(waiting.words.replace("this server", "this run"))
    if _condition(pod, "PodScheduled").get("status") == "False":
        return Sight("waits", why)
    return Sight("stuck", why, never=waiting.hopeless)


def _of_ended(job: Manifest | None, pod: Manifest, minutes: int) -> Sight:
    ended = _get(_container(pod), "state", "terminated") or {}
    code, last = ended.get("exitCode"), str(ended.get("message") or "").strip().rpartition("\n")[2]
    why = _why_ended(pod, ended, minutes) or _why_taken(job, pod)
    return Sight("ended", why, code=code if isinstance(code, int) else None, last=words.shortened(last))


def _why_ended(pod: Manifest, ended: Manifest, minutes: int) -> str:
    reason = _get(pod, "status", "reason")
    if ended.get("reason") == "OOMKilled":
        containers: list[Manifest] = _get(pod, "spec", "containers") or [{}]
        limit = _get(containers[0], "resources", "limits", "memory")
        return f"it needed more memory than {f'its {human_size(parse_size(limit))}' if limit else 'there was'}"
    if reason == "DeadlineExceeded":
        return f"ran longer than its limit of {minutes} {'minute' if minutes == 1 else 'minutes'}"
    if reason == "Evicted":
        return _why_evicted(str(_get(pod, "status", "message") or ""))
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        return f"its container could not be started: {words.shortened(str(ended.get('message') or ''))}"
    return _in_words(pod) if reason else ""


def _why_evicted(message: str) -> str:
    if "ephemeral" in message.lower() or "emptydir" in message.lower():
        return "it wrote more to its scratch space than it may"
    return f"its node ended it: {words.shortened(message)}" if message else "its node ended it"


def _why_taken(job: Manifest | None, pod: Manifest, otherwise: str = "") -> str:
    """Return why somebody took a pod away.

    Args:
        job: Its Job, if there is one.
        pod: The pod.
        otherwise: What to say if nobody did.
    """
    if _condition(pod, "DisruptionTarget").get("status") == "True":
        return _in_words(pod)
    if job is None or _get(job, "metadata", "deletionTimestamp"):
        return _DELETED_JOB
    if otherwise:
        return otherwise
    return _DELETED_POD if _get(pod, "metadata", "deletionTimestamp") else ""


def _in_words(pod: Manifest) -> str:
    found = words.ended(dict(pod))
    return clause(found.words) if found else ""


def _of_job(job: Manifest) -> str:
    """Return why a Job is over that has no pod."""
    failed = _condition(job, "Failed")
    if failed.get("reason") in ("BackoffLimitExceeded", "PodFailurePolicy"):
        return _DELETED_POD
    return words.shortened(str(failed.get("message") or "")) or "its pod is gone"


def _is_over(job: Manifest) -> bool:
    over = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
    return any(_condition(job, kind).get("status") == "True" for kind in over)


def _has_ended(pod: Manifest) -> bool:
    return _get(pod, "status", "phase") in ("Succeeded", "Failed")


def _condition(one: Manifest, kind: str) -> Manifest:
    conditions: list[Manifest] = _get(one, "status", "conditions") or []
    return next((found for found in conditions if found.get("type") == kind), {})


def _container(pod: Manifest) -> Manifest:
    statuses: list[Manifest] = _get(pod, "status", "containerStatuses") or [{}]
    return statuses[0]


def _get(found: Any, *path: str) -> Any:
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _made_at(pod: Manifest) -> str:
    return str(_get(pod, "metadata", "creationTimestamp") or "")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def clause(sentence: str) -> str:
    """Return a sentence as a part of another one."""
    sentence = sentence.strip()
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def why_no_pod(events: Sequence[Manifest]) -> str:
    """Return why a Job has no pod yet; empty if nobody says.

    Args:
        events: Of the Job.
    """
    failed = [one for one in events if one.get("reason") == "FailedCreate"]
    if not failed:
        return ""
    newest = max(failed, key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
    said, advice = words.refused(403, str(newest.get("message") or ""))
    return clause(f"{said} {advice}")
