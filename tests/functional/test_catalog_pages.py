"""The catalog's pages as a browser without scripts gets them: who sees what, and nothing typed is ever lost."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import ProfileVersion
from hub_ext.governance.curation import read_profile
from tests.functional.conftest import Platform
from tests.functional.test_pages import Active

pytestmark = [pytest.mark.functional]

S = "/services/workflows/"
SOON = f"{datetime.now(UTC) + timedelta(days=10):%Y-%m-%d}"
LOOKING = [
    "profiles/standard/1",
    "profiles/standard/1?against=1",
    "profiles/standard/1/preview",
    "profiles/standard/1/preview?purpose=run&user=ann&o.standard.memory=8Gi",
    "profiles/rules",
    "profiles/rules?q=AC-6",
    "profiles/exceptions",
    "profiles/exceptions?ended=1",
    "profiles/propose",
    "profiles/propose?from=standard@1",
    "profiles/explain?user=clara",
    "profiles/images",
]
OPEN = ["profiles", "profiles/cards", "profiles/explain", "profiles/explain?profile=machine-learning"]
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: {version}, title: "{title}", owner: page-team}}
spec:
  description: For pages.
  access: {{groups: [page-people]}}
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: 1}}, memory: {{request: 1Gi, limit: {memory}}}}}
"""


def text(name: str, version: int = 1, *, memory: str = "2Gi", title: str = "A page") -> str:
    return PROFILE.format(name=name, version=version, memory=memory, title=title)


@pytest.fixture(scope="module")
def clara(platform: Platform) -> Iterator[httpx.Client]:
    """A curator."""
    with contextlib.closing(platform.login("clara")) as client:
        yield client


@pytest.fixture(scope="module")
def admin(platform: Platform) -> Iterator[httpx.Client]:
    """Another one."""
    with contextlib.closing(platform.login("admin")) as client:
        yield client


@pytest.fixture(scope="module")
def pat(platform: Platform) -> Iterator[httpx.Client]:
    """An analyst."""
    with contextlib.closing(platform.login("pat")) as client:
        yield client


def form(client: httpx.Client, path: str, files: Any = None, **fields: str) -> httpx.Response:
    """Send a form, with the token that its page holds."""
    found = re.search(r'name="_xsrf" value="([^"]+)"', client.get(f"{S}publish").text)
    assert found
    return client.post(S + path, data={"_xsrf": found[1], **fields}, files=files, follow_redirects=False)


def propose(client: httpx.Client, content: str) -> str:
    """Propose a file in the browser; return the address of its page."""
    answer = form(client, "profiles/propose", content=content, message="Please.", act="propose")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"]).removeprefix(S).partition("?")[0]


def approve(client: httpx.Client, content: str) -> httpx.Response:
    profile = read_profile(content)
    path = f"profiles/{profile.name}/{profile.version}/judge"
    return form(client, path, verdict="approve", digest=profile.digest, comment="")


@pytest.mark.parametrize("path", [*LOOKING, *OPEN])
def test_a_page_runs_no_script_but_ours_and_has_one_heading(clara: httpx.Client, pat: httpx.Client, path: str) -> None:
    answer = clara.get(S + path)
    assert answer.status_code == 200, answer.text[:2000]
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert Active.of(answer) == []
    assert answer.text.count("<h1") == 1
    assert answer.text.count("btn-primary") <= 1


@pytest.mark.parametrize("path", LOOKING)
def test_who_does_not_look_after_the_catalog_sees_none_of_it(pat: httpx.Client, platform: Platform, path: str) -> None:
    refused = pat.get(S + path)
    assert refused.status_code == 403
    assert "You may not do this" in refused.text
    stranger = httpx.get(f"{platform.url}{S}{path}", trust_env=False)
    assert stranger.status_code == 302


@pytest.mark.parametrize("path", OPEN)
def test_everybody_sees_what_she_may_start_and_why_not_the_rest(pat: httpx.Client, path: str) -> None:
    page = pat.get(S + path)
    assert page.status_code == 200
    assert "Machine learning" in page.text
    assert "Propose a version" not in page.text
    assert "hx-tabs" not in page.text


