"""Notebooks between upload and publishing: in the result store for a short while, so that any replica has them."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hub_ext.db.session import Database
from hub_ext.errors import NotFound
from hub_ext.leases import OwnLease
from hub_ext.looking import Looking
from hub_ext.store import DRAFTS, Store

KEPT = 3600  # seconds
_MOST_EACH = 4  # of one person; the oldest goes
_KEY = re.compile(r"([0-9]{10,12})-[A-Za-z0-9_-]{24}")
_LEASE = 60.0  # seconds
_PAUSE = 300.0  # seconds between two looks for what is over


@dataclass(frozen=True)
class Upload:
    """A notebook that somebody uploaded.

    Attributes:
        data: The file.
        name: What it was called.
        target: Owner and name of the workflow that it is a version of; empty for none.
    """

    data: bytes = field(repr=False)
    name: str
    target: str = ""


class Drafts:
    """Keeps uploads for their owners. When one ends is a part of its key, so that nothing else has to be remembered.

    Args:
        store: The result store.
        clock: Says the time, in seconds since 1970.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def put(self, owner: str, upload: Upload) -> str:
        """Keep an upload for an hour, in place of that person's oldest where she has many; return its key.

        Args:
            owner: The person.
            upload: What.

        Raises:
            StorageFull: If there is no space.
            Unavailable: If the store does not answer.
        """
        key = f"{int(self._clock()) + KEPT}-{secrets.token_urlsafe(18)}"
        head = json.dumps({"name": upload.name, "target": upload.target}).encode()
        self._store.put(f"{_folder(owner)}/{key}", head + b"\n" + upload.data)
        others = sorted(one for one in self._store.every_key(_folder(owner)) if not one.endswith(f"/{key}"))
        for one in others[: max(0, len(others) - _MOST_EACH + 1)]:
            self._store.delete(one)
        return key

    def get(self, owner: str, key: str) -> Upload:
        """Return an upload.

        Args:
            owner: The person.
            key: From `put`.

        Raises:
            NotFound: If it is not there any more, or is somebody else's.
            Unavailable: If the store does not answer.
        """
        try:
            if self._is_over(key):
                raise NotFound(key)
            head, _, data = self._store.get(f"{_folder(owner)}/{key}").partition(b"\n")
        except NotFound:
            raise NotFound(
                "This is not kept any more.", hint=f"Begin again: it is kept for {KEPT // 60} minutes at most."
            ) from None
        about = json.loads(head)
        return Upload(data, about["name"], about["target"])

    def drop(self, owner: str, key: str) -> None:
        """Keep it no longer; nothing happens where it is not there.

        Args:
            owner: The person.
            key: From `put`.

        Raises:
            Unavailable: If the store does not answer.
        """
        if _KEY.fullmatch(key):
            self._store.delete(f"{_folder(owner)}/{key}")

    def sweep(self) -> int:
        """Delete what is over, whosever it is; return how many.

        Raises:
            Unavailable: If the store does not answer.
        """
        over = [key for key in self._store.every_key(DRAFTS) if self._is_over(key.rpartition("/")[2])]
        for key in over:
            self._store.delete(key)
        return len(over)

    def _is_over(self, key: str) -> bool:
        found = _KEY.fullmatch(key)
        return found is None or int(found[1]) < self._clock()


def _folder(owner: str) -> str:
    """Return where a person's are; her name is no path."""
    return f"{DRAFTS}/{hashlib.sha256(owner.encode()).hexdigest()[:32]}"


class DraftsSweep(Looking):
    """Deletes, again and again, what is over: one process, by lease.

    Args:
        database: Has the lease.
        drafts: The uploads.
    """

    job = "a look for drafts that are over"

    def __init__(self, database: Database, drafts: Drafts) -> None:
        super().__init__(OwnLease(database, "drafts", _LEASE), _PAUSE)
        self._drafts = drafts

    def look(self) -> None:
        """Delete them, if the lease is ours."""
        if self.lease.hold():
            self._drafts.sweep()
