"""Tokens of servers and services in the Hub's own database."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.oauth.provider import make_provider
from jupyterhub.utils import compare_token, new_token

from hub_ext.spawner.tokens import Clients, hash_once, number_of

NAME = "jupyterhub-user-ana"


@pytest.fixture
def database() -> Iterator[Any]:
    session = orm.new_session_factory("sqlite:///:memory:")()
    session.add(orm.OAuthClient(identifier="jupyterhub", secret=""))
    session.commit()
    yield session
    session.close()
    session.get_bind().dispose()


@pytest.fixture
def person(database: Any) -> Any:
    found = orm.User(name="ana")
    database.add(found)
    database.commit()
    return found


@pytest.fixture
def provider(database: Any) -> Any:
    made = make_provider(lambda: database, url_prefix="", login_url="")
    Clients(made).take_over()
    return made


def rounds_of(client: Any) -> int:
    return int(client.secret.split(":")[1])


def test_a_token_is_found_by_what_it_is_and_whose(database: Any, person: Any) -> None:
    other = orm.User(name="ben")
    database.add(other)
    database.commit()
    token = person.new_api_token(scopes=[])
    person.new_api_token(scopes=[])
    assert number_of(database, person, token) == orm.APIToken.find(database, token).id
    assert number_of(database, other, token) is None
    assert number_of(database, person, token[:4] + new_token()[4:]) is None
    assert number_of(database, person, "") is None


def test_the_secret_of_a_servers_client_is_hashed_as_its_token_is(database: Any, provider: Any) -> None:
    token = new_token()
    client = provider.add_client(NAME, token, "/back", allowed_scopes=["a", "b"], description="Server of ana")
    database.commit()
    assert rounds_of(client) == orm.APIToken.generated_rounds
    assert compare_token(client.secret, token)
    assert not compare_token(client.secret, new_token())
    found = provider.fetch_by_client_id(NAME)
    assert (found.redirect_uri, found.allowed_scopes, found.description) == ("/back", ["a", "b"], "Server of ana")


def test_the_next_start_changes_the_client_that_is_there(database: Any, provider: Any) -> None:
    first, second = new_token(), new_token()
    made = provider.add_client(NAME, first, "/back", allowed_scopes=["a"])
    database.commit()
    again = provider.add_client(NAME, second, "/elsewhere")
    database.commit()
    assert again is made
    assert (again.redirect_uri, again.allowed_scopes, again.description) == ("/elsewhere", [], NAME)
    assert compare_token(again.secret, second)
    assert not compare_token(again.secret, first)


@pytest.mark.parametrize(("name", "secret"), [("service-workflows", "0a" * 16), (NAME, "chosen by somebody")])
def test_other_clients_are_jupyterhubs_own_matter(provider: Any, name: str, secret: str) -> None:
    client = provider.add_client(name, secret, "/back")
    assert rounds_of(client) == orm.APIToken.rounds
    assert compare_token(client.secret, secret)


def test_a_client_without_a_secret_has_none(provider: Any) -> None:
    assert provider.add_client(NAME, "", "/back").secret == ""


def test_it_takes_over_once_and_only_where_there_is_a_provider(provider: Any) -> None:
    before = provider.add_client
    Clients(provider).take_over()
    assert provider.add_client is before
    Clients(None).take_over()


def hub_with(database: Any, provider: Any, secret: str) -> Any:
    """Return a Hub that has a service with a secret, kept as JupyterHub keeps what it was given."""
    service = orm.Service(name="workflows")
    database.add(service)
    database.commit()
    service.oauth_client = provider.add_client("service-workflows", secret, "/back")
    if secret:
        service.new_api_token(secret, generated=False)
    database.commit()
    known = SimpleNamespace(api_token=secret, orm=service)
    return SimpleNamespace(db=database, _service_map={"workflows": known})


@pytest.mark.parametrize("secret", [new_token(), new_token() + new_token()], ids=["JupyterHub's", "the chart's"])
def test_a_random_secret_of_a_service_is_hashed_once(database: Any, provider: Any, secret: str) -> None:
    hub = hub_with(database, provider, secret)
    hash_once(hub)
    database.expire_all()
    client, token = provider.fetch_by_client_id("service-workflows"), orm.APIToken.find(database, secret)
    for kept in (client.secret, token.hashed):
        assert int(kept.split(":")[1]) == orm.APIToken.generated_rounds
        assert compare_token(kept, secret)
        assert not compare_token(kept, new_token())


@pytest.mark.parametrize("secret", ["super-secret", "a" * 64, "01" * 32, "0123456789abcdef", "G" + "0a1b2c3d" * 7])
def test_one_that_somebody_may_have_typed_stays_as_it_is(database: Any, provider: Any, secret: str) -> None:
    hub = hub_with(database, provider, secret)
    hash_once(hub)
    assert rounds_of(provider.fetch_by_client_id("service-workflows")) == orm.APIToken.rounds
    assert int(orm.APIToken.find(database, secret).hashed.split(":")[1]) == orm.APIToken.rounds


def test_a_service_without_a_client_or_a_secret_is_no_error(database: Any, provider: Any) -> None:
    hub = hub_with(database, provider, "")
    hub._service_map["workflows"].orm.oauth_client = None
    hash_once(hub)
    hub._service_map["workflows"].api_token = new_token()
    hash_once(hub)
