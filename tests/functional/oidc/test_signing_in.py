"""Sign-in by a real provider: who one is, what groups give, and every attempt at being somebody else."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.functional.faults import until
from tests.functional.oidc.conftest import World
from tests.functional.oidc.people import SERVICE, SignedIn
from tests.functional.oidc.provider import SECRET

pytestmark = [pytest.mark.functional, pytest.mark.timeout(300)]

PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: rivers, version: 1, title: Rivers, owner: river-team}
spec:
  description: For rivers.
  access: {groups: [analysts]}
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 1}, memory: {request: 1Gi, limit: 2Gi}}
"""


def begun(world: World, then: str = SERVICE) -> tuple[SignedIn, dict[str, list[str]]]:
    """Begin a sign-in, and return what the provider is sent."""
    person = SignedIn(world.platform)
    answer = person.http.get("/hub/oauth_login", params={"next": then})
    assert answer.status_code == 302, answer.text
    return person, parse_qs(urlsplit(answer.headers["location"]).query)


def answered(world: World, sub: str) -> tuple[SignedIn, str]:
    """Sign in until the provider leads back, and return the address that it leads to without going there."""
    person, _ = begun(world)
    back = f"{world.platform.url}/hub/oauth_callback"
    person.follow(person.http.get("/hub/oauth_login"), until=back)
    for _ in range(3):
        if person.visited[-1].startswith(back):
            break
        person.follow_form(sub, until=back)
    assert person.visited[-1].startswith(back), person.visited
    return person, person.visited[-1]


def test_she_is_who_the_provider_says_with_its_groups(world: World) -> None:
    world.person("amy", "Amy", ("analysts", "gis"))
    amy = world.sign_in("amy")
    assert amy.last.status_code == 200, amy.said
    assert urlsplit(amy.visited[-1]).path == SERVICE
    model = amy.hub("GET", "user").json()
    assert (model["name"], model["admin"], set(model["groups"])) == ("amy", False, {"analysts", "gis"})
    assert amy.get("profiles").status_code == 200
    assert amy.get("audit").status_code == 403


def test_who_came_from_the_service_is_led_back_there_at_once(world: World) -> None:
    world.person("ada")
    ada = SignedIn(world.platform)
    ada.follow(ada.http.get(SERVICE, params={"q": "x"}))  # ends at the Hub's page with the button
    (then,) = parse_qs(urlsplit(ada.visited[-1]).query)["next"]
    ada.visited.clear()
    ada.follow(ada.http.get("/hub/oauth_login", params={"next": then}))
    ada.at_provider(world.provider, "ada")
    paths = [urlsplit(one).path for one in ada.visited if one.startswith(world.platform.url)]
    assert paths == ["/hub/oauth_callback", f"{SERVICE}oauth_callback", SERVICE]
    assert urlsplit(ada.visited[-1]).query == "q=x"
    assert ada.inside
    assert ada.at_hub


def test_a_session_comes_with_the_word_on_whose_it_is(world: World) -> None:
    world.person("asa", groups=("analysts", "data-curators"))
    asa = world.sign_in("asa")
    told = session_token(world, asa, {"X-Hub-Ext-Whose": "1"})
    mine = {"Authorization": f"token {told['access_token']}"}
    asked = httpx.get(f"{world.platform.url}/hub/api/user", headers=mine, trust_env=False, timeout=60).json()
    assert told["hub_ext_user"] | {"last_activity": None} == asked | {"last_activity": None}
    assert (asked["name"], set(asked["groups"])) == ("asa", {"analysts", "data-curators"})
    assert "hub_ext_user" not in session_token(world, asa, {})


