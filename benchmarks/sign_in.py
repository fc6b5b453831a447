"""Sign-in: from the press of the button to the page of hub-ext, with a real OpenID Connect provider (`oidc-provider`).

Peer: the least application that signs people in by the same provider (`relying_party`), in turn with ours and by the
same client: once a real browser (Debian's Chromium; each sign-in with an empty cache), once an HTTP client that runs no
script and loads no picture. Of the browser the time is its own: from each press until the page that follows is loaded,
summed over the button, the form and the consent; no time of a person, or of what steers the browser, is in it: what
looks into a page does so once that is loaded, since until then its scripts would take their turn among the page's own.
She presses the button, here and there, when its page is at rest: while she reads it ours loads ahead what the pages
behind it need, and nobody reads it in no time.
Each of them signs in for the first time, and then once more in another browser, as people do ever after.
Beside them the provider's own answers alone, without any application.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections import defaultdict
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from playwright.sync_api import Browser, Page

from benchmarks.harness import show, summary
from benchmarks.relying_party import SCOPES, RelyingParty
from tests.functional.browser import chromium
from tests.functional.conftest import Platform
from tests.functional.oidc.people import SERVICE, SignedIn
from tests.functional.oidc.provider import CLIENT, SECRET, OidcProvider

_OURS = "a[href*=oauth_login]"  # the button, in a browser
_BUTTON = re.compile(r'href="([^"]*/hub/oauth_login[^"]*)"')
# When the page that is there was loaded, since what led to it was pressed: redirects are in it.
_LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"


# With an HTTP client.


def sign_in(platform: Platform, provider: OidcProvider, name: str) -> float:
    """Sign in somebody who came to the page as nobody; return the seconds from the button to the page."""
    person = SignedIn(platform)
    button = _BUTTON.search(person.follow(person.http.get(SERVICE)).text)
    if button is None:
        raise RuntimeError("there is no button")
    took = _through(person, provider, name, unescape(button[1]))
    _check(person.last, SERVICE, name)
    person.http.close()
    return took


def least(party: RelyingParty, platform: Platform, provider: OidcProvider, name: str) -> float:
    """Do the same at the least application; return the seconds."""
    person = SignedIn(platform)
    took = _through(person, provider, name, party.button)
    _check(person.last, f"{party.url}/", name)
    person.http.close()
    return took


def _through(person: SignedIn, provider: OidcProvider, name: str, button: str) -> float:
    began = time.perf_counter()
    person.follow(person.http.get(button))
    person.at_provider(provider, name)
    return time.perf_counter() - began


def _check(answer: httpx.Response, page: str, name: str) -> None:
    if answer.status_code != 200 or not str(answer.request.url).endswith(page) or name not in answer.text:
        message = f"{name} was not signed in: {answer.status_code} {answer.request.url}"
        raise RuntimeError(message)


def provider_alone(platform: Platform, provider: OidcProvider, name: str) -> float:
    """Do what is the provider's in a sign-in, and nothing else; return the seconds."""
    back, verifier = f"{platform.url}/hub/oauth_callback", secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": back, "scope": " ".join(SCOPES),
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


# In a browser.


def browse(browser: Browser, start: str, button: str, page: str, name: str) -> float:
    """Sign somebody in, in a browser of her own; return the seconds that it took from each press to the next page.

    Args:
        browser: Makes it.
        start: Where she begins.
        button: What is pressed there.
        page: Where she has to arrive.
        name: Who signs in.
    """
    context = browser.new_context()
    seen = context.new_page()
    seen.goto(start, wait_until="networkidle")
    took = _press(seen, button, "input[name=login]")
    seen.fill("input[name=login]", name)
    seen.fill("input[name=password]", "anything")
    took += _press(seen, "[type=submit]", "input[name=prompt][value=consent]")
    took += _press(seen, "[type=submit]", "h1")
    if not seen.url.endswith(page) or name not in seen.content():
        message = f"{name} was not signed in: {seen.url}"
        raise RuntimeError(message)
    context.close()
    return took


def _press(seen: Page, what: str, then: str) -> float:
    """Press something, wait for what is on the page that follows, and return the seconds until that was loaded."""
    with seen.expect_event("load"):
        seen.click(what, no_wait_after=True)
    seen.wait_for_selector(then, state="attached")
    seen.wait_for_function(f"() => ({_LOADED})() > 0")
    return float(seen.evaluate(_LOADED)) / 1000


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
        "HUB_EXT_SIGN_IN_SCOPES": json.dumps(SCOPES),
        "HUB_EXT_SIGN_IN_PARAMETERS": json.dumps({"prompt": "consent"}),
        "HUB_EXT_SIGN_IN_GROUPS": json.dumps(["analysts"]),
    }


def main(folder: Path, pairs: int = 20) -> None:
    """Print the figures."""
    platform = Platform(folder / "state")
    provider = OidcProvider(folder / "provider", platform.url)
    party = RelyingParty(provider)
    found: dict[str, list[float]] = defaultdict(list)
    try:
        platform.settings = _settings(provider, folder)
        platform.start()
        with chromium() as browser:
            for number in range(-2, pairs):  # the first two warm up everything
                names = [f"ann{number + 2}{letter}" for letter in "abcde"]
                for name in names:
                    provider.person(name, name, ("analysts",))
                took = {
                    "ours": sign_in(platform, provider, names[0]),
                    "least": least(party, platform, provider, names[1]),
                    "alone": provider_alone(platform, provider, names[2]),
                }
                for again in ("", " again"):
                    took[f"browser{again}"] = browse(browser, platform.url + SERVICE, _OURS, SERVICE, names[3])
                    took[f"least in a browser{again}"] = browse(browser, party.url, "a", f"{party.url}/", names[4])
                for one, seconds in took.items():
                    found[one] += [seconds] if number >= 0 else []
    finally:
        platform.close()
        party.close()
        provider.close()
    figures: dict[str, object] = {
        **_in_a_browser(found, "for the first time", ""),
        **_in_a_browser(found, "again", " again"),
        "HTTP alone: sign-in to page (s)": summary(found["ours"]),
        "HTTP alone: the least application (s)": summary(found["least"]),
        "HTTP alone: ratio": _ratio(found["ours"], found["least"]),
        "HTTP alone: the provider's answers without any application (s)": summary(found["alone"]),
        "HTTP alone: ratio to them": _ratio(found["ours"], found["alone"]),
        "pairs": pairs,
    }
    show("sign-in", figures, "in a browser, both times, sign-in to page <= 1.5 x the same at the least application")


def _in_a_browser(found: dict[str, list[float]], when: str, which: str) -> dict[str, object]:
    ours, least = found[f"browser{which}"], found[f"least in a browser{which}"]
    return {
        f"in a browser, {when}: sign-in to page (s)": summary(ours),
        f"in a browser, {when}: the least application (s)": summary(least),
        f"in a browser, {when}: ratio": _ratio(ours, least),
    }


def _ratio(ours: list[float], theirs: list[float]) -> dict[str, float]:
    return summary([took / other for took, other in zip(ours, theirs, strict=True)])
