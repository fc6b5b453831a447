"""What `configure(c)` makes of the settings of a sign-in by a provider: set, refused, and the secret nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from hub_ext.app import configure
from hub_ext.errors import InvalidInput
from hub_ext.people import scope_of
from hub_ext.settings import HubExt
from hub_ext.signin import secret
from hub_ext.signin.configuring import AUTHENTICATOR
from hub_ext.signin.provider import ProviderAway, _read_metadata, check_issuer
from hub_ext.spawner.guard import ACT_IN_ROLES, Refused

ISSUER = "https://provider.example/realms/x"
SECRET = "very-secret-indeed"


@pytest.fixture
def c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(secret, "_taken", {})
    monkeypatch.setenv(secret.VARIABLE, SECRET)
    config = Config()
    config.HubExt.state_dir = str(tmp_path / "state")
    config.HubExt.sign_in_issuer = ISSUER
    config.HubExt.sign_in_client_id = "hub"
    config.HubExt.sign_in_groups = ["analysts"]
    return config


def test_it_sets_the_authenticator_and_what_freshness_needs(c: Config) -> None:
    configure(c)
    assert c.JupyterHub.authenticator_class == AUTHENTICATOR
    assert c.Authenticator == {
        "enable_auth_state": True,
        "refresh_pre_spawn": True,
        "auth_refresh_strict": True,
        "manage_groups": True,
        "auth_refresh_age": 240,
    }


def test_the_address_that_the_provider_sends_people_back_to_is_the_public_one(c: Config) -> None:
    c.JupyterHub.public_url = "https://lab.example/x/"
    c.JupyterHub.base_url = "/x/"
    configure(c)
    assert c.ProviderAuthenticator.oauth_callback_url == "https://lab.example/x/hub/oauth_callback"


def test_groups_carry_roles_as_scopes(c: Config) -> None:
    c.HubExt.role_groups = {"curator": ["data-curators", "more"], "admin": []}
    configure(c)
    found = {role["name"]: role for role in c.JupyterHub.load_roles}
    assert found["hub-ext-curator"]["groups"] == ["data-curators", "more"]
    assert found["hub-ext-curator"]["scopes"] == [ACT_IN_ROLES, scope_of("curator")]
    assert found["hub-ext-admin"]["groups"] == []
    assert found["hub-ext-auditor"]["groups"] == ["hub-ext-auditors"]
    assert scope_of("curator") in c.JupyterHub.custom_scopes


def test_without_a_provider_the_authenticator_is_left_alone(c: Config) -> None:
    c.HubExt.sign_in_issuer = ""
    c.JupyterHub.authenticator_class = "dummy"
    c.DummyAuthenticator.password = "x"
    configure(c)
    assert c.JupyterHub.authenticator_class == "dummy"


def test_the_secret_is_in_no_setting_and_no_environment(c: Config) -> None:
    configure(c)
    assert secret.VARIABLE not in os.environ
    assert SECRET not in repr(c)
    assert SECRET not in json.dumps(HubExt(config=c).to_environment())
    assert secret.read(HubExt(config=c)) == SECRET


def test_a_file_holds_the_secret_too(c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secret.VARIABLE)
    path = tmp_path / "client"
    path.write_text(f"{SECRET}\n")
    c.HubExt.sign_in_client_secret_file = str(path)
    configure(c)
    assert secret.read(HubExt(config=c)) == SECRET


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sign_in_issuer", "http://provider.example", "https://"),
        ("sign_in_issuer", "ftp://provider.example", "https://"),
        ("sign_in_issuer", "https://", "https://"),
        ("sign_in_issuer", "https://user:pw@provider.example", "plain address"),
        ("sign_in_issuer", "https://provider.example?x=1", "plain address"),
        ("sign_in_issuer", "https://provider.example/a b", "plain address"),
        ("sign_in_issuer", "https://prövider.example", "plain address"),
        ("sign_in_client_id", "", "name for this platform"),
        ("sign_in_client_secret_file", "/nowhere/at/all", "cannot be read"),
        ("sign_in_client_secret_file", "/dev/null", "holds no secret"),
        ("sign_in_scopes", ["profile"], "openid"),
        ("sign_in_groups", [], "groups that may sign in"),
        ("sign_in_names", {"1": "Ada"}, "must be 'ada'"),
        ("sign_in_names", {"1": "a b"}, "cannot be used"),
        ("sign_in_names", {"1": "ada", "2": "ada"}, "two accounts"),
        ("sign_in_parameters", {"State": "x"}, "state is not to be set"),
        ("sign_in_ca_file", "/nowhere/at/all", "no such file"),
    ],
)
def test_a_setting_that_cannot_be_stops_the_hub_and_is_named(c: Config, name: str, value: Any, words: str) -> None:
    c.HubExt[name] = value
    with pytest.raises(InvalidInput) as caught:
        configure(c)
    assert words in caught.value.detail
    assert SECRET not in str(caught.value)


def test_no_secret_at_all_is_said(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secret.VARIABLE)
    with pytest.raises(InvalidInput, match="sign_in_client_secret_file"):
        configure(c)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("JupyterHub", "authenticator_class", "dummy"),
        ("GenericOAuthenticator", "client_secret", "x"),
        ("OAuthenticator", "allow_all", True),
        ("Authenticator", "allow_existing_users", True),
        ("ProviderAuthenticator", "enable_pkce", False),
        ("ProviderAuthenticator", "validate_server_cert", False),
        ("Authenticator", "manage_groups", False),
        ("Authenticator", "admin_users", {"ada"}),
        ("Authenticator", "auth_refresh_age", 0),
        ("Authenticator", "post_auth_hook", print),
        ("Authenticator", "refresh_user_hook", print),
        ("Authenticator", "username_map", {"ada": "root"}),
        ("Authenticator", "enable_auth_state", False),
    ],
)
def test_what_would_go_round_it_is_refused_by_name(c: Config, section: str, name: str, value: Any) -> None:
    c[section][name] = value
    with pytest.raises(Refused, match=rf"{section}\.{name}"):
        configure(c)


def test_this_machine_s_own_provider_needs_no_tls() -> None:
    for issuer in ("http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "https://x.example"):
        assert check_issuer(issuer) == issuer


METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "userinfo_endpoint": f"{ISSUER}/me",
}


def test_a_provider_says_where_everything_is() -> None:
    found = _read_metadata(METADATA, ISSUER)
    assert (found.token, found.userinfo, found.end_session) == (f"{ISSUER}/token", f"{ISSUER}/me", "")
    assert found.basic  # what OpenID Connect says where a provider does not
    assert not _read_metadata(
        {**METADATA, "token_endpoint_auth_methods_supported": ["client_secret_post"]}, ISSUER
    ).basic


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"issuer": f"{ISSUER}/"}, "to the letter"),
        ({"issuer": None}, "to the letter"),
        ({"token_endpoint": "http://provider.example/token"}, "token_endpoint"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"userinfo_endpoint": "http://provider.example/me"}, "userinfo_endpoint"),
        ({"end_session_endpoint": ["x"]}, "end_session_endpoint"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "in no way"),
    ],
)
def test_a_provider_that_says_something_else_is_not_used(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ProviderAway, match=words):
        _read_metadata({**METADATA, **changed}, ISSUER)
