"""Makes what a start needs in a cluster, or brings it up to date, and takes nothing that is not ours.

Two at once for one person are safe: each call makes an object as its manifest says or finds it so, and what may be made
only once (namespace, home) is looked at when it is there already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hub_ext.errors import Conflict
from hub_ext.kubernetes.client import WITHIN, AlreadyThere, ApiError, Cluster
from hub_ext.kubernetes.objects import MANAGED_BY, PREFIX, Manifest
from hub_ext.kubernetes.render import Rendering

_USER, _PLATFORM = f"{PREFIX}/user", f"{PREFIX}/platform"
_KIND = f"{PREFIX}/namespace"


class NotOurs(Conflict):
    """There is an object of the name that we need, and it is not ours, or another person's."""


class Ending(Conflict):
    """A namespace is being removed; it has to be gone before it can be made again."""


def _marks(manifest: Manifest) -> dict[str, str]:
    return dict(manifest["metadata"].get("labels") or {})


def check_ours(there: Manifest, wanted: Manifest) -> None:
    """Refuse an object that somebody else has made, or that is another person's.

    Args:
        there: What the API server has.
        wanted: What we would make.

    Raises:
        NotOurs: If it is not ours.
        Ending: If it is being removed.
    """
    marks, needed = _marks(there), _marks(wanted)
    kind, name = wanted["kind"].lower(), wanted["metadata"]["name"]
    ours = [*MANAGED_BY, *(label for label in (_USER, _PLATFORM, _KIND) if label in needed)]
    if any(marks.get(label) != needed.get(label) for label in ours):
        raise NotOurs(
            f"There is a {kind} {name} in the cluster that was not made for this person by this platform, "
            "so nothing was put into it.",
            hint="An admin of the cluster has to remove or rename it.",
        )
    if there["metadata"].get("deletionTimestamp"):
        raise Ending(f"The {kind} {name} is being removed from the cluster.", hint="Try again in a minute.")


async def _make_once(cluster: Cluster, wanted: Manifest, within: float, *, look_first: bool) -> Manifest:
    """Return an object that is made only once: as it is there, or as we made it now.

    Raises:
        NotOurs: If it is there and is not ours.
    """
    kind, about = wanted["kind"], wanted["metadata"]
    where = about.get("namespace", "")
    there = await cluster.get(kind, about["name"], where, within=within) if look_first else None
    if there is None:
        try:
            return await cluster.create(wanted, within=within)
        except AlreadyThere:
            there = await cluster.get(kind, about["name"], where, within=within)
    if there is None:  # made by another and removed in between
        raise Ending(f"The {kind.lower()} {about['name']} is being removed from the cluster.", hint="Try again.")
    check_ours(there, wanted)
    return there


async def _make_new(cluster: Cluster, wanted: Manifest, within: float) -> Manifest:
    """Make an object whose name only this start has: one that is there comes from an earlier try of this call.

    Secrets are made so: whoever may change them may read them, which we may not.
    """
    try:
        return await cluster.create(wanted, within=within)
    except AlreadyThere:
        return wanted


async def ensure_namespace(cluster: Cluster, wanted: Manifest, *, within: float = WITHIN) -> None:
    """Make a person's namespace, or see that the one that is there is hers and has its labels.

    Args:
        cluster: Where.
        wanted: From `objects.namespace`.
        within: Seconds for each call.

    Raises:
        NotOurs: If there is one that is not ours, or another person's.
        Ending: If it is being removed.
    """
    there = await _make_once(cluster, wanted, within, look_first=True)
    have, need = _marks(there), _marks(wanted)
    if any(have.get(label) != value for label, value in need.items()):
        patch = {"metadata": {"labels": need, "uid": there["metadata"]["uid"]}}
        await cluster.merge("Namespace", wanted["metadata"]["name"], "", patch, within=within)


async def ensure(
    cluster: Cluster, rendering: Rendering, also: Sequence[Manifest] = (), *, within: float = WITHIN
) -> None:
    """Make everything that a start needs before its pod or Job: namespace first, then the rest at once.

    Args:
        cluster: Where.
        rendering: What the start makes.
        also: More objects that only this start has, such as its secret.
        within: Seconds for each call.

    Raises:
        NotOurs: If namespace or home are there and not hers.
        Ending: If the namespace is being removed.
        ApiError: If the API server refuses one of them.
        NoAnswer: If it does not answer.
    """
    await ensure_namespace(cluster, rendering.namespace, within=within)
    making = [cluster.apply(one, within=within) for one in (*rendering.around, rendering.network)]
    making += [_make_new(cluster, one, within) for one in also]
    if rendering.home is not None:
        making.append(_make_once(cluster, rendering.home, within, look_first=True))
    done = await asyncio.gather(*making, return_exceptions=True)
    wrong = [one for one in done if isinstance(one, BaseException)]
    if wrong:  # the one that says most
        raise min(wrong, key=lambda one: (not isinstance(one, NotOurs), not isinstance(one, ApiError)))
