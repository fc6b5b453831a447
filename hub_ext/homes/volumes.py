"""Homes as volumes of a cluster: one claim, of the same name, in each person's namespace."""

from __future__ import annotations

from collections.abc import Callable

from hub_ext.catalog.quantities import parse_size
from hub_ext.errors import Unavailable
from hub_ext.homes.places import Found, Hindered
from hub_ext.kubernetes.client import ApiError
from hub_ext.kubernetes.objects import HOME, Manifest, marks_of_person
from hub_ext.kubernetes.render import namespace_name
from hub_ext.settings import HubExt
from hub_ext.spawner.pods import Pods

_KIND = "PersistentVolumeClaim"
_REMOVAL = "removal"  # no pod of ours has this name


class Volumes:
    """The claims of homes, as the Hub's account may look at them and delete them.

    Args:
        settings: Say where the cluster is.
        system: Returns the namespace of the platform.
    """

    def __init__(self, settings: HubExt, system: Callable[[], str]) -> None:
        self._settings = settings
        self._system = system

    async def _pods(self) -> Pods:
        pods = await Pods.shared(self._settings, self._system())
        if not await pods.listed():
            raise Unavailable("The cluster does not answer now.", hint="Try again in a moment.")
        return pods

    async def _claim(self, name: str) -> Manifest | None:
        """Return the claim of somebody's home, None where there is none, or where it is being deleted.

        Raises:
            Unavailable: If the cluster does not say.
        """
        pods = await self._pods()
        try:
            claim = await pods.cluster.get(_KIND, HOME, namespace_name(name))
        except ApiError as error:
            raise Unavailable(f"The cluster does not say whether there is a home ({error.reason}).") from error
        return None if claim is None or claim["metadata"].get("deletionTimestamp") else claim

    async def find(self, name: str) -> Found | None:
        """Return somebody's home, None where there is none.

        Raises:
            Unavailable: If the cluster does not say.
        """
        claim = await self._claim(name)
        if claim is None:
            return None
        about = claim["metadata"]
        marks, wanted = about.get("labels") or {}, marks_of_person(name, self._system())
        ours = all(marks.get(label) == value for label, value in wanted.items())
        return Found(
            f"the volume {about['namespace']}/{HOME}",
            _size(claim),
            str(about["uid"]),
            "" if ours else "It was not made for this person by this platform: remove it by hand.",
        )

    async def taken(self, name: str, identity: str) -> bool:
        """Return whether the very claim is deleted.

        Raises:
            Unavailable: If the cluster does not say.
        """
        claim = await self._claim(name)
        return claim is None or claim["metadata"]["uid"] != identity

    async def take(self, name: str, found: Found, still: Callable[[], None]) -> None:
        """Delete the claim. No server gets it meanwhile, and none may have it.

        Raises:
            Hindered: If it is to stay, or the cluster refuses.
            Unavailable: If the cluster does not answer.
        """
        if found.hindrance:
            raise Hindered(found.hindrance)
        pods = await self._pods()
        key = (namespace_name(name), _REMOVAL)
        still()
        if pods.home_users(key, HOME):
            raise Hindered("A server has it still.")
        with pods.reserve_home(key, {}):
            try:
                await pods.cluster.delete(_KIND, HOME, key[0], uid=found.identity)
            except ApiError as error:
                raise Hindered(f"The cluster refused to delete it: {error.message[:200]}") from error

    async def sweep(self) -> None:
        """Do nothing: the cluster deletes by itself what a claim had."""


def _size(claim: Manifest) -> int | None:
    """Return the size of the volume; what is in it nobody but its person can see."""
    size = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    try:
        return parse_size(size) if size else None
    except ValueError:
        return None
