"""Tokens that a provider signed: ID tokens and logout tokens, verified fully. Pure but for `jwt`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

# Asymmetric alone: with a shared secret, or none, whoever knows the client's secret could make tokens.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_AGE = 300  # seconds that a logout token is good for
_LONGEST = 64_000  # characters of a token that are looked at
_USUAL_TOLERANCE = 60
# The library checks the signature; the claims are checked here, with words for each.
_SIGNATURE_ALONE: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class TokenRefused(Exception):
    """A token that is not believed.

    Args:
        why: For the log and for the person; holds nothing of the token.
        unknown_key: Whether another look at the provider's keys may help.
    """

    def __init__(self, why: str, *, unknown_key: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.unknown_key = unknown_key


@dataclass(frozen=True)
class Expected:
    """What every token of a provider must say.

    Attributes:
        issuer: Who makes it.
        client_id: For whom it is.
        keys: The provider's keys (a JWKS).
        skew: Seconds that its clock and ours may differ.
        algorithms: Those that the provider says it signs with; empty: it does not say.
        now: The time, in seconds since 1970; None for the present.
    """

    issuer: str
    client_id: str
    keys: Mapping[str, Any]
    skew: int = _USUAL_TOLERANCE
    algorithms: tuple[str, ...] = ()
    now: float | None = None

    @property
    def time(self) -> float:
        """The time that tokens are held against."""
        return time.time() if self.now is None else self.now


def id_token_claims(token: object, expected: Expected, nonce: str | None, *, fresh: bool = True) -> dict[str, Any]:
    """Return the claims of an ID token.

    Args:
        token: The token.
        expected: What it must say.
        nonce: What the sign-in sent; None for a token of a refresh, which need not hold one.
        fresh: It was made just now, so its time of making is the provider's clock.

    Raises:
        TokenRefused: If anything of it is not as it must be.
    """
    claims = _verified(token, expected, ("JWT",))
    _check_audience(claims, expected)
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
        raise TokenRefused("it was made for other applications, too")
    issued, ends = _number(claims, "iat"), _number(claims, "exp")
    if fresh and abs(issued - expected.time) > expected.skew:
        difference = round(abs(issued - expected.time))
        raise TokenRefused(f"the clocks of the provider and of this platform differ by {difference} seconds")
    if ends + expected.skew <= expected.time:
        raise TokenRefused("the ID token has ended")
    if nonce is not None and claims.get("nonce") != nonce:
        raise TokenRefused("the ID token is not the answer to this sign-in")
    if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255:
        raise TokenRefused("the ID token does not say whose it is")
    return claims


def logout_claims(token: object, expected: Expected) -> dict[str, Any]:
    """Return the claims of a logout token (OpenID Connect Back-Channel Logout, 2.4 and 2.6).

    Args:
        token: The token.
        expected: What it must say.

    Raises:
        TokenRefused: If anything of it is not as it must be.
    """
    claims = _verified(token, expected, ("JWT", "logout+jwt"))
    _check_audience(claims, expected)
    age = expected.time - _number(claims, "iat")
    if not -expected.skew <= age <= _LOGOUT_AGE + expected.skew:
        raise TokenRefused("the logout token is too old, or not of now")
    if "exp" in claims and _number(claims, "exp") + expected.skew <= expected.time:
        raise TokenRefused("the logout token has ended")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise TokenRefused("it is no logout token")
    if "nonce" in claims:
        raise TokenRefused("a logout token has no nonce: this is another token")
    if not isinstance(claims.get("jti"), str) or not 0 < len(claims["jti"]) <= 1000:
        raise TokenRefused("the logout token has no identifier")
    for name in ("sub", "sid"):
        if name in claims and not (isinstance(claims[name], str) and 0 < len(claims[name]) <= 255):
            raise TokenRefused(f"the {name} of the logout token cannot be")
    if "sub" not in claims and "sid" not in claims:
        raise TokenRefused("the logout token does not say who has left")
    return claims


def _verified(token: object, expected: Expected, types: tuple[str, ...]) -> dict[str, Any]:
    """Return the claims of a token whose signature is the provider's; nothing else of them is checked here."""
    if not isinstance(token, str) or not 0 < len(token) <= _LONGEST:
        raise TokenRefused("there is no token")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise TokenRefused("it is no signed token") from None
    algorithm = header.get("alg")
    if algorithm not in (expected.algorithms or ALGORITHMS) or algorithm not in ALGORITHMS:
        raise TokenRefused("it is signed in a way that is not accepted")
    kind = header.get("typ")
    if kind is not None and str(kind).lower().removeprefix("application/") not in {one.lower() for one in types}:
        raise TokenRefused("it is a token of another kind")
    for key in _keys_for(expected.keys, header):
        try:
            return jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ALONE)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError):
            raise TokenRefused("it is no signed token") from None
    raise TokenRefused("no key of the provider made its signature", unknown_key=True)


def _keys_for(keys: Mapping[str, Any], header: Mapping[str, Any]) -> list[jwt.PyJWK]:
    """Return the keys that may have made a signature: that of its name, or where it names none, all of its kind."""
    found = []
    for one in keys.get("keys", ()):
        if not isinstance(one, dict) or one.get("use", "sig") != "sig":
            continue
        if "kid" in header and one.get("kid") != header["kid"]:
            continue
        if one.get("alg", header["alg"]) != header["alg"]:
            continue
        try:
            found.append(jwt.PyJWK(one, header["alg"]))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue  # a key of another kind
    return found


def _check_audience(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenRefused("another provider made it")
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or expected.client_id not in named:
        raise TokenRefused("it was made for another application")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise TokenRefused("it was made for another application")
    if "nbf" in claims and _number(claims, "nbf") - expected.skew > expected.time:
        raise TokenRefused("it is not good yet")


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise TokenRefused(f"it says no {name}")
    return float(value)
