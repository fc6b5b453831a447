"""The menus of the bar: their script comes when somebody reaches for one; a press that was quicker counts.

The home page's own scripts come once it is drawn: what is pressed before counts as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.functional.browser import Visitor, visiting
from tests.functional.conftest import Platform

pytestmark = [
    pytest.mark.functional,
    pytest.mark.browser,
    pytest.mark.xdist_group("platform"),
    pytest.mark.timeout(300),
]

SCRIPT = "**/bootstrap.bundle.min.js"


@pytest.fixture
def mona(platform: Platform, browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """Somebody on her home page."""
    with visiting(browser, platform, tmp_path) as visitor:
        visitor.sign_in("mona")
        yield visitor
        assert visitor.refused == []


def opened(visitor: Visitor) -> None:
    """See that her menu is open."""
    expect(visitor.page.get_by_role("link", name="Sign out")).to_be_visible()


def test_a_page_does_without_the_script_until_somebody_points_at_a_menu(mona: Visitor) -> None:
    asked: list[str] = []
    mona.page.on("request", lambda request: asked.append(request.url))
    mona.page.reload()
    expect(mona.page.get_by_role("heading", name="Continue")).to_be_visible()
    assert [one for one in asked if "bootstrap" in one] == []
    mona.page.get_by_role("button", name="mona").click()
    opened(mona)
    assert len([one for one in asked if "bootstrap" in one]) == 1


def test_a_press_that_was_quicker_than_the_script_counts(mona: Visitor) -> None:
    mona.page.evaluate("document.querySelector('.dropdown-toggle').click()")  # no pointer came near before
    opened(mona)


def test_a_menu_opens_by_keyboard(mona: Visitor) -> None:
    mona.page.get_by_role("button", name="mona").press("Enter")
    opened(mona)
    mona.page.keyboard.press("Escape")
    expect(mona.page.get_by_role("link", name="Sign out")).to_be_hidden()


def test_on_a_narrow_screen_the_navigation_opens_and_closes(mona: Visitor) -> None:
    mona.page.set_viewport_size({"width": 360, "height": 740})
    link = mona.page.get_by_role("link", name="Gallery", exact=True).first
    expect(link).to_be_hidden()
    mona.page.get_by_role("button", name="Menu").click()
    expect(link).to_be_visible()
    expect(mona.page.locator("#nav.collapsing")).to_have_count(0)
    mona.page.get_by_role("button", name="Menu").click()
    expect(link).to_be_hidden()


def test_a_script_that_does_not_come_is_told_and_comes_at_the_next_press(mona: Visitor) -> None:
    mona.page.route(SCRIPT, lambda route: route.abort())
    mona.page.get_by_role("button", name="mona").click()
    expect(mona.page.get_by_role("alert")).to_contain_text("The menu could not be loaded.")
    mona.page.unroute(SCRIPT)
    mona.page.get_by_role("button", name="mona").click()
    opened(mona)


@pytest.mark.parametrize("script", ["**/htmx.min.js", "**/page.js"])
def test_a_press_before_the_scripts_of_the_home_page_are_there_counts(mona: Visitor, script: str) -> None:
    mona.page.wait_for_function("() => Boolean(window.htmx)")  # what this page asks for is asked for
    held: list[Route] = []
    mona.page.route(script, lambda route: held.append(route))
    with mona.page.expect_event("request", lambda request: request.url.endswith(script.removeprefix("**"))):
        mona.page.reload()  # that it is loaded needs none of them
    mona.page.get_by_role("button", name="mona").click()
    expect(mona.page.get_by_role("link", name="Sign out")).to_be_hidden()
    held[0].continue_()
    opened(mona)


def test_a_home_page_whose_scripts_do_not_come_can_be_used(mona: Visitor) -> None:
    with mona.page.expect_event("requestfailed", lambda request: request.url.endswith("page.js")):
        mona.page.route("**/*.js", lambda route: route.abort())
        mona.page.reload()
    mona.page.get_by_role("link", name="Gallery", exact=True).first.click()
    expect(mona.page).to_have_url(re.compile(r"/gallery$"))
