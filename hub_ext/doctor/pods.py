"""Our own pods that ended where none should, each with why: those of Hub, sharing service, proxy and database."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hub_ext.doctor.finding import Finding, ok
from hub_ext.kubernetes.client import ApiError, Cluster
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.words import shortened

_WITHIN = 10.0  # seconds for each call
_OURS = "app.kubernetes.io/part-of=hub-ext"
_PART = "app.kubernetes.io/component"
_OF_A_NAME = re.compile(r"^hub-ext-(hub|service|proxy|postgresql)-")
_PARTS = ("hub", "service", "proxy", "postgresql")  # a pod of these is never done
_AGAIN = "Another takes its place; if they become many, see the log of the node's kubelet."
# What a node says when it takes a pod away, what that means, and what to do; `{part}` is the part's name in the values.
_CAUSES = (
    (r"EmptyDir volume", "more temporary files than it may have", "Raise `{part}.scratch`."),
    (
        r"local ephemeral storage limit|ephemeral local storage usage",
        "more on the node's disk than it may have",
        "Raise `limits.ephemeral-storage` of `{part}.resources`.",
    ),
    (
        r"resource: (ephemeral-storage|inodes)|DiskPressure",
        "its node had no disk left",
        "Make space on the node, or give it a larger disk.",
    ),
    (
        r"resource: memory|MemoryPressure",
        "its node had no memory left",
        "Add memory, or raise `requests.memory` of `{part}.resources`: who uses more than that goes first.",
    ),
    (r"resource: pids|PIDPressure", "its node had no processes left", "Find what makes so many on that node."),
)


@dataclass(frozen=True)
class Over:
    """A pod of ours that is over.

    Attributes:
        part: Whose it was.
        name: Its name.
        evicted: Whether its node took it away.
        said: Why, as the cluster says it; empty where it says nothing.
    """

    part: str
    name: str
    evicted: bool
    said: str

    def cause(self) -> tuple[str, str]:
        """Return what that means, empty where nobody knows, and what to do."""
        for pattern, words, advice in _CAUSES if self.evicted else ():
            if re.search(pattern, self.said):
                bounded = self.part != "postgresql" or "scratch" not in advice
                return words, advice.format(part=self.part) if bounded else "Its log says what it wrote there."
        return "", _AGAIN


async def look(cluster: Cluster, namespace: str) -> list[Finding]:
    """Look for pods of ours that were evicted, or failed.

    Args:
        cluster: The cluster.
        namespace: Where Hub and service live.

    Raises:
        ApiError: The API server says no, and not because of our rights.
        NoAnswer: It does not answer.
    """
    evicted = "reason=Evicted,involvedObject.kind=Pod"
    try:
        pods = await cluster.list("Pod", namespace, labels=_OURS, within=_WITHIN)
        events = await cluster.list("Event", namespace, fields=evicted, within=_WITHIN)
    except ApiError as error:
        if error.status != 403:
            raise
        advice = f"As somebody who may: `kubectl -n {namespace} get pods`, and look for *Evicted* and *Error*."
        return [Finding("pods", "warn", f"this account may not look at those in {namespace}", advice)]
    return list(_findings(over(pods["items"], events["items"]), namespace))


def over(pods: Iterable[Manifest], events: Iterable[Manifest]) -> list[Over]:
    """Return which pods of ours are over, in the order in which they were made.

    A pod that ended well in the second that its node left it does not say that it was evicted, and one that was deleted
    says nothing: an event does, for as long as the cluster keeps events.

    Args:
        pods: Ours.
        events: Of evictions in their namespace.
    """
    told = {one["involvedObject"]["name"]: str(one.get("message") or "") for one in events}
    found: list[Over] = []
    for one in sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp"))):
        part, said = one["metadata"]["labels"].get(_PART), told.pop(one["metadata"]["name"], "")
        if part in _PARTS and one["status"].get("phase") in ("Failed", "Succeeded"):
            found.append(_over(one, part, said))
    named = ((_OF_A_NAME.match(name), name, said) for name, said in told.items())
    return [Over(part[1], name, evicted=True, said=said) for part, name, said in named if part] + found


def _over(pod: Manifest, part: str, told: str) -> Over:
    status = pod["status"]
    taken: Manifest = next((one for one in status.get("conditions", ()) if one["type"] == "DisruptionTarget"), {})
    evicted = status.get("reason") == "Evicted" or taken.get("reason") == "TerminationByKubelet" or bool(told)
    said = status.get("message") or told or taken.get("message") or status.get("reason") or ""
    return Over(part, pod["metadata"]["name"], evicted, str(said))


def _findings(found: Iterable[Over], namespace: str) -> Iterator[Finding]:
    alike: defaultdict[tuple[str, bool, str, str], list[Over]] = defaultdict(list)
    for one in found:
        alike[one.part, one.evicted, *one.cause()].append(one)
    for (part, evicted, words, advice), those in alike.items():
        how = f"{len(those)} of {part} {'evicted' if evicted else 'ended'}"
        last = f"last {those[-1].name}{f', {shortened(said, 200)}' if (said := those[-1].said) else ''}"
        left = f"`kubectl -n {namespace} delete pods --field-selector=status.phase!=Running,status.phase!=Pending`"
        yield Finding("pods", "warn", f"{how}{f': {words}' if words else ''} ({last})", f"{advice} Then {left}.")
    if not alike:
        yield ok("pods", "none of ours was evicted, none failed")
