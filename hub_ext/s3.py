"""The result store in a bucket of S3, or of what speaks as S3 does: each object is written whole or not at all.

Keys of the account come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`) or from what the cloud
gives a pod; they are in no setting.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from hub_ext.errors import InvalidInput, NotFound, StorageFull, StoreAway
from hub_ext.settings import HubExt
from hub_ext.store import CHUNK, Store, not_found, safe_path, unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_BLOCK = 4 * 1024 * 1024  # bytes asked for at once: each by a request of its own, since readers may be slow
_PART = 8 * 1024 * 1024  # bytes of a part of a large file
_PARTS_AT_ONCE = 3
_IN_MEMORY = 8 * 1024 * 1024
_CLIENT: ClientConfig = {"connect_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=30)}
_RETRY: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=10)}
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "InsufficientStorage"})
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def client(settings: HubExt) -> S3Store:
    """Return a client of the bucket that settings name; nothing is asked of it yet.

    Args:
        settings: `results_url` is `s3://bucket/prefix`.

    Raises:
        InvalidInput: If a setting is wrong; names it.
    """
    parts = urlsplit(settings.results)
    if parts.query or parts.fragment or parts.username or not _NAME.fullmatch(parts.netloc):
        raise InvalidInput.of("results_url", "must be s3://bucket/prefix; keys stand in the environment")
    prefix, endpoint = parts.path.strip("/"), str(settings.results_endpoint)
    if prefix:
        safe_path(prefix)
    config: S3Config = {"virtual_hosted_style_request": settings.results_addressing == "virtual"}
    if settings.results_region:
        config["region"] = str(settings.results_region)
    options: ClientConfig = {**_CLIENT, "allow_http": endpoint.startswith("http://")}
    if endpoint:
        _check(endpoint)
        config["endpoint"] = endpoint.rstrip("/")
    if settings.results_ca_file:
        options["root_certificate"] = _certificates(Path(settings.results_ca_file))
    return S3Store(parts.netloc, prefix=prefix or None, config=config, client_options=options, retry_config=_RETRY)


def _check(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise InvalidInput.of("results_endpoint", "must be a plain address: https://s3.example.org")


def _certificates(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InvalidInput.of("results_ca_file", "there is no such file") from None


def _told(error: Exception) -> Exception:
    """Return what to say of an error of the client; its own text holds addresses."""
    found = _CODE.search(str(error))
    code = found[1] if found else type(error).__name__.removesuffix("Error") if isinstance(error, BaseError) else ""
    if code in _FULL:
        return StorageFull("The result store has no space left.", hint="Tell an admin.")
    if code and code not in ("Generic", "InternalError", "SlowDown", "ServiceUnavailable"):
        return StoreAway(f"The result store refuses this platform ({code}).", hint="Tell an admin.")
    return unavailable()


@contextmanager
def _asking(*, writing: bool = False) -> Iterator[None]:
    """Turn what the client says into our own words.

    Args:
        writing: Nothing that is written can be missing but the bucket.
    """
    try:
        yield
    except FileNotFoundError as error:
        if writing or "NoSuchBucket" in str(error):
            raise _told(error) from error
        raise not_found() from None
    except (BaseError, OSError, ValueError) as error:
        raise _told(error) from error


class S3Results(Store):
    """Files by key, in a bucket.

    Args:
        bucket: Its client.
    """

    def __init__(self, bucket: S3Store) -> None:
        self._bucket = bucket

    def put(self, key: str, data: bytes) -> None:
        """As for every store."""
        self._put(key, lambda at: obstore.put(self._bucket, at, data, use_multipart=False))

    def put_file(self, key: str, source: Path) -> None:
        """As for every store; a large file goes in parts, which become an object with the last one."""
        with source.open("rb") as stream:
            self._put(
                key,
                lambda at: obstore.put(self._bucket, at, stream, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE),
            )

    def _put(self, key: str, send: Callable[[str], Any]) -> None:
        at = safe_path(key)
        with _asking(writing=True):
            send(at)

    def size(self, key: str) -> int:
        """As for every store."""
        at = safe_path(key)
        with _asking():
            return int(obstore.head(self._bucket, at)["size"])

    def exists(self, key: str) -> bool:
        """As for every store."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def chunks(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """As for every store."""
        at, size = safe_path(key), self.size(key)
        last = size if end is None else min(end, size)
        for begin in range(start, last, _BLOCK):
            with _asking():
                block = bytes(obstore.get_range(self._bucket, at, start=begin, end=min(begin + _BLOCK, last)))
            for offset in range(0, len(block), CHUNK):
                yield block[offset : offset + CHUNK]

    def every_key(self, below: str = "") -> list[str]:
        """As for every store."""
        prefix = f"{safe_path(below)}/" if below else None
        with _asking():
            return sorted(str(one["path"]) for page in obstore.list(self._bucket, prefix) for one in page)

    def open(self, key: str) -> tuple[int, IO[bytes]]:
        """As for every store."""
        with ExitStack() as undo:
            copy = undo.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
            for chunk in self.chunks(key):
                copy.write(chunk)
            size = copy.tell()
            copy.seek(0)
            undo.pop_all()  # whoever asked closes it
            return size, cast("IO[bytes]", copy)

    def delete(self, prefix: str) -> None:
        """As for every store."""
        at = safe_path(prefix)
        with _asking():
            below = [str(one["path"]) for page in obstore.list(self._bucket, f"{at}/") for one in page]
            obstore.delete(self._bucket, [at, *below])
