"""The pages of access, budgets and people, as a browser without scripts gets them: who sees what, and who may act."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.functional.conftest import Platform
from tests.functional.owned import API, owned_profile
from tests.functional.test_pages import Active

pytestmark = [pytest.mark.functional]

S = "/services/workflows/"
NAME = "pages-owned"
OPEN = ["access", "access?profile=machine-learning", "access/usage", "access/usage?month=2026-01&kind=group"]
OF_OWNERS = ["access/requests", "access/requests?state=refused", "access/entitlements", "access/entitlements?ended=1"]
OF_OWNERS += [f"access/profiles/{NAME}"]
OF_READERS = ["access/budgets", "access/people", "access/people?q=paula", "access/people/paula", "access/groups"]
OF_READERS += ["access/groups/analysts", "access/groups/hub-ext-curators"]
SOON = f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"


@pytest.fixture(scope="module")
def people(platform: Platform) -> Iterator[dict[str, httpx.Client]]:
    """An analyst, the owner of a profile, a curator and an auditor, each in a browser without scripts."""
    owned_profile(platform, NAME, "odile", title="Kept by Odile")
    with contextlib.ExitStack() as stack:
        names = ("paula", "odile", "clara", "aude", "admin")
        yield {name: stack.enter_context(contextlib.closing(platform.login(name))) for name in names}


def form(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form, with the token that a page holds."""
    found = re.search(r'name="_xsrf" value="([^"]+)"', client.get(f"{S}publish").text)
    assert found
    return client.post(S + path, data={"_xsrf": found[1], **fields}, follow_redirects=False)


@pytest.mark.parametrize("path", [*OPEN, *OF_OWNERS, *OF_READERS])
def test_a_page_runs_no_script_but_ours_and_has_one_heading(people: dict[str, httpx.Client], path: str) -> None:
    answer = people["clara"].get(S + path)
    assert answer.status_code == 200, answer.text[:2000]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert Active.of(answer) == []
    assert answer.text.count("<h1") == 1
    assert answer.text.count("btn-primary") <= 1


@pytest.mark.parametrize("path", [*OPEN, *OF_OWNERS, *OF_READERS])
def test_a_stranger_is_led_to_the_sign_in(platform: Platform, path: str) -> None:
    assert httpx.get(f"{platform.url}{S}{path}", trust_env=False).status_code == 302


@pytest.mark.parametrize("path", OPEN)
def test_everybody_sees_what_is_hers(people: dict[str, httpx.Client], path: str) -> None:
    assert people["paula"].get(S + path).status_code == 200


@pytest.mark.parametrize("path", [*OF_OWNERS, *OF_READERS])
def test_a_colleague_without_rights_sees_nothing_of_others(people: dict[str, httpx.Client], path: str) -> None:
    refused = people["paula"].get(S + path)
    assert refused.status_code == 403
    assert "Kept by Odile" not in refused.text


@pytest.mark.parametrize("path", OF_OWNERS)
def test_the_owner_of_a_profile_sees_its_requests_and_entitlements(people: dict[str, httpx.Client], path: str) -> None:
    assert people["odile"].get(S + path).status_code == 200


@pytest.mark.parametrize("path", OF_READERS)
def test_the_owner_of_a_profile_does_not_see_everybody(people: dict[str, httpx.Client], path: str) -> None:
    assert people["odile"].get(S + path).status_code == 403


@pytest.mark.parametrize("path", [*OPEN, *OF_OWNERS, *OF_READERS])
def test_an_auditor_reads_all_and_has_no_form_that_changes_others(people: dict[str, httpx.Client], path: str) -> None:
    page = people["aude"].get(S + path)
    assert page.status_code == 200
    for act in ('value="grant"', "Grant it", "End it", "Set it", "Remove</button>"):
        assert act not in page.text


ACTS = [
    ("access/requests/q-1/answer", {"verdict": "refuse", "words": "No."}),
    ("access/entitlements", {"profile": NAME, "kind": "person", "name": "x", "until": SOON, "reason": "x"}),
    ("access/entitlements/n-1/end", {"reason": "x"}),
    ("access/budgets", {"kind": "person", "name": "x", "servers": "1"}),
    ("access/budgets/remove", {"kind": "person", "name": "x"}),
]


@pytest.mark.parametrize(("path", "fields"), ACTS)
def test_an_act_needs_a_form_of_ours_and_the_right(
    people: dict[str, httpx.Client], path: str, fields: dict[str, str]
) -> None:
    forged = people["clara"].post(S + path, data=fields, follow_redirects=False)
    assert forged.status_code == 403
    assert "Reload the page" in forged.text
    for name in ("paula", "aude"):
        assert form(people[name], path, **fields).status_code in (403, 404)


