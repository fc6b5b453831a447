"""The whole way of access in real browsers: signed in by a real provider, asked, granted, used up to the budget, ended,
stopped, read by an auditor.

The clock is moved as a platform's own clock moves: what counts is the latest time that it agreed on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from hub_ext.db.session import Database
from hub_ext.db.tables import ServerStart
from tests.functional.browser import SERVICE, Visitor, picture_folder, visiting
from tests.functional.clock import forward
from tests.functional.conftest import Platform
from tests.functional.oidc.conftest import World
from tests.functional.oidc.people import through_the_provider
from tests.functional.owned import API, owned_profile

pytestmark = [
    pytest.mark.functional,
    pytest.mark.browser,
    pytest.mark.timeout(900),
]

PEOPLE = {"ann": (), "olga": (), "cleo": ("data-curators",), "aude": ("data-auditors",)}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform with a curator, an auditor, and a profile that olga keeps and no group may use."""
    found = World(tmp_path_factory.mktemp("town"), HUB_EXT_ENTITLEMENT_GRACE="10")
    try:
        found.platform.start()
        for name, groups in {**PEOPLE, "admin": ("platform", "data-curators")}.items():
            found.person(name, groups=("analysts", *groups))
            found.give_token(name)
        owned_profile(found.platform, "models", "olga", title="Models", by="cleo", extensions=2)
        yield found
    finally:
        found.close()


def sign_in(visitor: Visitor, sub: str) -> None:
    """Sign in by the provider, from the platform's address."""
    visitor.context.route(re.compile("googleapis"), lambda route: route.abort())  # a font of the provider's own pages
    page = visitor.page
    page.goto(visitor.platform.url)
    page.click("#login_submit")
    through_the_provider(page, sub)
    page.wait_for_url(f"**{SERVICE}")
    visitor.foreign.clear()


def until(look: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.2)
    return found


def test_the_day(town: World, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    platform, pictures = town.platform, picture_folder(tmp_path_factory)
    with ExitStack() as stack:
        ann, olga, cleo, aude = (stack.enter_context(visiting(browser, platform, pictures)) for _ in PEOPLE)
        for visitor, name in zip((ann, olga, cleo, aude), PEOPLE, strict=True):
            sign_in(visitor, name)
        ask(ann)
        grant(olga, ann)
        start(ann)
        reach_the_budget(ann, cleo)
        keep_it(ann, platform)
        lose_it(ann, platform)
        read_all_of_it(aude)
        for visitor in (ann, olga, cleo, aude):
            assert visitor.foreign == []
            assert visitor.refused == []


def card_of(visitor: Visitor, server: str = "") -> Locator:
    page = visitor.page
    page.goto(f"{visitor.platform.url}/hub/spawn{f'/ann/{server}' if server else ''}")
    return page.locator("section", has=page.get_by_role("heading", name="Models"))


def ask(ann: Visitor) -> None:
    until(lambda: card_of(ann).count())  # the Hub hears of a new profile within seconds
    card = card_of(ann)
    expect(card.get_by_text("you are not among them")).to_be_visible()
    expect(card.get_by_role("button", name="Start")).to_have_count(0)
    card.get_by_text("Ask for access", exact=True).first.click()
    card.get_by_role("button", name="Ask for access").click()
    expect(card.get_by_text("Say why: others read it.")).to_be_visible()
    card.get_by_label("Why you need it").fill("To compare two forecasts.")
    card.get_by_role("button", name="Ask for access").click()
    expect(card.get_by_text("You asked for access on")).to_be_visible()
    expect(card.get_by_text("To compare two forecasts.")).to_be_visible()
    assert "_xsrf" not in ann.page.url


def grant(olga: Visitor, ann: Visitor) -> None:
    ann.go("")
    page = olga.page
    olga.go("")
    page.get_by_role("link", name="ann asks for Models").click()
    waiting = page.locator("#waiting li", has_text="To compare two forecasts.")
    waiting.get_by_label("Your words").fill("For the report.")
    waiting.get_by_role("button", name="Grant ann Models").click()
    expect(page.get_by_text("Access is granted.")).to_be_visible()
    # Ann's home page is open, and hears of it by itself.
    expect(ann.page.locator("#news").get_by_text("olga granted your request for Models")).to_be_visible()
    ann.go("access")
    row = ann.page.get_by_role("row", name="Models")
    expect(row.get_by_text("granted by olga").first).to_be_visible()


def start(ann: Visitor) -> None:
    card = card_of(ann)
    expect(card.get_by_text("You may use it until")).to_be_visible()
    card.get_by_role("button", name="Start").click()
    ann.page.wait_for_url("**/user/ann/lab**")


def reach_the_budget(ann: Visitor, cleo: Visitor) -> None:
    page = cleo.page
    cleo.go("access/budgets")
    page.get_by_label("Name", exact=True).fill("ann")
    page.get_by_label("Servers at once").fill("1")
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("The budget holds from now on.")).to_be_visible()
    card = card_of(ann, "second")
    expect(card.get_by_text("The budget is used up: you have 1 of 1 servers at once. Stop one")).to_be_visible()
    card.get_by_role("button", name="Start").click()
    error = ann.page.get_by_role("alert")
    expect(error.get_by_text("you have 1 of 1 servers at once")).to_be_visible()
    expect(error.get_by_text("Ask a curator about it.")).to_be_visible()


