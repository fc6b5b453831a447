"""Who somebody is, in the Hub's words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from hub_ext.errors import Forbidden, Unavailable
from hub_ext.spawner.guard import ACT_IN_ROLES as GIVEN
from hub_ext.web.hub import ACT_IN_ROLES, BELIEVED, HubClient, ServiceAuth, person_of

ADA: dict[str, Any] = {
    "kind": "user",
    "name": "ada",
    "admin": False,
    "groups": ["analysts", "hub-ext-reviewers"],
    "scopes": ["access:services!service=workflows"],
}


def test_a_person_has_the_roles_of_her_groups() -> None:
    person = person_of(ADA, allowed=True)
    assert (person.name, person.groups) == ("ada", frozenset(ADA["groups"]))
    assert person.roles == {"reviewer"}


def test_she_acts_in_them_only_with_a_session_or_token_made_for_it() -> None:
    assert not person_of(ADA, allowed=True).has_role("reviewer")
    assert person_of({**ADA, "scopes": [*ADA["scopes"], ACT_IN_ROLES]}, allowed=True).has_role("reviewer")


def test_the_scope_is_the_one_that_the_hub_gives() -> None:
    assert ACT_IN_ROLES == GIVEN


def test_an_admin_of_the_hub_is_an_admin_here_and_nothing_else() -> None:
    assert person_of({**ADA, "groups": [], "admin": True}, allowed=True).roles == {"admin"}


def test_a_token_that_may_not_reach_the_service_is_refused() -> None:
    with pytest.raises(Forbidden, match="may not reach"):
        person_of(ADA, allowed=False)


def test_a_service_is_no_person() -> None:
    with pytest.raises(Forbidden, match="service"):
        person_of({**ADA, "kind": "service"}, allowed=True)


def test_the_hub_s_word_is_believed_for_a_minute_at_most() -> None:
    assert 0 < BELIEVED <= 60


@pytest.fixture
def nobody_listens() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, and never listening: a connection is refused
        yield bound.getsockname()[1]


async def test_a_hub_that_is_away_is_said_to_be(nobody_listens: int) -> None:
    auth = ServiceAuth(api_url=f"http://127.0.0.1:{nobody_listens}/hub/api", api_token="t", oauth_client_id="service-x")
    hub = HubClient(auth)
    hub.open()
    try:
        with pytest.raises(Unavailable, match="Hub"):
            await hub.groups("ada")
    finally:
        await hub.close()
