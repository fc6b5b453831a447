"""Homes as volumes of a cluster: a claim in each person's namespace, or one for each in that of all."""

from __future__ import annotations

from collections.abc import Callable

from hub_ext.catalog.quantities import parse_size
from hub_ext.errors import Unavailable
from hub_ext.homes.places import Found, Hindered
from hub_ext.kubernetes.client import ApiError
from hub_ext.kubernetes.objects import Manifest, marks_of_person
from hub_ext.kubernetes.places import Place
from hub_ext.settings import HubExt
from hub_ext.spawner.pods import Pods

_KIND = "PersistentVolumeClaim"
_REMOVAL = "removal"  # no pod of ours has this name


class Volumes:
    """The claims of homes, as the Hub's account may look at them and delete them.

    Args:
        settings: Say where the cluster is.
        system: Returns the namespace of the platform.
        shared: Returns the namespace of all, empty where each person has one.
    """

    def __init__(self, settings: HubExt, system: Callable[[], str], shared: Callable[[], str] = str) -> None:
        self._settings = settings
        self._system = system
        self._shared = shared

    def _place(self, name: str) -> Place:
        return Place(name, self._shared())

    async def _pods(self) -> Pods:
        pods = await Pods.shared(self._settings, self._system(), self._shared())
        if not await pods.listed():
            raise Unavailable("The cluster does not answer now.", hint="Try again in a moment.")
        return pods

    async def _claim(self, name: str) -> Manifest | None:
        """Return the claim of somebody's home, None where there is none, or where it is being deleted.

        Raises:
            Unavailable: If the cluster does not say.
        """
        pods, place = await self._pods(), self._place(name)
        try:
            claim = await pods.cluster.get(_KIND, place.home, place.namespace)
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
            f"the volume {about['namespace']}/{about['name']}",
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
        pods, place = await self._pods(), self._place(name)
        key = (place.namespace, _REMOVAL)
        still()
        if pods.home_users(key, place.home):
            raise Hindered("A server has it still.")
        with pods.reserve_home(key, {"metadata": {"name": place.home}}):
            try:
                await pods.cluster.delete(_KIND, place.home, place.namespace, uid=found.identity)
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
