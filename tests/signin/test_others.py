"""Asking somebody else's authenticator: one question at a time for each person, and only a no is a no."""

from __future__ import annotations

import asyncio
import time
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.auth import Authenticator, DummyAuthenticator, PAMAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError
from traitlets.config import Config

from hub_ext.signin import others
from hub_ext.signin.others import Others, can_be_asked

DAY = 86_400.0


class Person:
    """What JupyterHub's user is here: a name, what is kept of her sign-in, and when she was asked about."""

    def __init__(self, name: str = "ann", state: dict[str, Any] | None = None) -> None:
        self.name = name
        self.state: dict[str, Any] | None = {"refresh_token": "r"} if state is None else state
        self._auth_refreshed: float | None = None

    async def get_auth_state(self) -> dict[str, Any] | None:
        return self.state

    async def save_auth_state(self, state: dict[str, Any] | None) -> None:
        self.state = state


class Told(Authenticator):
    """Says what it is told to say."""

    answers: list[Any]
    under_way = 0
    most = 0

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> Any:
        del user, handler
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


def asking(*answers: Any, age: float = 240, longest: float = DAY) -> tuple[Told, Others]:
    told = Told()
    told.answers = list(answers)
    return told, Others(told, age, longest)


@pytest.mark.parametrize(
    ("kind", "can"),
    [
        (DummyAuthenticator, False),
        (PAMAuthenticator, False),
        (GenericOAuthenticator, True),
        (GitHubOAuthenticator, True),
        (Told, True),
    ],
)
def test_an_authenticator_that_says_something_of_its_own_can_be_asked(kind: type[Authenticator], can: bool) -> None:
    made = kind.__new__(kind)
    made.__init__(config=Config({"OAuthenticator": {"client_id": "x", "client_secret": "y"}}))  # type: ignore[misc]
    assert can_be_asked(made) is can
    made.auth_refresh_age = 0  # its admin wants nobody to be asked about
    assert not can_be_asked(made)


def test_what_it_says_is_handed_on_and_kept_at_once() -> None:
    model = {"name": "ann", "auth_state": {"refresh_token": "next"}, "groups": ["a"]}
    _, asked = asking(model)
    ann = Person()
    assert asyncio.run(asked.ask(ann)) == model
    assert ann.state == {"refresh_token": "next"}
    assert ann._auth_refreshed is not None


def test_a_no_is_one_where_there_is_something_to_ask_with() -> None:
    _, asked = asking(False)
    assert asyncio.run(asked.ask(Person())) is False


def test_a_token_that_never_ends_and_is_refused_is_a_no() -> None:
    _, asked = asking(False)
    assert asyncio.run(asked.ask(Person(state={"token_response": {"access_token": "a"}}))) is False


def test_where_nothing_was_given_to_ask_with_the_last_word_counts_as_long_as_is_set() -> None:
    ended = {"token_response": {"access_token": "a", "expires_in": 3600}}
    _, asked = asking(False, False)
    assert asyncio.run(asked.ask(Person(state=ended))) is True
    _, asked = asking(False, longest=-1)
    asked.due({"ann"})
    assert asyncio.run(asked.ask(Person(state=ended))) is False


def test_of_somebody_who_never_signed_in_nothing_is_known() -> None:
    _, asked = asking(False, longest=-1)
    ann = Person()
    ann.state = None
    assert asyncio.run(asked.ask(ann)) is True


@pytest.mark.parametrize("error", [OSError("away"), HTTPError(500), HTTPClientError(599), KeyError("x")])
def test_an_error_is_no_answer(error: Exception) -> None:
    _, asked = asking(error)
    ann = Person()
    assert asyncio.run(asked.ask(ann)) is True
    assert ann._auth_refreshed is None


def test_one_that_never_answers_is_waited_for_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "_LONGEST", 0.05)

    class Silent(Told):
        async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> Any:
            del user, handler
            await asyncio.sleep(60)

    silent = Silent()
    begun = time.monotonic()
    assert asyncio.run(Others(silent, 240, DAY).ask(Person())) is True
    assert time.monotonic() - begun < 30


def test_whoever_asks_questions_about_one_person_follow_one_another() -> None:
    told, asked = asking(age=0)

    async def all_at_once() -> None:
        ann, bob = Person("ann"), Person("bob")
        await asyncio.gather(*(told.refresh_user(ann) for _ in range(4)), *(asked.ask(ann) for _ in range(4)))
        assert told.most == 1
        await asyncio.gather(asked.ask(ann), asked.ask(bob))
        assert told.most == 2  # two people do not wait for each other

    asyncio.run(all_at_once())


def test_who_was_asked_about_by_a_request_is_not_due() -> None:
    told, asked = asking(False)
    ann = Person()
    ann._auth_refreshed = time.monotonic()
    assert asked.due({"ann", "bob"}) in (["ann", "bob"], ["bob", "ann"])
    assert asyncio.run(asked.ask(ann)) is True
    assert told.answers == [False]  # it was not asked
    assert asked.due({"ann", "bob"}) == ["bob"]


# oauthenticator's own takes any failure of a refresh for a no.


def answer(code: int, body: bytes) -> HTTPClientError:
    request = SimpleNamespace(url="http://x", method="POST", headers=HTTPHeaders())
    response = HTTPResponse(request, code, buffer=BytesIO(body))  # type: ignore[arg-type]  # nothing else of it is read
    return HTTPClientError(code, response=response)


@pytest.mark.parametrize(
    ("error", "no"),
    [
        (answer(400, b'{"error": "invalid_grant"}'), True),
        (HTTPError(403, "An access token was not returned: bad_refresh_token"), True),
        (answer(401, b'{"error": "invalid_client"}'), False),
        (answer(503, b""), False),
        (answer(429, b""), False),
        (HTTPClientError(599), False),
        (OSError("away"), False),
    ],
)
def test_of_oauthenticator_s_failures_a_refusal_alone_is_a_no(error: Exception, no: bool) -> None:
    class Broken(GenericOAuthenticator):
        async def token_to_user(self, token_info: Any) -> Any:
            del token_info
            raise answer(401, b"")

        async def get_token_info(self, handler: Any, params: Any) -> Any:
            del handler, params
            raise error

    broken = Broken(config=Config({"OAuthenticator": {"client_id": "x", "client_secret": "y"}}))
    broken.enable_auth_state = True
    asked = Others(broken, 240, DAY)
    ann = Person(state={"token_response": {"access_token": "a"}, "refresh_token": "r"})
    assert asyncio.run(asked.ask(ann)) is not no


@pytest.mark.parametrize(("groups", "stays"), [(["analysts"], True), (["visitors"], False)])
def test_who_may_not_sign_in_any_more_is_a_no_though_the_provider_knows_her(groups: list[str], stays: bool) -> None:
    class Known(GenericOAuthenticator):
        async def token_to_user(self, token_info: Any) -> Any:
            del token_info
            return {"name": "ann", "groups": groups}

    config = {"client_id": "x", "client_secret": "y", "username_claim": "name", "manage_groups": True}
    known = Known(config=Config({"OAuthenticator": config}))
    known.enable_auth_state, known.auth_state_groups_key, known.allowed_groups = True, "oauth_user.groups", {"analysts"}
    ann = Person(state={"token_response": {"access_token": "a"}, "refresh_token": "r"})
    found = asyncio.run(Others(known, 240, DAY).ask(ann))
    assert (found is not False) is stays
