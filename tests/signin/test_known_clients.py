"""What the OAuth provider need not ask the database for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.oauth.provider import make_provider
from sqlalchemy import event

from hub_ext.signin.known_clients import KnownClients, know_clients

NAME = "service-workflows"


@pytest.fixture
def session() -> Iterator[Any]:
    made = orm.new_session_factory("sqlite:///:memory:")()
    yield made
    made.close()
    made.get_bind().dispose()


@pytest.fixture
def provider(session: Any) -> Any:
    made = make_provider(lambda: session, url_prefix="", login_url="")
    know_clients(made)
    made.add_client(NAME, "secret", "/back", allowed_scopes=["a"])
    return made


@pytest.fixture
def asked(session: Any) -> list[str]:
    found: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *told: found.append(told[2]))
    return found


def test_a_client_that_was_found_is_not_looked_up_again(provider: Any, asked: list[str]) -> None:
    first = provider.fetch_by_client_id(NAME)
    asked.clear()
    assert provider.fetch_by_client_id(NAME) is first
    assert provider.request_validator.db.query(orm.OAuthClient).filter_by(identifier=NAME).one_or_none() is first
    assert asked == []


def test_what_changes_is_seen_at_once(provider: Any, session: Any) -> None:
    assert provider.fetch_by_client_id(NAME).redirect_uri == "/back"
    provider.add_client(NAME, "another", "/elsewhere")
    assert provider.fetch_by_client_id(NAME).redirect_uri == "/elsewhere"
    provider.fetch_by_client_id(NAME).redirect_uri = "/undone"
    session.rollback()
    assert provider.fetch_by_client_id(NAME).redirect_uri == "/elsewhere"


def test_one_that_was_deleted_is_there_no_more_and_one_that_comes_again_is(provider: Any) -> None:
    assert provider.fetch_by_client_id(NAME) is not None
    provider.remove_client(NAME)
    assert provider.fetch_by_client_id(NAME) is None
    provider.add_client(NAME, "new", "/again")
    assert provider.fetch_by_client_id(NAME).redirect_uri == "/again"


def test_one_that_was_never_written_down_is_not_remembered(provider: Any, session: Any) -> None:
    session.add(orm.OAuthClient(identifier="service-half", secret="x"))
    assert provider.fetch_by_client_id("service-half") is not None
    session.rollback()
    assert provider.fetch_by_client_id("service-half") is None


def test_servers_clients_are_not_kept(provider: Any) -> None:
    provider.add_client("jupyterhub-user-ana", "secret", "/user/ana")
    assert provider.fetch_by_client_id("jupyterhub-user-ana").redirect_uri == "/user/ana"
    assert provider.fetch_by_client_id(NAME) is not None
    assert [*provider.db.known] == [NAME]


def code_for(session: Any, provider: Any, **more: Any) -> orm.OAuthCode:
    """Return a code that was given to somebody."""
    person = orm.User(name="ana", groups=[orm.Group(name="analysts")])
    client = provider.fetch_by_client_id(NAME)
    code = orm.OAuthCode(code="c0de", client=client, user=person, redirect_uri="/back", session_id="s", **more)
    session.add_all([person, code])
    session.commit()
    return code


def test_whose_a_code_is_is_known_without_loading_her_again(session: Any, provider: Any, asked: list[str]) -> None:
    given = code_for(session, provider)
    person = given.user
    session.expunge(given)  # as codes go from memory, and who signed in stays
    asked.clear()
    found = orm.OAuthCode.find(provider.db, code="c0de")
    assert found is not given
    assert found.user is person
    assert [one for one in asked if "FROM oauth_codes" not in one and one != "SELECT 1"] == []


def test_who_is_not_in_memory_is_loaded(session: Any, provider: Any) -> None:
    code_for(session, provider)
    session.expunge_all()
    found = orm.OAuthCode.find(provider.db, code="c0de")
    assert (found.user.name, [group.name for group in found.user.groups]) == ("ana", ["analysts"])


def test_a_code_is_used_up_and_one_that_is_too_old_is_none(session: Any, provider: Any) -> None:
    code_for(session, provider)
    provider.request_validator.invalidate_authorization_code(NAME, "c0de", None)
    assert orm.OAuthCode.find(provider.db, code="c0de") is None
    session.query(orm.User).delete()
    session.query(orm.Group).delete()
    code_for(session, provider, expires_at=1)
    assert orm.OAuthCode.find(provider.db, code="c0de") is None
    assert orm.OAuthCode.find(provider.db, code="another") is None


def test_all_else_is_the_session_s(provider: Any, session: Any) -> None:
    assert provider.db.query(orm.User).filter_by(name="ana").first() is None
    assert provider.db.get_bind() is session.get_bind()


def test_it_is_put_in_once_and_only_where_there_is_a_provider(provider: Any) -> None:
    before = provider.db
    know_clients(provider)
    assert provider.db is before
    assert isinstance(before, KnownClients)
    assert provider.request_validator.db is before
    know_clients(None)
