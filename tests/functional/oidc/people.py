"""Somebody in front of the provider's pages, without a browser: as quick as HTTP, and every address is seen."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urljoin

import httpx
from playwright.sync_api import Page, expect

from tests.functional.conftest import Platform
from tests.functional.oidc.provider import OidcProvider

SERVICE = "/services/workflows/"
API = f"{SERVICE}api/v1/"


class SignedIn:
    """A browser-like client, and what it was led through.

    Attributes:
        http: The client, with its cookies; it follows no redirect by itself.
        visited: Every address that it was led to.
        last: The answer that it ended with.
    """

    opened: ClassVar[list[httpx.Client]] = []  # closed with the platform

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.http = httpx.Client(base_url=platform.url, trust_env=False, timeout=60)
        self.visited: list[str] = []
        self.last: httpx.Response = httpx.Response(0)
        self.opened.append(self.http)

    @classmethod
    def by_provider(cls, platform: Platform, provider: OidcProvider, sub: str, then: str = SERVICE) -> SignedIn:
        """Sign in: go where a browser is led, and fill in what it is asked."""
        found = cls(platform)
        found.follow(found.http.get("/hub/oauth_login", params={"next": then}))
        found.at_provider(provider, sub)
        return found

    def at_provider(self, provider: OidcProvider, sub: str) -> None:
        """Fill in the provider's forms until it leads back."""
        for _ in range(3):
            if not str(self.last.request.url).startswith(provider.issuer) or self.last.status_code != 200:
                return
            self.follow_form(sub)

    def follow_form(self, sub: str, until: str = "") -> None:
        """Fill in the form of the provider that is shown: to sign in, or to consent."""
        action = re.search(r'action="([^"]+)"', self.last.text)
        prompt = re.search(r'name="prompt" value="([^"]+)"', self.last.text)
        assert action, self.last.text
        assert prompt, self.last.text
        fields = {"prompt": prompt[1]} | ({"login": sub, "password": "x"} if prompt[1] == "login" else {})
        self.follow(self.http.post(urljoin(str(self.last.request.url), action[1]), data=fields), until)

    def follow(self, answer: httpx.Response, until: str = "") -> httpx.Response:
        """Go where one is led; stop before an address that begins with `until`."""
        while answer.is_redirect:
            self.visited.append(urljoin(str(answer.request.url), answer.headers["location"]))
            if until and self.visited[-1].startswith(until):
                break
            answer = self.http.get(self.visited[-1])
        self.last = answer
        return answer

    @property
    def said(self) -> str:
        """The text of the last page, without its markup."""
        return re.sub(r"\s+", " ", re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", self.last.text, flags=re.DOTALL))

    @property
    def inside(self) -> bool:
        """Whether she is signed in at the service now."""
        return self.get("runs").status_code == 200

    @property
    def at_hub(self) -> bool:
        """Whether the Hub knows her now: without what the service believes for half a minute."""
        return self.http.get("/hub/api/user").status_code == 200

    def get(self, path: str) -> httpx.Response:
        """Ask the service's API something."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask the service's API to do something."""
        token = self.http.cookies.get("_xsrf", path=SERVICE) or ""
        return self.http.request(method, f"{API}{path}", json=body, headers={"X-XSRFToken": token})

    def hub(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask the Hub's API something."""
        page = self.http.get("/hub/token").text
        token = re.search(r'xsrf_token: "([^"]+)"', page)
        return self.http.request(
            method, f"/hub/api/{path}", json=body, headers={"X-XSRFToken": token[1] if token else ""}
        )


def through_the_provider(page: Page, sub: str) -> None:
    """Fill in, in a browser, what the provider asks."""
    page.fill("input[name=login]", sub)
    page.fill("input[name=password]", "anything")
    page.click("[type=submit]")
    expect(page.locator("body")).to_contain_text("offline_access")  # what is asked for, to be consented to
    page.click("[type=submit]")