def test_readers_without_the_role_of_a_curator_look_and_do_not_touch(platform: Platform) -> None:
    with contextlib.closing(platform.login("aude")) as aude:
        table = aude.get(f"{S}profiles").text
        assert "Standard analysis" in table
        assert "Propose a version" not in table
        assert "Grant it" not in aude.get(f"{S}profiles/exceptions").text
        assert "Deprecate" not in aude.get(f"{S}profiles/standard/1").text
        refused = form(aude, "profiles/propose", content=text("no"), act="propose")
        assert refused.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "profiles/propose",
        "profiles/exceptions",
        "profiles/standard/1/judge",
        "profiles/standard/1/withdraw",
        "profiles/standard/1/deprecate",
        "profiles/standard/1/propose",
        "profiles/exceptions/e-1/revoke",
        "profiles/sync",
        "profiles/images/verify",
    ],
)
def test_an_act_needs_the_role_and_a_form_of_ours(clara: httpx.Client, pat: httpx.Client, path: str) -> None:
    forged = clara.post(S + path, data={"content": text("forged")}, follow_redirects=False)
    assert forged.status_code == 403
    assert "Reload the page" in forged.text
    assert form(pat, path, reason="x", content=text("x"), act="propose").status_code in (403, 404)


def test_what_is_wrong_with_a_file_is_told_and_the_file_stays(clara: httpx.Client) -> None:
    content = text("torn").replace("owner: page-team", "owner: page-team, colour: blue")
    for act in ("check", "propose"):
        answer = form(clara, "profiles/propose", content=content, message="My words", act=act)
        assert answer.status_code == 422
        assert "metadata.colour: is not known here" in answer.text
        assert "colour: blue" in answer.text
        assert "My words" in answer.text


def test_a_check_shows_findings_and_change_and_keeps_nothing(clara: httpx.Client) -> None:
    answer = form(clara, "profiles/propose", content=text("checked", memory="900Gi"), act="check")
    assert answer.status_code == 200
    assert "memory-limit" in answer.text
    assert clara.get(f"{S}profiles/checked/1").status_code == 404


def test_a_file_of_the_machine_counts_in_place_of_the_text(clara: httpx.Client) -> None:
    files = {"file": ("mine.yaml", text("from-file").encode())}
    answer = form(clara, "profiles/propose", files, content=text("from-text"), act="propose")
    assert answer.headers["Location"].startswith(f"{S}profiles/from-file/1")
    bad = form(clara, "profiles/propose", {"file": ("mine.yaml", b"\xff\xfe\xff")}, content="", act="propose")
    assert bad.status_code == 400


def test_nobody_approves_her_own_and_the_page_says_why(clara: httpx.Client, admin: httpx.Client) -> None:
    content = text("own", title="<b>Own</b>")
    page = propose(clara, content)
    shown = clara.get(S + page).text
    assert "You proposed this version, so you cannot approve it" in shown
    assert 'value="approve"' not in shown
    assert "<b>Own</b>" not in shown
    refused = approve(clara, content)
    assert refused.status_code == 403
    assert "You proposed this version yourself." in refused.text
    assert 'value="approve"' in admin.get(S + page).text
    assert approve(admin, content).status_code == 303
    assert "by one person" in clara.get(S + page).text


def test_a_refusal_without_words_loses_nothing(clara: httpx.Client, admin: httpx.Client) -> None:
    content = text("refused")
    page = propose(clara, content)
    digest = read_profile(content).digest
    answer = form(admin, f"{page}/judge", verdict="refuse", digest=digest, comment=" ")
    assert answer.status_code == 422
    assert "say why" in answer.text
    assert form(admin, f"{page}/judge", verdict="refuse", digest=digest, comment="Too much.").status_code == 303
    assert "Too much." in clara.get(S + page).text
    assert "admin refused it" in clara.get(S + page).text


def test_what_was_looked_at_is_what_is_approved(clara: httpx.Client, admin: httpx.Client) -> None:
    page = propose(clara, text("looked"))
    answer = form(admin, f"{page}/judge", verdict="approve", digest="sha256:" + "0" * 64, comment="Mine.")
    assert answer.status_code == 422
    assert "Mine." in answer.text
    assert "0 of 1" in admin.get(S + page).text


def test_the_next_version_begins_with_the_content_of_the_last(clara: httpx.Client, admin: httpx.Client) -> None:
    content = text("series")
    page = propose(clara, content)
    approve(admin, content)
    editor = clara.get(f"{S}profiles/propose?from=series@1").text
    assert "version: 2" in editor
    second = propose(clara, text("series", 2, memory="3Gi"))
    shown = admin.get(S + second).text
    assert "<del>2Gi</del>" in shown
    assert "<ins>3Gi</ins>" in shown
    assert "It can have more memory: 3 GB in place of 2 GB." in shown
    approve(admin, text("series", 2, memory="3Gi"))
    wrong = form(clara, f"{page}/deprecate", removal="2020-01-01", successor="series@2")
    assert wrong.status_code == 422
    assert "must be a time to come" in wrong.text
    assert form(clara, f"{page}/deprecate", removal=SOON, successor="series@2").status_code == 303
    assert "takes its place" in clara.get(S + page).text
    assert form(clara, f"{page}/withdraw").status_code == 409