def ask(people: dict[str, httpx.Client], reason: str, name: str = "paula") -> str:
    """Ask on My access; return the request's id."""
    made = form(people[name], "access", profile=NAME, reason=reason, until=SOON)
    assert made.status_code == 303, made.text
    found = re.findall(r'id="q-(q-[0-9a-z]+)"', people["odile"].get(f"{S}access/requests").text)
    return str(found[-1])


def test_asked_on_my_access_and_granted_by_the_owner(people: dict[str, httpx.Client], platform: Platform) -> None:
    request = ask(people, "For the <b>flood</b>.")
    page = people["odile"].get(f"{S}access/requests").text
    assert "For the &lt;b&gt;flood&lt;/b&gt;." in page
    assert "paula asks for Kept by Odile" in people["odile"].get(S).text
    assert "paula asks for Kept by Odile" in people["clara"].get(S).text
    assert "paula asks for" not in people["aude"].get(S).text
    without = form(people["odile"], f"access/requests/{request}/answer", verdict="refuse", words=" ")
    assert without.status_code == 422
    assert "say why" in without.text
    granted = form(people["odile"], f"access/requests/{request}/answer", verdict="grant", until=SOON, words="Welcome.")
    assert granted.status_code == 303, granted.text
    again = form(people["clara"], f"access/requests/{request}/answer", verdict="refuse", words="No.")
    assert again.status_code == 409
    assert "granted already by odile" in again.text
    mine = people["paula"].get(f"{S}access").text
    assert "granted by odile" in mine
    assert "Welcome." in mine
    assert "odile granted your request for Kept by Odile" in people["paula"].get(S).text
    assert "paula" in people["clara"].get(f"{S}access/profiles/{NAME}").text
    person = people["aude"].get(f"{S}access/people/paula").text
    assert "granted by odile" in person
    assert "Welcome." in person


