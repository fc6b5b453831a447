"""Sign-in of the embedded default."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hub_ext.auth import EmbeddedAuthenticator, SignInRefused
from hub_ext.embedded.state import hash_password
from hub_ext.people import ROLE_GROUPS, roles_of

PASSWORD = "pässwörd with spaces "


@pytest.fixture
def sign_in() -> EmbeddedAuthenticator:
    return EmbeddedAuthenticator(
        password_hash=hash_password(PASSWORD), roles={"clara": ["curator", "auditor"], "anton": ["admin"]}
    )


async def tried(authenticator: EmbeddedAuthenticator, name: Any, password: Any) -> dict[str, Any] | None:
    return await authenticator.get_authenticated_user(None, {"username": name, "password": password})


async def test_any_name_with_the_password_is_an_analyst(sign_in: EmbeddedAuthenticator) -> None:
    found = await tried(sign_in, "ana", PASSWORD)
    assert found is not None
    assert (found["name"], found["groups"], found["admin"]) == ("ana", ["analysts"], False)


async def test_admin_has_all_roles_and_administers_the_hub(sign_in: EmbeddedAuthenticator) -> None:
    found = await tried(sign_in, "admin", PASSWORD)
    assert found is not None
    assert found["admin"] is True
    assert roles_of(frozenset(found["groups"]), admin=False) == set(ROLE_GROUPS)
    assert "analysts" in found["groups"]


async def test_settings_give_more_roles(sign_in: EmbeddedAuthenticator) -> None:
    found = await tried(sign_in, "clara", PASSWORD)
    assert found is not None
    assert roles_of(frozenset(found["groups"]), admin=False) == {"curator", "auditor"}
    assert found["admin"] is False
    assert sign_in.is_hub_admin("anton")


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD.strip(), PASSWORD + "x", "passwörd with spaces ", None, 7])
async def test_another_password_opens_nothing(sign_in: EmbeddedAuthenticator, password: Any) -> None:
    assert await tried(sign_in, "ana", password) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "Type a name"),
        ("x" * 300, "300 characters"),
        ("🦊", "cannot be used"),
        ("admin/../x", "cannot be used"),
        ("examples", "nobody signs in"),
        ("Admin", "cannot be used"),
        ("100%s", "cannot be used"),
    ],
)
async def test_a_name_that_cannot_be_is_told_why_whatever_the_password(
    sign_in: EmbeddedAuthenticator, name: str, words: str
) -> None:
    for password in (PASSWORD, "wrong"):
        with pytest.raises(SignInRefused) as caught:
            await tried(sign_in, name, password)
        assert caught.value.status_code == 400
        assert words in caught.value.jupyterhub_message


async def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(sign_in: EmbeddedAuthenticator) -> None:
    for _ in range(5):
        assert await tried(sign_in, "ana", "wrong") is None
    with pytest.raises(SignInRefused) as caught:
        await tried(sign_in, "ana", PASSWORD)
    assert caught.value.status_code == 429
    assert "Wait " in caught.value.jupyterhub_message
    assert int(caught.value.headers["Retry-After"]) > 0
    assert await tried(sign_in, "bob", PASSWORD) is not None


async def test_a_refresh_gives_what_the_settings_say_now(sign_in: EmbeddedAuthenticator) -> None:
    groups = [SimpleNamespace(name=name) for name in sign_in.groups_of("clara")]
    user = SimpleNamespace(name="clara", admin=False, groups=groups)
    assert len(groups) > 1
    assert await sign_in.refresh_user(user) is True  # nothing is different: nothing has to be written
    sign_in.roles = {}
    found = await sign_in.refresh_user(user)
    assert isinstance(found, dict)
    assert found["groups"] == ["analysts"]
    user.groups, user.admin = groups[:1], True  # a role of the Hub itself that she has no more
    found = await sign_in.refresh_user(user)
    assert isinstance(found, dict)
    assert found["admin"] is False


@pytest.mark.parametrize(("name", "valid"), [("ana", True), ("Ana", False), ("examples", False), ("a/b", False)])
def test_names_that_an_admin_adds_follow_the_same_rule(sign_in: EmbeddedAuthenticator, name: str, valid: bool) -> None:
    assert sign_in.validate_username(name) is valid


def test_names_are_never_changed_into_other_names(sign_in: EmbeddedAuthenticator) -> None:
    assert sign_in.normalize_username("Ana") == "Ana"