def test_a_preview_shows_what_was_chosen_and_what_cannot_be(clara: httpx.Client) -> None:
    base = f"{S}profiles/standard/1/preview"
    chosen = clara.get(f"{base}?purpose=server&user=ann&o.standard.memory=8Gi&o.standard.idle=60").text
    assert "option memory=8Gi" in chosen
    assert '<option value="8Gi" selected>' in chosen
    part = clara.get(f"{base}?purpose=run", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "<strong>Job</strong>" in part
    wrong = clara.get(f"{base}?purpose=server&o.standard.memory=64Gi&o.standard.idle=60")
    assert wrong.status_code == 422
    assert "Memory cannot be 64Gi" in wrong.text


def test_an_exception_is_granted_and_ended(clara: httpx.Client, admin: httpx.Client) -> None:
    fields = {"profile": "standard", "rule": "cpu-limit", "until": SOON, "users": "pat, otto", "groups": ""}
    wrong = form(clara, "profiles/exceptions", **fields, reason=" ", owner="")
    assert wrong.status_code == 422
    assert 'value="pat, otto"' in wrong.text
    assert form(clara, "profiles/exceptions", **fields, reason="A flood.", owner="nina").status_code == 303
    shown = admin.get(f"{S}profiles/exceptions").text
    assert "nina answers for it" in shown
    assert "for otto, pat" in shown
    assert "A flood." in shown
    assert "cpu-limit" in admin.get(f"{S}profiles").text  # it ends soon
    found = re.search(r"exceptions/(e-[0-9a-z]+)/revoke", shown)
    assert found
    path = f"profiles/exceptions/{found[1]}/revoke"
    assert form(admin, path, reason="It is over.").status_code == 303
    assert form(admin, path, reason="Again.").status_code == 409
    assert "revoked by admin" in admin.get(f"{S}profiles/exceptions?ended=1").text


def test_the_table_is_searched_and_filtered(clara: httpx.Client) -> None:
    for number in range(3):
        propose(clara, text(f"many-{number}"))
    found = clara.get(f"{S}profiles?q=many-1").text
    table = found[found.index("catalog-table") :]
    assert "many-1@1" in table
    assert "many-2@1" not in table
    assert "standard@1" not in clara.get(f"{S}profiles?state=proposed").text.partition("catalog-table")[2]
    assert "No version fits" in clara.get(f"{S}profiles?q=never-was").text
    assert clara.get(f"{S}profiles?page=99999&sort=x&state=y").status_code == 200


def test_a_person_whom_the_hub_does_not_know_is_told(clara: httpx.Client) -> None:
    answer = clara.get(f"{S}profiles/explain?user=nobody-at-all")
    assert answer.status_code == 404
    assert "knows nobody of this name" in answer.text


def test_a_proposal_that_cannot_be_read_is_listed_and_can_be_taken_back(
    platform: Platform, clara: httpx.Client, admin: httpx.Client
) -> None:
    propose(clara, text("odd"))
    database = Database(f"sqlite:///{platform.state}/hub-ext.sqlite")
    with database.write() as session:
        row = session.scalars(select(ProfileVersion).where(ProfileVersion.name == "odd")).one()
        row.content = row.content | {"spec": row.content["spec"] | {"<colour>": "blue"}}
    database.dispose()
    assert admin.get(S).status_code == 200
    page = admin.get(f"{S}profiles").text
    assert "1 proposal cannot be read by this release." in page
    assert "spec.&lt;colour&gt;: Extra inputs are not permitted" in page
    assert "clara or an admin takes it back" in page
    assert clara.get(f"{S}profiles/odd/1").status_code == 404
    assert form(clara, "profiles/odd/1/withdraw").headers["Location"] == f"{S}profiles"
    assert "cannot be read by this release" not in clara.get(f"{S}profiles").text


def test_home_says_what_waits_for_one(clara: httpx.Client, admin: httpx.Client, pat: httpx.Client) -> None:
    propose(clara, text("home"))
    approve_it = re.compile(r">Approve [^<]+, version [0-9]+\?<")
    assert approve_it.search(admin.get(S).text)  # the oldest three of all that wait
    assert not approve_it.search(clara.get(S).text)  # she proposed them
    assert not approve_it.search(pat.get(S).text)


def test_changes_of_the_catalog_are_told_to_who_looks_after_it(platform: Platform) -> None:
    path = f"{S}api/v1/events?topics=profiles,exceptions"
    assert platform.api("pat").get(path).status_code == 403
    with platform.api("clara").stream("GET", path) as answer:
        assert answer.status_code == 200
