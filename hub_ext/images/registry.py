"""A registry (OCI distribution): read only, and trusting nothing that it answers.

What comes is bounded in size and time, and held against its digest. It is followed to no other host than those that the
enclave names: an answer must not make us ask around in our own network, nor carry a password elsewhere.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from hub_ext import __version__
from hub_ext.images.credentials import Credentials
from hub_ext.images.source import (
    LARGEST_MANIFEST,
    MOST_ATTACHED,
    Absent,
    Document,
    Named,
    Suffix,
    Unreachable,
    Wrong,
    check_digest,
    document,
    is_digest,
    read_json,
)

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_INDEX = "application/vnd.oci.image.index.v1+json"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_LARGEST_TOKEN = 64 * 1024  # bytes of an answer with a token
_PART = re.compile(r'([a-z]+)="([^"]*)"')  # of a challenge
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")


@dataclass(frozen=True)
class Reach:
    """Where a registry is, and whom else it may send us to.

    Attributes:
        host: Host and port.
        tls: Whether it is spoken to by TLS.
        others: Other hosts, always by TLS.
        within: Seconds for one question, with everything that it leads to.
    """

    host: str
    tls: bool = True
    others: frozenset[str] = frozenset()
    within: float = 20.0

    def allows(self, address: SplitResult) -> bool:
        """Return whether an address may be asked."""
        if address.netloc == self.host:
            return address.scheme == ("https" if self.tls else "http")
        return address.scheme == "https" and address.netloc in self.others


class Registry:
    """One registry.

    Args:
        reach: Where it is.
        credentials: Names and passwords, where it wants one.
    """

    def __init__(self, reach: Reach, credentials: Credentials | None = None) -> None:
        self._reach = reach
        self._credentials = credentials or Credentials({})
        self._http = httpx.Client(
            timeout=httpx.Timeout(min(10.0, reach.within)),
            follow_redirects=False,
            headers={"User-Agent": f"hub-ext/{__version__}", "Accept-Encoding": "identity"},
        )
        self._granted: dict[str, str] = {}  # name → what it is asked with

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    @property
    def where(self) -> str:
        """How it is called."""
        return self._reach.host

    # What a source does.

    def image(self, image: Named) -> Document:
        """Return the manifest, or index, of an image."""
        return self._by_digest(image, image.digest, "the image")

    def attached(self, image: Named, suffix: Suffix) -> list[Document]:
        """Return what cosign hung onto an image."""
        tag = f"sha256-{image.hash}.{suffix}"
        try:
            return [document(self._manifest(image, tag, f"its .{suffix}"), f"its .{suffix}")]
        except Absent:
            return []

    def referrers(self, image: Named) -> list[Document]:
        """Return the manifests that name an image as their subject, from a registry that lists them or by their tag."""
        try:
            path = f"/v2/{image.name}/referrers/{image.digest}"
            found = document(self._get(image.name, path, _INDEX, LARGEST_MANIFEST, "its referrers"), "its referrers")
        except Absent:
            try:
                found = document(self._manifest(image, f"sha256-{image.hash}", "its referrers"), "its referrers")
            except Absent:
                return []
        entries = [entry for entry in found.parts("manifests") if is_digest(entry.get("digest"))]
        return [self._by_digest(image, str(one["digest"]), "a referrer") for one in entries[:MOST_ATTACHED]]

    def blob(self, image: Named, digest: str, largest: int) -> bytes:
        """Return a content."""
        if not is_digest(digest):
            raise Wrong("a digest of another kind than sha256")
        what = f"the content {digest[:19]}…"
        content = self._get(image.name, f"/v2/{image.name}/blobs/{digest}", "*/*", largest, what)
        return check_digest(content, digest, what)

    def digest_of(self, host: str, name: str, tag: str) -> str:
        """Return the digest that a tag means now.

        Raises:
            SourceError: If there is no such tag.
        """
        found = document(self._manifest(Named(host, name, ""), tag, f"{name}:{tag}"), f"{name}:{tag}")
        if not found.parts("layers") and not found.parts("manifests"):
            raise Wrong(f"{name}:{tag} is no image")
        return found.digest

    def _by_digest(self, image: Named, digest: str, what: str) -> Document:
        return document(check_digest(self._manifest(image, digest, what), digest, what), what)

    def _manifest(self, image: Named, reference: str, what: str) -> bytes:
        return self._get(image.name, f"/v2/{image.name}/manifests/{reference}", _MANIFESTS, LARGEST_MANIFEST, what)

    # How it is asked.

    def _get(self, name: str, path: str, accept: str, largest: int, what: str) -> bytes:
        """Return what stands under a path.

        Raises:
            SourceError: If it does not.
        """
        deadline = time.monotonic() + self._reach.within
        url = f"{'https' if self._reach.tls else 'http'}://{self._reach.host}{path}"
        for _ in range(_MOST_REDIRECTS + 2):
            with self._ask(url, {"Accept": accept, **self._authorization(url, name)}) as answer:
                if answer.status_code == 401 and name not in self._granted:
                    self._granted[name] = self._grant(name, answer.headers.get_list("WWW-Authenticate"), deadline)
                    continue
                if answer.status_code in _REDIRECTS:
                    url = self._next(url, answer.headers.get("Location", ""), what)
                    continue
                return self._content(answer, largest, what, deadline)
        raise Wrong(f"{what}: {self._reach.host} sends us on and on")

    @contextmanager
    def _ask(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", url, headers=headers) as answer:
                yield answer
        except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self._reach.host} does not answer ({type(error).__name__})") from None

    def _content(self, answer: httpx.Response, largest: int, what: str, deadline: float) -> bytes:
        status = answer.status_code
        if status == 404:
            raise Absent(f"{what} is not in {self._reach.host}")
        if status in (401, 403):
            raise Unreachable(f"{self._reach.host} does not let us read {what}")
        if status != 200:
            raise Unreachable(f"{self._reach.host} answers {status} for {what}")
        found = bytearray()
        for chunk in answer.iter_raw():  # as it comes: a size would be waited for
            found += chunk
            if len(found) > largest:
                raise Wrong(f"{what} is larger than {largest} bytes")
            if time.monotonic() > deadline:
                raise Unreachable(f"{self._reach.host} takes longer than {self._reach.within:.0f} s for {what}")
        return bytes(found)

    def _next(self, url: str, location: str, what: str) -> str:
        """Return the address that we are sent to.

        Raises:
            Wrong: If it is at a host that the enclave does not name.
        """
        try:
            found = urljoin(url, location)
            allowed = self._reach.allows(urlsplit(found))
        except ValueError:
            allowed = False
        if not allowed:
            raise Wrong(f"{what}: {self._reach.host} sends us to another host, which the enclave does not name")
        return found

    def _authorization(self, url: str, name: str) -> dict[str, str]:
        """Return what the registry itself is asked with; no other host is told."""
        granted = self._granted.get(name, "")
        return {"Authorization": granted} if granted and urlsplit(url).netloc == self._reach.host else {}

    def _grant(self, name: str, challenges: list[str], deadline: float) -> str:
        """Return what a registry wants to be asked with, empty where nothing is known."""
        basic = self._credentials.basic(self._reach.host)
        for challenge in challenges:
            kind, _, rest = challenge.partition(" ")
            if kind.lower() == "basic" and basic:
                return basic
            if kind.lower() == "bearer":
                return self._bearer(name, dict(_PART.findall(rest)), basic, deadline)
        return ""

    def _bearer(self, name: str, parts: Mapping[str, str], basic: str, deadline: float) -> str:
        """Return the token of the place that a registry names for it."""
        realm = parts.get("realm", "")
        url = self._next(f"https://{self._reach.host}/", realm, "its token")
        query = httpx.QueryParams({"service": parts.get("service", ""), "scope": f"repository:{name}:pull"})
        headers = {"Authorization": basic} if basic else {}
        with self._ask(f"{url}{'&' if '?' in url else '?'}{query}", headers) as answer:
            content = self._content(answer, _LARGEST_TOKEN, "its token", deadline)
        said: dict[str, Any] = read_json(content, "its token")
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Wrong(f"{self._reach.host}: its token is none")
        return f"Bearer {token}"
