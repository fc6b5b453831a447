"""Tokens of a provider: each thing that must be so, changed alone, is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hub_ext.signin.tokens import LOGOUT_EVENT, Expected, TokenRefused, id_token_claims, logout_claims

ISSUER, CLIENT = "https://provider.example", "hub-ext"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
NOW = 1_800_000_000.0


def as_jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


KEYS = {"keys": [as_jwk(KEY, "one"), as_jwk(CURVE, "curve"), {"kty": "odd"}, "no key"]}
EXPECTED = Expected(ISSUER, CLIENT, KEYS, skew=60, now=NOW)


def id_token(key: Any = KEY, headers: dict[str, Any] | None = None, algorithm: str = "RS256", **changed: Any) -> str:
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": "7", "iat": NOW, "exp": NOW + 300, "nonce": "n"} | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": "one"} | (headers or {}))


def logout_token(**changed: Any) -> str:
    usual = {"nonce": None, "jti": "j", "events": {LOGOUT_EVENT: {}}, "sid": "s"}
    return id_token(headers={"typ": "logout+jwt"}, **(usual | changed))


def test_an_id_token_is_believed() -> None:
    assert id_token_claims(id_token(), EXPECTED, "n")["sub"] == "7"
    assert id_token_claims(id_token(CURVE, {"kid": "curve"}, "ES256"), EXPECTED, "n")["sub"] == "7"
    assert id_token_claims(id_token(aud=[CLIENT, "x"], azp=CLIENT), EXPECTED, "n")["sub"] == "7"
    assert id_token_claims(id_token(nonce=None), EXPECTED, None)["sub"] == "7"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"iss": "https://other.example"}, "another provider"),
        ({"iss": ISSUER + "/"}, "another provider"),
        ({"iss": None}, "another provider"),
        ({"aud": "other"}, "another application"),
        ({"aud": None}, "another application"),
        ({"aud": [CLIENT, "x"]}, "other applications"),
        ({"azp": "x"}, "another application"),
        ({"exp": NOW - 61}, "has ended"),
        ({"exp": None}, "says no exp"),
        ({"exp": "soon"}, "says no exp"),
        ({"iat": None}, "says no iat"),
        ({"iat": NOW - 600}, "differ by 600 seconds"),
        ({"iat": NOW + 600}, "differ by 600 seconds"),
        ({"nbf": NOW + 61}, "not good yet"),
        ({"nonce": "other"}, "not the answer"),
        ({"nonce": None}, "not the answer"),
        ({"sub": None}, "whose it is"),
        ({"sub": ""}, "whose it is"),
        ({"sub": "x" * 256}, "whose it is"),
    ],
)
def test_each_claim_has_to_be_right(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(TokenRefused, match=words):
        id_token_claims(id_token(**changed), EXPECTED, "n")


def test_clocks_may_differ_as_far_as_is_set() -> None:
    late = Expected(ISSUER, CLIENT, KEYS, skew=700, now=NOW)
    assert id_token_claims(id_token(iat=NOW + 600, exp=NOW + 900), late, "n")
    assert id_token_claims(id_token(iat=NOW - 600, exp=NOW - 300), late, "n")


def test_a_signature_of_anybody_else_is_refused() -> None:
    for forged in (id_token(OTHER), id_token(OTHER, {"kid": "two"}), id_token(headers={"kid": "two"})):
        with pytest.raises(TokenRefused) as caught:
            id_token_claims(forged, EXPECTED, "n")
        assert caught.value.unknown_key


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512"])
def test_no_signature_and_a_shared_secret_are_refused(algorithm: str) -> None:
    forged = id_token("" if algorithm == "none" else "hub-ext-secret-of-some-length-that-is-long", algorithm=algorithm)
    with pytest.raises(TokenRefused, match="not accepted"):
        id_token_claims(forged, EXPECTED, "n")


def test_only_the_ways_that_the_provider_names_are_accepted() -> None:
    narrow = Expected(ISSUER, CLIENT, KEYS, now=NOW, algorithms=("ES256",))
    with pytest.raises(TokenRefused, match="not accepted"):
        id_token_claims(id_token(), narrow, "n")


def test_a_key_for_something_else_is_not_used() -> None:
    for more in ({"use": "enc"}, {"alg": "RS512"}):
        expected = Expected(ISSUER, CLIENT, {"keys": [as_jwk(KEY, "one", **more)]}, now=NOW)
        with pytest.raises(TokenRefused, match="no key"):
            id_token_claims(id_token(), expected, "n")


@pytest.mark.parametrize("token", [None, 7, "", "x", "a.b.c", "x" * 100_000, "e30.e30.e30", b"bytes"])
def test_what_is_no_token_is_refused(token: Any) -> None:
    for verify in (lambda: id_token_claims(token, EXPECTED, "n"), lambda: logout_claims(token, EXPECTED)):
        with pytest.raises(TokenRefused):
            verify()


def test_a_logout_token_is_believed() -> None:
    assert logout_claims(logout_token(), EXPECTED)["sub"] == "7"
    assert logout_claims(logout_token(sub=None), EXPECTED)["sid"] == "s"
    assert logout_claims(logout_token(sid=None, exp=None), EXPECTED)["sub"] == "7"
    assert logout_claims(logout_token(aud=["x", CLIENT]), EXPECTED)["sub"] == "7"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"iss": "https://other.example"}, "another provider"),
        ({"aud": "other"}, "another application"),
        ({"iat": NOW - 400}, "too old"),
        ({"iat": NOW + 100}, "not of now"),
        ({"iat": None}, "says no iat"),
        ({"exp": NOW - 100}, "has ended"),
        ({"events": None}, "no logout token"),
        ({"events": {}}, "no logout token"),
        ({"events": {LOGOUT_EVENT: "yes"}}, "no logout token"),
        ({"events": {"http://other.example": {}}}, "no logout token"),
        ({"nonce": "n"}, "no nonce"),
        ({"jti": None}, "no identifier"),
        ({"jti": ""}, "no identifier"),
        ({"sub": None, "sid": None}, "who has left"),
        ({"sub": ["7"]}, "cannot be"),
        ({"sid": ""}, "cannot be"),
    ],
)
def test_each_claim_of_a_logout_token_has_to_be_right(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(TokenRefused, match=words):
        logout_claims(logout_token(**changed), EXPECTED)


def test_one_kind_of_token_is_not_taken_for_the_other() -> None:
    with pytest.raises(TokenRefused):
        logout_claims(id_token(), EXPECTED)
    with pytest.raises(TokenRefused, match="another kind"):
        id_token_claims(logout_token(nonce="n"), EXPECTED, "n")
    with pytest.raises(TokenRefused, match="another kind"):
        logout_claims(id_token(headers={"typ": "at+jwt"}, jti="j", events={LOGOUT_EVENT: {}}, nonce=None), EXPECTED)


def test_the_time_is_the_clock_s() -> None:
    assert abs(Expected(ISSUER, CLIENT, KEYS).time - time.time()) < 5