def session_token(world: World, person: SignedIn, headers: dict[str, str]) -> dict[str, Any]:
    """Do what the service does at the end of a sign-in, with its own secret; return the Hub's answer."""
    service = world.platform.recorded("service").environ()
    client, secret = (service[f"JUPYTERHUB_{name}"] for name in ("CLIENT_ID", "API_TOKEN"))
    back = f"{SERVICE}oauth_callback"
    asked = {"client_id": client, "redirect_uri": back, "response_type": "code", "state": "x"}
    answer = person.http.get("/hub/api/oauth2/authorize", params=asked)
    (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    form = {"client_id": client, "client_secret": secret, "grant_type": "authorization_code", "code": code}
    found = httpx.post(
        f"{world.platform.url}/hub/api/oauth2/token",
        data=form | {"redirect_uri": back},
        headers=headers,
        trust_env=False,
        timeout=60,
    )
    assert found.status_code == 200, found.text
    return dict(found.json())


def test_the_service_believes_it_and_does_not_ask(world: World) -> None:
    world.person("ash")
    log = world.platform.state / "logs" / "hub.log"
    before = log.stat().st_size
    ash = world.sign_in("ash")
    assert "ash" in ash.said
    with log.open("rb") as stream:
        stream.seek(before)
        asked = [line for line in stream if b"(ash@" in line]
    assert any(b"/hub/oauth_callback" in line for line in asked)
    assert not any(b"GET /hub/api/user" in line for line in asked)


def test_while_she_signs_in_the_browser_loads_what_our_pages_need(world: World) -> None:
    world.person("ada5")
    ada = SignedIn(world.platform)
    page = ada.follow(ada.http.get(SERVICE)).text
    assert f'<script src="{SERVICE}ahead.js" async>' in page
    listed = set(re.findall(r'"([^"]+)"', ada.http.get(f"{SERVICE}ahead.js").text))
    assert len(listed) > 5
    for one in listed:
        answer = ada.http.get(one)
        assert answer.status_code == 200, one
        assert "immutable" in answer.headers["cache-control"], one
    home = world.sign_in("ada5").last.text
    needed = set(re.findall(rf'(?:src|href)="({SERVICE}static/[^"]+\.(?:css|js))"', home))
    assert needed
    assert needed <= listed


@pytest.mark.parametrize("change", [{"redirect_uri": "https://evil.example/"}, {"redirect_uri": "/user/eve/"}])
def test_a_service_s_request_that_was_changed_is_refused_at_once_too(world: World, change: dict[str, str]) -> None:
    world.person("ada2")
    ada = SignedIn(world.platform)
    ada.follow(ada.http.get(SERVICE))
    asked = urlsplit(parse_qs(urlsplit(ada.visited[-1]).query)["next"][0])
    then = f"{asked.path}?{urlencode({**dict(parse_qsl(asked.query)), **change})}"
    ada.follow(ada.http.get("/hub/oauth_login", params={"next": then}))
    ada.at_provider(world.provider, "ada2")
    assert ada.last.status_code == 400, ada.said
    assert urlsplit(ada.visited[-1]).path == "/hub/oauth_callback"
    assert not ada.inside


def test_who_comes_from_what_asks_first_is_asked(world: World) -> None:
    world.person("ada3")
    ada = world.sign_in("ada3")
    ada.http.cookies.clear()
    client = next(one for one in world.clients() if "-files" in one)
    asked = {"client_id": client, "redirect_uri": f"{SERVICE}files/oauth_callback", "response_type": "code"}
    then = f"/hub/api/oauth2/authorize?{urlencode({**asked, 'state': 'x'})}"
    ada.follow(ada.http.get("/hub/oauth_login", params={"next": then}))
    ada.at_provider(world.provider, "ada3")
    assert ada.last.status_code == 200, ada.said
    assert str(ada.last.request.url).endswith(then)  # the form that is shown is answered there
    assert 'name="scopes"' in ada.last.text or "Authorize" in ada.said


def test_the_end_of_a_sign_in_takes_no_form(world: World) -> None:
    world.person("ada4")
    ada = world.sign_in("ada4")
    token = ada.http.cookies.get("_xsrf", path="/hub/") or ""
    answer = ada.http.post("/hub/oauth_callback", headers={"X-XSRFToken": token}, data={"scopes": "inherit"})
    assert answer.status_code in (403, 405), answer.text


def test_what_is_sent_to_the_provider_can_be_used_once_and_here_alone(world: World) -> None:
    _, first = begun(world)
    _, second = begun(world)
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [f"{world.platform.url}/hub/oauth_callback"]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name][0]) >= 43


def test_groups_give_roles_and_a_token_may_be_made_for_one_of_them(world: World) -> None:
    world.person("cleo", groups=("analysts", "data-curators", "data-auditors"))
    cleo = world.sign_in("cleo")
    assert cleo.get("audit").status_code == 200
    reach = "access:services!service=workflows"
    scopes = [reach, "custom:hub-ext:role-auditor"]
    made = cleo.hub("POST", "users/cleo/tokens", {"note": "ci", "expires_in": 3600, "scopes": scopes})
    assert made.status_code == 201, made.text
    with httpx.Client(base_url=world.platform.url, trust_env=False, timeout=60) as script:
        script.headers["Authorization"] = f"token {made.json()['token']}"
        assert script.get(f"{SERVICE}api/v1/audit").status_code == 200
        proposal = script.post(f"{SERVICE}api/v1/profiles/rivers/versions", json={"content": PROFILE})
        assert proposal.status_code == 403, proposal.text
    world.person("ben")
    ben = world.sign_in("ben")
    refused = ben.hub("POST", "users/ben/tokens", {"scopes": scopes})
    assert refused.status_code in (400, 403), refused.text


