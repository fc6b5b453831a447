"""Makes what a start needs in a cluster, or brings it up to date, and takes nothing that is not ours.

Two at once for one person are safe: each call makes an object as its manifest says or finds it so, and what may be made
only once (namespace, home) is looked at when it is there already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import structlog

from hub_ext.errors import Conflict
from hub_ext.kubernetes.client import WITHIN, AlreadyThere, ApiError, Cluster, NoAnswer
from hub_ext.kubernetes.objects import MANAGED_BY, PREFIX, Manifest, owned
from hub_ext.kubernetes.render import Rendering

log = structlog.get_logger("hub_ext.kubernetes.apply")

_USER, _PLATFORM = f"{PREFIX}/user", f"{PREFIX}/platform"
_KIND = f"{PREFIX}/namespace"
_OF_QUANTITIES = frozenset({"ResourceQuota", "LimitRange"})


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


async def _make_once(cluster: Cluster, wanted: Manifest, within: float, *, look_first: bool) -> tuple[Manifest, bool]:
    """Return an object that is made only once, as it is there or as we made it now; and whether we made it.

    Raises:
        NotOurs: If it is there and is not ours.
    """
    kind, about = wanted["kind"], wanted["metadata"]
    where = about.get("namespace", "")
    there = await cluster.get(kind, about["name"], where, within=within) if look_first else None
    if there is None:
        try:
            return await cluster.create(wanted, within=within), True
        except AlreadyThere:
            there = await cluster.get(kind, about["name"], where, within=within)
    if there is None:  # made by another and removed in between
        raise Ending(f"The {kind.lower()} {about['name']} is being removed from the cluster.", hint="Try again.")
    check_ours(there, wanted)
    return there, False


async def make_new(cluster: Cluster, wanted: Manifest, *, within: float = WITHIN) -> None:
    """Make an object whose name only this start has: one that is there comes from an earlier try of this call.

    Secrets are made so: whoever may change them may read them, which we may not.

    Args:
        cluster: Where.
        wanted: The object.
        within: Seconds for all tries.

    Raises:
        ApiError: If the API server refuses it.
        NoAnswer: If it does not answer.
    """
    with contextlib.suppress(AlreadyThere):
        await cluster.create(wanted, within=within)


async def _make_or_apply(cluster: Cluster, wanted: Manifest, within: float) -> Manifest:
    """Make an object that is not there most likely: that costs the API server less than to apply it."""
    try:
        return await cluster.create(wanted, within=within)
    except AlreadyThere:  # an earlier try of this call made it, or another start at this moment
        return await cluster.apply(wanted, within=within)


def _as_wanted(there: Manifest, wanted: Manifest) -> bool:
    """Return whether an object is what a manifest says, with nothing of somebody else's in its spec, and stays."""
    have, need = there["metadata"], wanted["metadata"]
    marks = all((have.get("labels") or {}).get(label) == value for label, value in (need.get("labels") or {}).items())
    specs = there.get("spec"), wanted["spec"]
    if wanted["kind"] in _OF_QUANTITIES:
        specs = _plain(specs[0]), _plain(specs[1])
    return marks and not have.get("deletionTimestamp") and bool(specs[0] == specs[1])


