"""The state folder of the embedded default: its folders, its lock, its keys and ports."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from hub_ext.embedded.processes import free_port
from hub_ext.errors import Conflict, StorageFull, Unavailable

_FOLDERS = ("keys", "run", "logs", "homes", "results", "launches")
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def unusable(error: OSError, path: Path) -> Unavailable | StorageFull:
    """Return a failing file operation as something that a person is told."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            f"There is no space left for the state folder {path}.", hint="Make space, or set HUB_EXT_STATE."
        )
    return Unavailable(
        f"The state folder {path} cannot be written: {os.strerror(error.errno or 0)}.",
        hint="Set HUB_EXT_STATE to a folder of yours.",
    )


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return a salted hash of a password (scrypt), as text.

    Args:
        password: The password.
        salt: The salt; a new one by default.
    """
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, dklen=32, **_SCRYPT)
    return f"scrypt:{salt.hex()}:{digest.hex()}"


def check_password(password: str, hashed: str) -> bool:
    """Return whether a password is the hashed one; bytes are compared in constant time.

    Args:
        password: What somebody typed.
        hashed: What `hash_password` returned.
    """
    kind, salt, _ = hashed.split(":")
    typed = hash_password(password, bytes.fromhex(salt)) if kind == "scrypt" else ""
    return hmac.compare_digest(typed.encode(), hashed.encode())


class StateFolder:
    """The state folder, held by this process for as long as it lives.

    Args:
        path: The folder; made if it is not there.

    Raises:
        Unavailable: If it cannot be written.
        StorageFull: If its disk is full.
        Conflict: If another platform runs on it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.keys = path / "keys"
        self.logs = path / "logs"
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in _FOLDERS:
                (path / name).mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unusable(error, path) from error
        self._hold()

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise Conflict(
                f"The state folder {self.path} is used by a running platform (process {holder}).",
                hint="Use that one, or set HUB_EXT_STATE and HUB_EXT_PORT for a second.",
            ) from None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)
            os.fsync(self._lock)
        except OSError as error:
            raise unusable(error, self.path) from error

    def release(self) -> None:
        """Let another platform have the folder."""
        os.close(self._lock)

    def secret(self, name: str, size: int = 32) -> str:
        """Return a secret of random bytes as hex digits, made at first use and readable by this user alone.

        Args:
            name: Name of its file.
            size: How many bytes.

        Raises:
            Unavailable: If it cannot be written.
            StorageFull: If the disk is full.
        """
        path = self.keys / name
        if not path.exists():
            self._write(path, secrets.token_hex(size))
        return path.read_text().strip()

    def _write(self, path: Path, text: str) -> None:
        partial = path.with_name(f"{path.name}.partial")
        try:
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(text)
            partial.replace(path)
        except OSError as error:
            raise unusable(error, self.path) from error

    def password(self, given: str | None) -> tuple[str, str | None]:
        """Return the hash of the password, and the password itself if it was made just now.

        Args:
            given: The password to use for as long as this process runs; None for the folder's own.

        Raises:
            Unavailable: If it cannot be written.
            StorageFull: If the disk is full.
        """
        if given:
            return hash_password(given), None
        path = self.keys / "password"
        if path.exists():
            return path.read_text().strip(), None
        made = secrets.token_urlsafe(12)
        self._write(path, hash_password(made))
        return path.read_text().strip(), made

    def ports(self, names: tuple[str, ...]) -> dict[str, int]:
        """Return a free port for each name, where possible the one of the last time, and record them.

        Live notebook servers know the Hub by its port, so it has to stay the same when the Hub is started again.

        Args:
            names: What the ports are for.

        Raises:
            Unavailable: If the record cannot be written.
            StorageFull: If the disk is full.
        """
        path = self.run / "ports.json"
        known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        chosen: dict[str, int] = {}
        for name in names:
            port = free_port(int(known.get(name, 0)))
            while port in chosen.values():
                port = free_port()
            chosen[name] = port
        self._write(path, json.dumps(chosen))
        return chosen