def test_two_accounts_of_one_person_are_one_person(world: World) -> None:
    world.person("eva", groups=("analysts", "data-curators"), employee="e-77")
    world.person("eva2", "eva-admin", groups=("analysts", "data-curators"), employee="e-77")
    world.person("cid", groups=("analysts", "data-curators"))
    eva, other, cid = (world.sign_in(sub) for sub in ("eva", "eva2", "cid"))
    made = eva.ask("POST", "profiles/rivers/versions", {"content": PROFILE})
    assert made.status_code == 201, made.text
    judgement = {"verdict": "approve", "digest": made.json()["digest"], "comment": ""}
    own = other.ask("POST", "profiles/rivers/versions/1/approvals", judgement)
    assert (own.status_code, own.json()["detail"]) == (403, "You proposed this version yourself.")
    assert cid.ask("POST", "profiles/rivers/versions/1/approvals", judgement).status_code == 200


def test_a_name_that_needs_escaping_is_a_name(world: World) -> None:
    name = "o'neil+büro@example.org"
    world.person("oneil", "O'Neil+Büro@example.org")
    oneil = world.sign_in("oneil")
    assert oneil.hub("GET", "user").json()["name"] == name
    assert oneil.get("profiles").status_code == 200
    quoted = "o%27neil%2Bb%C3%BCro%40example.org"
    answer = oneil.hub("POST", f"users/{quoted}/server", {"profile": "quick-look"})
    assert answer.status_code in (201, 202), answer.text
    try:
        until(lambda: oneil.hub("GET", f"users/{quoted}").json()["servers"].get("", {}).get("ready"))
        address = oneil.hub("GET", f"users/{quoted}").json()["servers"][""]["url"]
        page = oneil.follow(oneil.http.get(f"{address}lab"))
        assert page.status_code == 200, oneil.visited
        assert "JupyterLab" in page.text
    finally:
        oneil.hub("DELETE", f"users/{quoted}/server")


@pytest.mark.parametrize(
    ("first", "second"),
    [("Rosa", "rosa"), ("Jos\u00e9", "Jose\u0301"), ("\uff2dax", "max")],
    ids=["case", "form", "width"],
)
def test_two_names_that_look_alike_are_never_one_person(world: World, first: str, second: str) -> None:
    subs = f"one-{first.casefold()}".encode().hex(), f"two-{second.casefold()}".encode().hex()
    world.person(subs[0], first)
    world.person(subs[1], second)
    assert world.sign_in(subs[0]).inside
    late = world.sign_in(subs[1])
    assert late.last.status_code == 403
    assert "belongs to another account already" in late.said
    assert "Ask an admin" in late.said
    assert not late.inside
    world.provider.person(subs[0], "renamed-at-the-provider", ["analysts"], employee=f"e-{subs[0]}")
    assert world.sign_in(subs[0]).hub("GET", "user").json()["name"] != "renamed-at-the-provider"
    assert not world.sign_in(subs[1]).inside  # a name stays its account's


@pytest.mark.parametrize("name", ["a/b", "", "../admin", "examples", "x" * 300, "a b", "\u202eevil"])
def test_a_name_that_cannot_be_is_told(world: World, name: str) -> None:
    sub = f"odd-{name[:9]}".encode().hex()
    world.provider.person(sub, name, ["analysts"], employee=sub)
    odd = world.sign_in(sub)
    assert odd.last.status_code == 403
    assert "You cannot sign in" in odd.said
    assert not odd.inside


def test_whoever_is_in_no_group_that_may_sign_in_is_told(world: World) -> None:
    world.person("guest", groups=("visitors",))
    guest = world.sign_in("guest")
    assert guest.last.status_code == 403
    assert "no group that may sign in" in guest.said
    world.provider.do("people", people={"guest": {"preferred_username": "guest", "employee": "g"}})
    assert world.sign_in("guest").last.status_code == 403


# -- being somebody else ----------------------------------------------------------------------------------------------


def test_a_sign_in_ends_in_the_browser_where_it_began(world: World) -> None:
    world.person("amy2")
    _, back = answered(world, "amy2")
    stranger = SignedIn(world.platform)
    stranger.follow(stranger.http.get(back))
    assert stranger.last.status_code == 400
    assert "not begun in this browser" in stranger.said
    assert not stranger.inside


