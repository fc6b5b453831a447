"""A real browser for the functional tests, and what it must never do."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.functional.conftest import Platform

SERVICE = "/services/workflows/"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 90_000.0  # milliseconds; the machine may be busy with other tests


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-component-update", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()


def picture_folder(temporary: pytest.TempPathFactory) -> Path:
    """Return where pictures are left: `HUB_EXT_PICTURES`, or a folder of the tests' own.

    Args:
        temporary: Makes that.
    """
    named = os.environ.get("HUB_EXT_PICTURES")
    folder = Path(named) if named else temporary.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# Event streams never end, so that "no more requests" would never come.
_ALL_PICTURES = """() => Promise.race([
  Promise.all([...document.images].filter((one) => !one.complete && one.getBoundingClientRect().top < innerHeight)
    .map((one) => new Promise((done) => { one.onload = one.onerror = done; }))).then(() => document.fonts.ready),
  new Promise((done) => setTimeout(done, 5000)),
])"""


class Visitor:
    """A person in front of a browser.

    Attributes:
        page: The page she looks at.
        foreign: Addresses outside of the platform that any page of hers asked for.
        refused: What the content policies of our own pages refused: our pages break none.
    """

    def __init__(self, context: BrowserContext, platform: Platform, pictures: Path) -> None:
        self.context = context
        self.platform = platform
        self.pictures = pictures
        self.foreign: list[str] = []
        self.refused: list[str] = []
        context.set_default_timeout(PATIENCE)
        context.on("request", self._asked)
        context.on("console", self._told)
        self.page: Page = context.new_page()

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.port != self.platform.port:
            self.foreign.append(request.url)

    def _told(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text and "/user/" not in self.page.url:
            self.refused.append(message.text)

    def sign_in(self, name: str) -> None:
        """Sign in, from the platform's address."""
        self.page.goto(self.platform.url)
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", self.platform.password)
        self.page.click("form [type=submit]")
        self.page.wait_for_url(f"**{SERVICE}")

    def go(self, path: str) -> None:
        """Open a page of the sharing service."""
        self.page.goto(f"{self.platform.url}{SERVICE}{path}")

    def picture(self, name: str, *, whole: bool = False) -> None:
        """Take a picture of what is seen, once its own pictures are there."""
        self.page.evaluate(_ALL_PICTURES)
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=whole)

    def run_id(self) -> str:
        """Return the id of the run that is shown."""
        self.page.wait_for_url(re.compile(rf"{SERVICE}r/r-[0-9a-z]+$"))
        return self.page.url.rpartition("/")[2]

    def wait_for_state(self, state: str) -> None:
        """Wait until the run that is shown has a state."""
        expect(self.page.locator("#run")).to_have_attribute("data-state", state)


@contextlib.contextmanager
def visiting(browser: Browser, platform: Platform, pictures: Path, **options: object) -> Iterator[Visitor]:
    """Open a browser window of its own: nothing of an earlier one is left in it."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})  # type: ignore[arg-type]
    try:
        yield Visitor(context, platform, pictures)
    finally:
        context.close()