def keep_it(ann: Visitor, town: Platform) -> None:
    """The server is in its last hour: it became ready an hour ago, as far as the row says."""
    (server,) = town.api("ann").get(f"{API}servers").json()["items"]
    early = town.api("ann").post(f"{API}servers/{server['id']}/keep")
    assert early.status_code == 409
    database = Database(f"sqlite:///{town.state / 'hub-ext.sqlite'}")
    with database.write() as session:
        row = session.get_one(ServerStart, server["id"])
        assert row.ready_at is not None
        row.ready_at -= timedelta(minutes=90)
    database.dispose()
    ann.go("")
    news = ann.page.locator("#news")
    expect(news.get_by_text("It reaches the longest life that its profile allows.")).to_be_visible()
    news.get_by_role("button", name="Keep for another hour").click()
    expect(ann.page.get_by_text("The server is kept for another hour.")).to_be_visible()
    expect(ann.page.locator("#news").get_by_text("It reaches the longest life")).to_have_count(0)
    (kept,) = town.api("ann").get(f"{API}servers").json()["items"]
    assert (kept["kept"], kept["can_be_kept"]) == (1, 1)


def lose_it(ann: Visitor, town: Platform) -> None:
    ann.go("")
    forward(town, days=29)
    forward(town, days=2)
    denied = town.api("ann").post("/hub/api/users/ann/servers/third", json={"profile": "models"})
    assert denied.status_code == 403
    assert "Your access ended on" in denied.json()["message"]
    # Her home page is open, and warns her by itself.
    expect(ann.page.locator("#news").get_by_text("Your access ended on")).to_be_visible()
    ann.picture("warned")
    assert town.api("ann").get(f"{API}servers").json()["items"][0]["ending"]
    forward(town, minutes=11)
    until(lambda: not town.api("ann").get("/hub/api/users/ann").json()["servers"].get("", {}).get("ready"))
    until(lambda: not town.api("ann").get(f"{API}servers").json()["items"])
    card = card_of(ann)
    expect(ann.page.get_by_text("Your last server is no more.")).to_be_visible()
    expect(ann.page.get_by_text("Your access ended on").first).to_be_visible()
    expect(card.get_by_text("Ask for access", exact=True).first).to_be_visible()


def read_all_of_it(aude: Visitor) -> None:
    page = aude.page
    aude.go("audit?object=profile:models&period=all")
    for act in ("access.ask", "entitlement.grant"):
        expect(page.get_by_role("link", name=act).first).to_be_visible()
    aude.go("audit?object=server:ann&period=all")
    for act in ("server.decide", "server.keep", "server.warn", "server.stop"):
        expect(page.get_by_role("link", name=act).first).to_be_visible()
    aude.go("access/people/ann")
    expect(page.get_by_text("For the report.").first).to_be_visible()
    aude.go("access/requests")
    expect(page.get_by_text("To compare two forecasts.").first).to_be_visible()
    expect(page.get_by_role("button", name="Grant")).to_have_count(0)
    aude.go("access/budgets")
    listed = page.get_by_role("listitem").filter(has_text="1 servers at once")
    expect(listed.get_by_text("ann", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Set it")).to_have_count(0)
