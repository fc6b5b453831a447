"""The provider, as the Hub asks it: what it says of itself, its keys, tokens, and what it says of people."""

from __future__ import annotations

import ipaddress
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from hub_ext.errors import InvalidInput
from hub_ext.signin.tokens import ALGORITHMS

_PATH = "/.well-known/openid-configuration"
_GOOD_FOR = 3600.0  # seconds that what a provider says of itself is believed
_AT_MOST = 86_400.0  # the same while it does not answer
_KEYS_GOOD_FOR = 300.0  # the same of its keys: one that it takes back is not believed for long
_KEYS_AGAIN = 10.0  # least seconds between two looks at its keys, whatever tokens somebody sends
_TIME = aiohttp.ClientTimeout(total=12.0, connect=4.0, sock_read=8.0)
_KEPT = 1.0  # seconds that an unused connection stays: the two questions of a sign-in share it, and none is stale
_AT_ONCE = 16
_LONGEST = 2**20
_CODES = frozenset("abcdefghijklmnopqrstuvwxyz_")


class ProviderAway(Exception):
    """The provider does not answer, or not with what it should.

    Args:
        why: For the log; holds no token, no secret and nothing of an answer.
    """


class ProviderRefused(Exception):
    """The provider answers, and refuses.

    Args:
        status: HTTP status.
        code: Its code of the error (RFC 6749), empty when it gave none that can be shown.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".strip())
        self.status = status
        self.code = code


# What a refusal says of the platform, not of the person that it asked about (RFC 6749, 5.2).
NOT_ABOUT_HER = frozenset({"invalid_client", "unauthorized_client", "temporarily_unavailable"})


@dataclass(frozen=True)
class Metadata:
    """What a provider says of itself.

    Attributes:
        authorization: Where people sign in.
        token: Where codes and refresh tokens become tokens.
        keys: Where its keys are.
        userinfo: Where it says more of people; empty: nowhere.
        end_session: Where people sign out; empty: nowhere.
        names_itself: It says in each answer who it is (RFC 9207).
        algorithms: How it signs ID tokens; empty: it does not say.
        basic: It takes the client's secret in a header alone.
    """

    authorization: str
    token: str
    keys: str
    userinfo: str = ""
    end_session: str = ""
    names_itself: bool = False
    algorithms: tuple[str, ...] = ()
    basic: bool = False


def check_issuer(text: str) -> str:
    """Return the address of a provider.

    Args:
        text: As it was set.

    Raises:
        InvalidInput: If it cannot be one; the message names the setting.
    """
    parts = urlsplit(text)
    if not text.isascii() or any(one.isspace() for one in text) or parts.query or parts.fragment or parts.username:
        raise InvalidInput.of("sign_in_issuer", "must be a plain address: no space, query, fragment or user")
    if not _is_safe(text):
        raise InvalidInput.of("sign_in_issuer", "must begin with https:// (http:// is for this machine alone)")
    return text


def _is_safe(url: object) -> bool:
    """Return whether secrets may be sent to an address: by TLS, or to this machine itself."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Provider:
    """A provider. Nothing is asked of it before it is needed, so that a Hub starts without it.

    Args:
        issuer: Its address.
        ca_file: File with certificates that its own may be signed by; empty: those of the system.
    """

    def __init__(self, issuer: str, ca_file: str = "") -> None:
        self.issuer = issuer
        self._ca_file = ca_file
        self._client: aiohttp.ClientSession | None = None
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, dict[str, Any]] | None = None

    # What it says of itself.

    async def metadata(self) -> Metadata:
        """Return what the provider says of itself.

        Raises:
            ProviderAway: If it does not say so, or not what it must.
        """
        known, at = self._metadata, time.monotonic()
        if known and at - known[0] < _GOOD_FOR:
            return known[1]
        try:
            found = _read_metadata(await self._get(self.issuer.rstrip("/") + _PATH), self.issuer)
        except (ProviderAway, ProviderRefused) as error:
            if known and at - known[0] < _AT_MOST:
                return known[1]
            if isinstance(error, ProviderRefused):
                raise ProviderAway(f"it does not say where it signs people in ({error})") from None
            raise
        self._metadata = (at, found)
        return found

    async def keys(self, *, again: bool = False) -> dict[str, Any]:
        """Return the keys that it signs with.

        Args:
            again: Ask anew: a token is signed by a key that is not among those known.

        Raises:
            ProviderAway: If it does not say.
        """
        known, at = self._keys, time.monotonic()
        if known and at - known[0] < (_KEYS_AGAIN if again else _KEYS_GOOD_FOR):
            return known[1]
        try:
            found = await self._get((await self.metadata()).keys)
        except ProviderRefused as error:
            raise ProviderAway(f"it does not show its keys ({error})") from None
        if not isinstance(found.get("keys"), list):
            raise ProviderAway("what it shows as its keys are none")
        self._keys = (at, found)
        return found

    # What it is asked.

    async def tokens(self, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the tokens that a code, or a refresh token, is good for.

        Args:
            form: What is sent.
            headers: Headers that say who asks.

        Raises:
            ProviderRefused: If it gives none.
            ProviderAway: If it does not answer.
        """
        address = (await self.metadata()).token
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        found = await self._fetch("POST", address, headers, urlencode(form).encode())
        if not isinstance(found.get("access_token"), str) or not found["access_token"]:
            raise ProviderAway("it answered without a token")
        return found

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        """Return what it says of the person whose token this is; empty where it says nothing at such an address.

        Raises:
            ProviderRefused: If the token is good no more.
            ProviderAway: If it does not answer.
        """
        address = (await self.metadata()).userinfo
        return await self._get(address, {"Authorization": f"Bearer {access_token}"}) if address else {}

    async def close(self) -> None:
        """Close what is open to it."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await self._fetch("GET", url, headers or {})

    async def _fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> dict[str, Any]:
        """Ask, and return an object; nothing of request or answer is ever in an error or a log."""
        try:
            status, text = await self._answer(method, url, {**headers, "Accept": "application/json"}, body)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise ProviderAway(f"it cannot be reached ({type(error).__name__})") from None
        if status >= 500 or status == 429:
            raise ProviderAway(f"it answered {status}")
        found = _object_in(text)
        if status >= 400:
            code = str((found or {}).get("error", ""))
            raise ProviderRefused(status, code if len(code) <= 40 and set(code) <= _CODES else "")
        if status != 200 or found is None:
            raise ProviderAway(f"it answered {status} with something that is not what was asked for")
        return found

    async def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        asked = self._http().request(method, url, headers=headers, data=body, allow_redirects=False)
        async with asked as response:  # a redirect would carry a secret elsewhere
            found = bytearray()
            async for part in response.content.iter_any():
                found += part
                if len(found) > _LONGEST:
                    raise ValueError("too long")
            return response.status, bytes(found)

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None:
            trusted = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
            # The system's resolver, as everything else uses it; and no cookies: those of one person are no other's.
            connector = aiohttp.TCPConnector(
                ssl=trusted, limit=_AT_ONCE, keepalive_timeout=_KEPT, resolver=aiohttp.ThreadedResolver()
            )
            self._client = aiohttp.ClientSession(
                connector=connector, timeout=_TIME, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._client


def _object_in(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _read_metadata(found: Mapping[str, Any], issuer: str) -> Metadata:
    """Return the parts that are needed.

    Raises:
        ProviderAway: If one is missing, lies elsewhere than behind TLS, or another provider speaks.
    """
    if found.get("issuer") != issuer:
        raise ProviderAway("it calls itself otherwise than sign_in_issuer does; the two must be equal to the letter")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not _is_safe(found.get(name)):
            raise ProviderAway(f"its {name} is missing, or not behind TLS")
    for name in ("userinfo_endpoint", "end_session_endpoint"):
        if found.get(name) is not None and not _is_safe(found[name]):
            raise ProviderAway(f"its {name} is not behind TLS")
    says = found.get("id_token_signing_alg_values_supported")
    algorithms = tuple(one for one in says if one in ALGORITHMS) if isinstance(says, list) else ()
    if isinstance(says, list) and not algorithms:
        raise ProviderAway("it signs ID tokens in no way that is accepted here")
    methods = found.get("token_endpoint_auth_methods_supported")
    return Metadata(
        authorization=str(found["authorization_endpoint"]),
        token=str(found["token_endpoint"]),
        keys=str(found["jwks_uri"]),
        userinfo=str(found.get("userinfo_endpoint") or ""),
        end_session=str(found.get("end_session_endpoint") or ""),
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        algorithms=algorithms,
        basic=not isinstance(methods, list) or "client_secret_basic" in methods,
    )