def test_a_request_is_taken_back(people: dict[str, httpx.Client], platform: Platform) -> None:
    made = form(people["paula"], "access", profile="machine-learning", reason="Models.")
    assert made.status_code == 303
    page = people["paula"].get(f"{S}access").text
    found = re.search(r'access/requests/(q-[0-9a-z]+)/withdraw"', page)
    assert found
    assert form(people["odile"], f"access/requests/{found[1]}/withdraw").status_code == 404
    assert form(people["paula"], f"access/requests/{found[1]}/withdraw").status_code == 303
    assert "/withdraw" not in people["paula"].get(f"{S}access").text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"profile": "no-such", "reason": "x"}, "there is no profile"),
        ({"profile": "machine-learning", "reason": ""}, "say why"),
        ({"profile": "machine-learning", "reason": "Typed", "until": "yesterday"}, "must be a date"),
        ({"profile": "machine-learning", "reason": "Typed", "until": "2020-01-01"}, "must be a time to come"),
        ({"profile": "standard", "reason": "Typed"}, "a group of yours may"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_typed_stays(
    people: dict[str, httpx.Client], fields: dict[str, str], told: str
) -> None:
    answer = form(people["paula"], "access", **fields)
    assert answer.status_code in (409, 422)
    assert told in answer.text
    assert fields["reason"] in answer.text


def test_granted_shortened_and_over(people: dict[str, httpx.Client]) -> None:
    fields = {"profile": NAME, "kind": "person", "name": "gerda", "reason": "By hand.", "until": SOON}
    own = form(people["odile"], "access/entitlements", **fields | {"name": "odile"})
    assert own.status_code == 422
    assert "must not be your own" in own.text
    assert "By hand." in own.text
    assert form(people["odile"], "access/entitlements", **fields).status_code == 303
    page = people["odile"].get(f"{S}access/entitlements?name=gerda").text
    (entitlement,) = re.findall(r"access/entitlements/(n-[0-9a-z]+)/end", page)
    assert form(people["odile"], f"access/entitlements/{entitlement}/end", reason="").status_code == 422
    ended = form(people["odile"], f"access/entitlements/{entitlement}/end", reason="Too early.")
    assert ended.status_code == 303
    assert "Too early." in people["odile"].get(f"{S}access/entitlements?name=gerda&ended=1").text
    twice = form(people["odile"], f"access/entitlements/{entitlement}/end", reason="Again.")
    assert twice.status_code == 409
    file = people["odile"].get(f"{API}entitlements.csv?ended=true&name=gerda")
    assert file.status_code == 200
    assert "gerda" in file.text


def test_a_budget_is_set_changed_and_removed(people: dict[str, httpx.Client]) -> None:
    wrong = form(people["clara"], "access/budgets", kind="person", name="bella", servers="many", reason="Typed")
    assert wrong.status_code == 422
    assert "whole number" in wrong.text
    assert 'value="many"' in wrong.text
    made = form(people["clara"], "access/budgets", kind="person", name="bella", servers="2", cpu_hours="12.5")
    assert made.status_code == 303, made.text
    page = people["clara"].get(f"{S}access/budgets?kind=person&name=bella").text
    assert 'value="12.5"' in page
    listed = people["aude"].get(f"{S}access/budgets").text
    assert "2 servers at once, 12.5 core hours a month" in listed
    gone = form(people["clara"], "access/budgets/remove", kind="person", name="bella")
    assert gone.status_code == 303
    assert form(people["clara"], "access/budgets/remove", kind="person", name="bella").status_code == 404


def test_a_budget_of_ones_own_is_shown_as_bars(people: dict[str, httpx.Client]) -> None:
    assert form(people["clara"], "access/budgets", kind="person", name="paula", cpu_hours="100").status_code == 303
    page = people["paula"].get(f"{S}access").text
    assert '<progress class="hx-bar' in page
    assert "of 100 core hours" in page
    form(people["clara"], "access/budgets/remove", kind="person", name="paula")


def test_nobody_of_a_name_that_is_not_known(people: dict[str, httpx.Client]) -> None:
    for path in (
        "access/people/never-was",
        "access/groups/never-was",
        "access/people/%00",
        "access/profiles/never-was",
    ):
        assert people["clara"].get(S + path).status_code == 404


# The start page.


def spawn(client: httpx.Client, **fields: str) -> httpx.Response:
    """Send the form of a greyed card, as a browser without scripts does."""
    page = client.get("/hub/spawn").text
    found = re.search(r'<form id="hx-ask".*?name="_xsrf" value="([^"]+)"', page, re.DOTALL)
    assert found, page[:3000]
    return client.post("/hub/ask-access", data={"_xsrf": found[1], **fields}, follow_redirects=False)


def test_a_greyed_card_asks_and_then_says_that_it_waits(platform: Platform, people: dict[str, httpx.Client]) -> None:
    with contextlib.closing(platform.login("greta")) as greta:
        empty = spawn(greta, profile=NAME, **{f"reason:{NAME}": "  ", f"until:{NAME}": SOON})
        assert empty.status_code == 422
        assert "Say why: others read it." in empty.text
        assert f'value="{SOON}"' in empty.text
        past = spawn(greta, profile=NAME, **{f"reason:{NAME}": "My <reason>", f"until:{NAME}": "2020-01-01"})
        assert past.status_code == 422
        assert "My &lt;reason&gt;</textarea>" in past.text
        nowhere = spawn(greta, profile="no-such", **{"reason:no-such": "x"})
        assert nowhere.status_code == 422
        assert "There is no profile" in nowhere.text
        asked = spawn(greta, profile=NAME, **{f"reason:{NAME}": "For maps.", f"until:{NAME}": ""})
        assert asked.status_code == 303, asked.text[:2000]
        assert asked.headers["Location"].endswith(f"/hub/spawn#title-{NAME}")
        assert "You asked for access on" in greta.get("/hub/spawn").text
        by_group = spawn(greta, profile="standard", **{"reason:standard": "x"})
        assert by_group.status_code == 409
    found = platform.api("odile").get(f"{API}access-requests", params={"user": "greta"}).json()["items"]
    assert [(one["user"], one["reason"]) for one in found] == [("greta", "For maps.")]


def test_a_request_from_elsewhere_or_by_a_server_s_token_is_refused(platform: Platform) -> None:
    with contextlib.closing(platform.login("greta")) as greta:
        forged = greta.post("/hub/ask-access", data={"profile": NAME, f"reason:{NAME}": "x"})
        assert forged.status_code == 403
    narrow = platform.api("gina", ["access:services!service=workflows", "self"][:1])
    refused = narrow.post("/hub/ask-access", data={"profile": NAME, f"reason:{NAME}": "x"})
    assert refused.status_code == 403
    assert not platform.api("gina").get(f"{API}access-requests", params={"mine": True}).json()["items"]
    stranger = httpx.post(f"{platform.url}/hub/ask-access", data={"profile": NAME}, trust_env=False)
    assert stranger.status_code in (302, 403)
