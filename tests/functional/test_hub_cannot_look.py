"""The Hub's database fails while somebody is looked up: she is told to try again, not that nobody is signed in."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import httpx
import pytest

from tests.functional.conftest import Platform, running

pytestmark = [pytest.mark.functional, pytest.mark.timeout(300)]

SERVICE = "/services/workflows/"
API = f"{SERVICE}api/v1/"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose Hub's database is made to fail."""
    with running(tmp_path_factory.mktemp("cannot-look") / "state") as found:
        yield found


@contextlib.contextmanager
def changed(platform: Platform, there: list[str], back: list[str]) -> Iterator[None]:
    """Change the Hub's database from outside, and back."""
    path = platform.state / "jupyterhub.sqlite"
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as hub:
        for one in there:
            hub.execute(one)
        try:
            yield
        finally:
            for one in back:
                hub.execute(one)


def no_tokens(platform: Platform) -> contextlib.AbstractContextManager[None]:
    """Let the Hub find no table of tokens: every look at one fails."""
    return changed(platform, ["ALTER TABLE api_tokens RENAME TO away"], ["ALTER TABLE away RENAME TO api_tokens"])


def no_writes(platform: Platform) -> contextlib.AbstractContextManager[None]:
    """Let the Hub read tokens and people, and write nothing of them."""
    full = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    tables = ("api_tokens", "users")
    there = [f"CREATE TRIGGER no_{one} BEFORE UPDATE ON {one} {full}" for one in tables]
    return changed(platform, there, [f"DROP TRIGGER no_{one}" for one in tables])


def asked(platform: Platform, token: str) -> httpx.Response:
    """Ask the service something with a token, which it has not seen before."""
    headers = {"Authorization": f"token {token}"}
    return httpx.get(f"{platform.url}{API}workflows", headers=headers, trust_env=False, timeout=60)


def test_a_hub_that_cannot_look_is_told_as_such_and_a_token_of_nobody_as_that(alone: Platform) -> None:
    token = alone.token("amy")
    with no_tokens(alone):
        for one in (token, "0" * 64):
            answer = asked(alone, one)
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) >= 1
            assert "nobody can be told apart" in answer.json()["detail"]
        own = httpx.get(f"{alone.url}/hub/api/user", headers={"Authorization": f"token {token}"}, trust_env=False)
        assert own.status_code == 503
        assert int(own.headers["retry-after"]) >= 1
    assert asked(alone, token).status_code == 200  # at once: nothing of it was remembered
    assert asked(alone, "0" * 64).status_code == 401


def test_a_page_says_so_too_and_her_session_is_kept(alone: Platform) -> None:
    person = alone.login("ann")
    person.get(f"{SERVICE}runs").raise_for_status()
    for cookie in person.cookies.jar:
        if cookie.name == "jupyterhub-session-id":  # the service believes the Hub for half a minute, by session
            cookie.value = "another"
    with no_tokens(alone):
        page = person.get(f"{SERVICE}runs")
        assert page.status_code == 503, page.text[:500]
        assert page.headers["content-type"].startswith("text/html")
        assert int(page.headers["retry-after"]) >= 1
        assert "The Hub does not answer" in page.text
        assert "Try again" in page.text
    page = person.get(f"{SERVICE}runs")
    assert page.status_code == 200
    assert [one.status_code for one in page.history] == []  # without a new sign-in


def test_somebody_is_known_though_the_hub_cannot_write_down_that_she_was_active(alone: Platform) -> None:
    token = alone.token("ada")  # was never used: its first use is to be written down
    with no_writes(alone):
        assert asked(alone, token).status_code == 200
