"""Sign-in by a real provider in a real browser: to the page that was asked for, with consent, and out of everything."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.functional.browser import SERVICE, Visitor, visiting
from tests.functional.oidc.conftest import World
from tests.functional.oidc.people import through_the_provider

pytestmark = [
    pytest.mark.functional,
    pytest.mark.browser,
    pytest.mark.timeout(300),
]


@pytest.fixture
def visitor(world: World, browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """Somebody with a new browser; HUB_EXT_PICTURES keeps what she saw."""
    pictures = Path(os.environ.get("HUB_EXT_PICTURES", tmp_path))
    with visiting(browser, world.platform, pictures) as found:
        # The provider's own pages want a font from elsewhere.
        found.context.route(re.compile("googleapis"), lambda route: route.abort())
        yield found


def test_from_a_link_through_the_provider_to_its_page_and_out_of_everything(world: World, visitor: Visitor) -> None:
    world.person("bea", "Bea.Brook", ("analysts", "data-auditors"))
    page = visitor.page
    visitor.go("audit")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    visitor.picture("sign-in")
    page.click("#login_submit")
    through_the_provider(page, "bea")
    page.wait_for_url(f"**{SERVICE}audit")
    expect(page.locator("body")).to_contain_text("person.sign_in")
    expect(page.locator("body")).to_contain_text("bea.brook")

    page.goto(f"{world.platform.url}/hub/logout")
    expect(page.get_by_role("heading", name="You are signed out here")).to_be_visible()
    visitor.picture("signed-out")
    # At the provider she is signed in still: a second sign-in asks for consent alone.
    visitor.go("runs")
    page.click("#login_submit")
    page.click("[type=submit]")
    page.wait_for_url(f"**{SERVICE}runs")

    page.goto(f"{world.platform.url}/hub/logout")
    page.click("#everywhere")
    page.click("button[value=yes]")
    page.wait_for_url("**/hub/login**")
    page.click("#login_submit")
    expect(page.locator("input[name=login]")).to_be_visible()


def test_whoever_does_not_consent_is_told_and_nothing_more(world: World, visitor: Visitor) -> None:
    world.person("col")
    page = visitor.page
    visitor.go("runs")
    page.click("#login_submit")
    page.fill("input[name=login]", "col")
    page.fill("input[name=password]", "anything")
    page.click("[type=submit]")
    page.click("text=Cancel")
    expect(page.locator("body")).to_contain_text("The sign-in was ended at the provider")
    visitor.picture("not-consented")
    visitor.go("runs")
    expect(page.locator("#login_submit")).to_be_visible()


def test_on_a_small_screen_and_with_the_keyboard(world: World, browser: Browser, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("HUB_EXT_PICTURES", tmp_path))
    small = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    with visiting(browser, world.platform, pictures, **small) as visitor:
        visitor.go("runs")
        page = visitor.page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        visitor.picture("sign-in-small")
        page.locator("#login_submit").focus()
        page.keyboard.press("Enter")
        expect(page.locator("input[name=login]")).to_be_visible()