def _plain(value: Any) -> Any:
    """Return a spec with shares of a processor in thousandths: the API server writes 4 for 4000m."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return f"{value}000m" if isinstance(value, str) and value.isdecimal() else value


async def _keep(cluster: Cluster, wanted: Manifest, within: float) -> None:
    """See that an object is as it should be, or apply it; to look takes the API server a fraction of that."""
    about = wanted["metadata"]
    there = await cluster.get(wanted["kind"], about["name"], about["namespace"], within=within)
    if there is None or not _as_wanted(there, wanted):
        await cluster.apply(wanted, within=within)


async def own(cluster: Cluster, manifest: Manifest, owner: Manifest) -> None:
    """Let an object own another one that is there: whoever deletes it, that goes, too.

    It is for what nobody deletes any more; whoever made it does so in time, whether this works or not.

    Args:
        cluster: Where.
        manifest: What is owned.
        owner: The other one, as the API server has it.
    """
    about = manifest["metadata"]
    patch = {"metadata": {"ownerReferences": owned(manifest, owner)["metadata"]["ownerReferences"]}}
    try:
        await cluster.merge(manifest["kind"], about["name"], about["namespace"], patch)
    except (ApiError, NoAnswer) as error:
        log.warning("an object has no owner; it goes with its launch", name=about["name"], error=str(error)[:300])


async def ensure_namespace(cluster: Cluster, wanted: Manifest, *, within: float = WITHIN) -> bool:
    """Make a person's namespace, or see that the one that is there is hers and has its labels.

    One that this process has seen is looked at; any other is most likely not there yet, and is made at once.

    Args:
        cluster: Where.
        wanted: From `objects.namespace`.
        within: Seconds for each call.

    Returns:
        Whether it was made now: then there is nothing in it yet.

    Raises:
        NotOurs: If there is one that is not ours, or another person's.
        Ending: If it is being removed.
    """
    name = wanted["metadata"]["name"]
    there, made = await _make_once(cluster, wanted, within, look_first=name in cluster.seen)
    cluster.seen.add(name)
    have, need = _marks(there), _marks(wanted)
    if any(have.get(label) != value for label, value in need.items()):
        patch = {"metadata": {"labels": need, "uid": there["metadata"]["uid"]}}
        await cluster.merge("Namespace", name, "", patch, within=within)
    return made


async def check_shared(cluster: Cluster, wanted: Manifest, *, within: float = WITHIN) -> None:
    """See that the namespace of all is there, and has its labels: the policies of the cluster go by them.

    Args:
        cluster: Where.
        wanted: From `places.shared_namespace`.
        within: Seconds.

    Raises:
        NotOurs: If it is not there, or lacks a label.
        Ending: If it is being removed.
    """
    name = wanted["metadata"]["name"]
    hint = "An admin of the cluster makes it so: `hub-ext policy accounts` prints it."
    there = await cluster.get("Namespace", name, "", within=within)
    if there is None:
        raise NotOurs(f"The namespace {name}, which everybody shares here, is not in the cluster.", hint=hint)
    if there["metadata"].get("deletionTimestamp"):
        raise Ending(f"The namespace {name} is being removed from the cluster.", hint="Try again in a minute.")
    have = _marks(there)
    if missing := [f"{label}={value}" for label, value in _marks(wanted).items() if have.get(label) != value]:
        raise NotOurs(f"The namespace {name}, which everybody shares here, lacks {', '.join(missing)}.", hint=hint)


async def ensure(cluster: Cluster, rendering: Rendering, *, within: float = WITHIN) -> Manifest:
    """Make everything that a start needs before its pod or Job: namespace first, then the rest at once.

    Args:
        cluster: Where.
        rendering: What the start makes.
        within: Seconds for each call.

    Returns:
        The NetworkPolicy of the start, as the API server has it.

    Raises:
        NotOurs: If namespace or home are there and not hers.
        Ending: If the namespace is being removed.
        ApiError: If the API server refuses one of them.
        NoAnswer: If it does not answer.
    """
    new, around = False, rendering.around
    if rendering.shared:
        await check_shared(cluster, rendering.namespace, within=within)
    else:
        new = await ensure_namespace(cluster, rendering.namespace, within=within)
    making: list[Coroutine[Any, Any, Any]] = [_make_or_apply(cluster, rendering.network, within)]
    making += [_make_or_apply(cluster, one, within) if new else _keep(cluster, one, within) for one in around]
    if rendering.home is not None:
        making.append(_make_once(cluster, rendering.home, within, look_first=not new))
    network, *others = await asyncio.gather(*making, return_exceptions=True)
    wrong = [one for one in (network, *others) if isinstance(one, BaseException)]
    if wrong:  # the one that says most
        raise min(wrong, key=lambda one: (not isinstance(one, NotOurs), not isinstance(one, ApiError)))
    assert not isinstance(network, BaseException)  # noqa: S101  # for mypy: it is none of those that went wrong
    made: Manifest = network
    return made
