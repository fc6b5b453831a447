"""Values of secret parameters: encrypted in the state folder while their run needs them, then gone."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from hub_ext.errors import StorageFull, Unavailable
from hub_ext.executor.events import FULL

# A file without a run may be one whose run is about to be committed.
_YOUNG = 60.0


class Vault:
    """Keeps secret values until their run has ended.

    The key lies in a file of its own, beside the database and not in it: a copy of the database alone tells nothing.

    Args:
        state: The state folder.
    """

    def __init__(self, state: Path) -> None:
        self._key = state / "keys" / "secrets.key"
        self._folder = state / "secrets"
        self._fernet: Fernet | None = None

    def put(self, run_id: str, values: Mapping[str, str]) -> None:
        """Keep the values of a run.

        Raises:
            StorageFull: If there is no space.
            Unavailable: If the state folder cannot be written.
        """
        token = self._cipher().encrypt(json.dumps(dict(values)).encode())
        with _told():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(self._folder / run_id, token)

    def get(self, run_id: str) -> dict[str, str]:
        """Return the values of a run; none when it has none.

        Raises:
            Unavailable: If they are there and cannot be read, or were made with another key.
        """
        try:
            token = (self._folder / run_id).read_bytes()
        except FileNotFoundError:
            return {}
        try:
            found = json.loads(self._cipher().decrypt(token))
        except (InvalidToken, ValueError):
            raise Unavailable("The secret values of this run cannot be read any more.", hint="Run it again.") from None
        return {str(name): str(value) for name, value in found.items()}

    def delete(self, run_id: str) -> None:
        """Forget the values of a run."""
        (self._folder / run_id).unlink(missing_ok=True)

    def kept(self) -> list[str]:
        """Return the ids of the runs that values are kept of."""
        return [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []

    def sweep(self, needed: Collection[str], ended: Collection[str] = ()) -> int:
        """Delete what no run needs any more; return how many.

        Args:
            needed: Ids of all runs that have not ended.
            ended: Ids of runs that have; their values go however young they are.
        """
        if not self._folder.is_dir():
            return 0
        gone = 0
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                young = path.name not in ended and time.time() - path.stat().st_mtime <= _YOUNG
                if path.name not in needed and not young:
                    path.unlink()
                    gone += 1
        return gone

    def _cipher(self) -> Fernet:
        if self._fernet is None:
            with _told():
                self._fernet = Fernet(self._read_or_make_key())
        return self._fernet

    def _read_or_make_key(self) -> bytes:
        self._key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._key.exists():
            fresh = self._key.with_name(f"{self._key.name}.{os.getpid()}.{time.monotonic_ns()}")
            _write_private(fresh, Fernet.generate_key())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, self._key)  # the first of two that make one at once wins
            fresh.unlink()
        return self._key.read_bytes()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("The state folder has no space left.", hint="Tell an admin.") from error
        raise Unavailable("The state folder cannot be written.", hint="Tell an admin.") from error


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
    except OSError:
        path.unlink(missing_ok=True)  # a part of it is of no use
        raise
