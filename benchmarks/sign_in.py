"""Sign-in: from the press of the button to the page of hub-ext, with a real OpenID Connect provider (`oidc-provider`).

Peer: the same provider alone, in turn with it and by the same client: the same forms, then the tokens and the claims,
without a Hub. No time of a person is in either.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from benchmarks.harness import show, summary
from tests.functional.conftest import Platform
from tests.functional.oidc.people import SERVICE, SignedIn
from tests.functional.oidc.provider import CLIENT, SECRET, OidcProvider

_SCOPES = ["openid", "profile", "offline_access"]


def sign_in(platform: Platform, provider: OidcProvider, name: str) -> float:
    """Sign somebody in, until her page is there; return the seconds."""
    person = SignedIn(platform)
    began = time.perf_counter()
    person.follow(person.http.get("/hub/oauth_login", params={"next": SERVICE}))
    person.at_provider(provider, name)
    took = time.perf_counter() - began
    if person.last.status_code != 200 or not str(person.last.request.url).endswith(SERVICE):
        message = f"{name} was not signed in: {person.last.status_code} {person.last.request.url}"
        raise RuntimeError(message)
    person.http.close()
    return took


def provider_alone(platform: Platform, provider: OidcProvider, name: str) -> float:
    """Do what is the provider's in a sign-in, and nothing else; return the seconds."""
    back, verifier = f"{platform.url}/hub/oauth_callback", secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": back, "scope": " ".join(_SCOPES),
        "state": secrets.token_urlsafe(), "nonce": secrets.token_urlsafe(), "prompt": "consent",
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    person = SignedIn(platform)
    began = time.perf_counter()
    person.follow(person.http.get(f"{provider.issuer}/auth?{urlencode(asked)}"))
    for _ in range(3):
        if person.visited[-1].startswith(back):
            break
        person.follow_form(name, until=back)
    (code,) = parse_qs(urlsplit(person.visited[-1]).query)["code"]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
    tokens = person.http.post(f"{provider.issuer}/token", data=body, auth=httpx.BasicAuth(*_quoted(CLIENT, SECRET)))
    tokens.raise_for_status()
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    claims = person.http.get(f"{provider.issuer}/me", headers=headers)
    took = time.perf_counter() - began
    if claims.json()["preferred_username"] != name:
        raise RuntimeError(claims.text)
    person.http.close()
    return took


def _quoted(*parts: str) -> tuple[str, str]:
    """Return name and secret of a client as the header wants them (RFC 6749, 2.3.1)."""
    name, secret = (urlencode({"": part})[1:] for part in parts)
    return name, secret


def _settings(provider: OidcProvider, folder: Path) -> dict[str, str]:
    secret = folder / "client-secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    return {
        "HUB_EXT_SIGN_IN_ISSUER": provider.issuer,
        "HUB_EXT_SIGN_IN_CLIENT_ID": CLIENT,
        "HUB_EXT_SIGN_IN_CLIENT_SECRET_FILE": str(secret),
        "HUB_EXT_SIGN_IN_SCOPES": json.dumps(_SCOPES),
        "HUB_EXT_SIGN_IN_PARAMETERS": json.dumps({"prompt": "consent"}),
        "HUB_EXT_SIGN_IN_GROUPS": json.dumps(["analysts"]),
    }


def main(folder: Path, pairs: int = 20) -> None:
    """Print the figures."""
    platform = Platform(folder / "state")
    provider = OidcProvider(folder / "provider", platform.url)
    ours: list[float] = []
    theirs: list[float] = []
    try:
        platform.settings = _settings(provider, folder)
        platform.start()
        for number in range(-2, pairs):  # the first two warm up both
            name = f"ann{number + 2}"
            provider.person(name, name, ("analysts",))
            took, alone = sign_in(platform, provider, name), provider_alone(platform, provider, name)
            if number >= 0:
                ours.append(took)
                theirs.append(alone)
    finally:
        platform.close()
        provider.close()
    figures: dict[str, object] = {
        "sign-in to page (s)": summary(ours),
        "provider alone (s)": summary(theirs),
        "ratio": summary([took / alone for took, alone in zip(ours, theirs, strict=True)]),
        "beyond the provider (s)": summary([took - alone for took, alone in zip(ours, theirs, strict=True)]),
        "pairs": pairs,
    }
    show("sign-in", figures, "sign-in to page <= 1.5 x the provider's own time")
