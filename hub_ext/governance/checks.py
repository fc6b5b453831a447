"""What a version must pass before it can be approved, worked out once for each version, policy and enclave."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from hub_ext.catalog.check import CheckFinding, check_profile, ends
from hub_ext.catalog.models import Profile
from hub_ext.catalog.snapshot import Catalog

_MOST = 20_000


class Checks:
    """Findings of checks, kept while neither the version nor what it is held against changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, frozenset[str]], list[CheckFinding]] = OrderedDict()
        self._lock = threading.Lock()

    def findings(
        self, profile: Profile, catalog: Catalog, excepted: frozenset[str] = frozenset()
    ) -> list[CheckFinding]:
        """Return what a check of a version finds.

        Args:
            profile: The version.
            catalog: Holds policy and enclave.
            excepted: Ids of the rules that an exception for the profile names.
        """
        found = self.known(profile, catalog, excepted)
        if found is None:
            found = check_profile(profile, catalog, excepted)
            with self._lock:
                self._known[profile.digest, catalog.held_against, excepted] = found
                while len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return found

    def known(
        self, profile: Profile, catalog: Catalog, excepted: frozenset[str] = frozenset()
    ) -> list[CheckFinding] | None:
        """Return what a check found, None when there was none yet: a page with 200 profiles does not wait for it."""
        with self._lock:
            return self._known.get((profile.digest, catalog.held_against, excepted))


def images_of(profile: Profile, catalog: Catalog, environments: Mapping[str, str] | None) -> tuple[dict[str, str], str]:
    """Return every image that a version can be made from, by digest, and the name of one that is not there.

    Args:
        profile: The version.
        catalog: Holds the images.
        environments: Those of this machine, where processes are local.
    """
    field, kind = ("image", "") if environments is None else ("local.environment", "environment/")
    known = catalog.images if environments is None else environments
    names = [profile.spec.image if environments is None else profile.spec.local.environment]
    for option in profile.spec.options.values():
        names += [str(value) for value in ends(option)] if option.sets == field else []
    found = {f"{kind}{name}": known[name] for name in names if name in known}
    missing = next((f"{kind}{name}" for name in names if name not in known), "")
    return found, missing