def test_an_answer_is_good_once(world: World) -> None:
    world.person("amy3")
    person, back = answered(world, "amy3")
    cookies = list(person.http.cookies.jar)
    person.follow(person.http.get(back))
    assert person.inside
    thief = SignedIn(world.platform)
    for cookie in cookies:  # with everything that the browser had
        thief.http.cookies.jar.set_cookie(cookie)
    thief.follow(thief.http.get(back))
    assert thief.last.status_code == 400
    assert "has ended already" in thief.said
    assert not thief.inside


def test_a_code_of_another_sign_in_is_refused(world: World) -> None:
    world.person("amy4")
    _, stolen = answered(world, "amy4")
    thief, sent = begun(world)
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    thief.follow(thief.http.get("/hub/oauth_callback", params={"code": code, "state": sent["state"][0]}))
    assert thief.last.status_code == 403  # the provider: the verifier is another one
    assert not thief.inside


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"state": "x"}, 400, "not begun in this browser"),
        ({"state": ""}, 400, "not begun in this browser"),
        ({"iss": "https://evil.example"}, 400, "Another provider"),
        ({"code": "x"}, 403, "did not accept"),
        ({"code": ""}, 403, "could not sign you in"),
        ({"error": "access_denied", "error_description": "<b>Call 555</b>"}, 403, "ended at the provider"),
        ({"error": "<script>", "error_description": "Call 555"}, 403, "could not sign you in"),
    ],
)
def test_an_answer_that_was_changed_is_refused(world: World, change: dict[str, str], status: int, words: str) -> None:
    world.person("amy5")
    person, back = answered(world, "amy5")
    fields = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()} | change
    person.follow(person.http.get("/hub/oauth_callback", params=fields))
    assert person.last.status_code == status, person.said
    assert words in person.said
    assert "555" not in person.last.text
    assert not person.inside


@pytest.mark.parametrize(
    "then",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "///evil.example", "\\\\evil.example",
     "https:evil.example", "javascript:alert(1)", "/\t/evil.example", "/%09/evil.example", "http://127.0.0.1:1/x"],
)  # fmt: skip
def test_nobody_is_led_elsewhere(world: World, then: str) -> None:
    world.person("amy6")
    amy = SignedIn.by_provider(world.platform, world.provider, "amy6", then)
    known = {urlsplit(world.platform.url).netloc, urlsplit(world.provider.issuer).netloc}
    assert {urlsplit(one).netloc for one in amy.visited} <= known
    assert not any(one.startswith(("//", "/\\", "\\")) for one in amy.visited)
    assert amy.hub("GET", "user").status_code == 200


# -- the provider changes ----------------------------------------------------------------------------------------------


def test_a_new_key_of_the_provider_is_found(world: World) -> None:
    world.person("kay")
    world.provider.do("rotate")
    deadline = time.monotonic() + 30
    while not (kay := world.sign_in("kay")).inside:  # its keys are not asked for more often than every 10 s
        assert time.monotonic() < deadline, kay.said
        assert "no key of the provider" in kay.said
        time.sleep(1)


@pytest.mark.parametrize("offset", [600, -600])
def test_clocks_that_differ_by_ten_minutes_are_told(world: World, offset: int) -> None:
    world.person("tim")
    with world.provider.changed(offset=offset):
        tim = world.sign_in("tim")
        assert tim.last.status_code == 403
        assert "clocks of the provider and of this platform differ by" in tim.said
        assert not tim.inside
    assert world.sign_in("tim").inside


def test_while_the_provider_is_away_nobody_signs_in_and_that_is_said(world: World) -> None:
    world.person("ava")
    person, back = answered(world, "ava")
    with world.provider.away():
        person.follow(person.http.get(back))
        assert person.last.status_code == 503
        assert "does not answer" in person.said
        assert not person.inside
    assert world.sign_in("ava").inside


def test_no_secret_is_written_anywhere(world: World) -> None:
    """After all of the above: in no log, no database but encrypted, no page, no address, no environment."""
    world.person("zoe")
    zoe, back = answered(world, "zoe")
    code = parse_qs(urlsplit(back).query)["code"][0]
    zoe.follow(zoe.http.get(back))
    assert zoe.inside
    assert "id_token" not in "".join(zoe.visited)
    folder: Path = world.platform.state.parent
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "client-secret":
            content = path.read_bytes()
            found |= {
                (path.name, name) for name, text in (("secret", SECRET), ("code", code)) if text.encode() in content
            }
    assert found == set()
    for process in (world.platform.hub(), world.platform.recorded("proxy")):
        assert SECRET not in repr(process.environ())
