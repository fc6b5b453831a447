"""The Hub's configuration in a cluster: from what the chart sets, and no half of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from traitlets.config import Config

from hub_ext.db.addresses import patience
from hub_ext.deployed.hub import configure_hub
from hub_ext.embedded.state import check_password
from hub_ext.errors import InvalidInput
from hub_ext.spawner.guard import Refused


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the chart sets, with files in place of PostgreSQL."""
    made = {
        "CONFIGPROXY_AUTH_TOKEN": "proxy",
        "HUB_EXT_DATABASE_URL": f"sqlite:///{tmp_path}/ours.sqlite",
        "HUB_EXT_FILES_CLIENT_SECRET": "files",
        "HUB_EXT_HUB_DATABASE_URL": f"sqlite:///{tmp_path}/hub.sqlite",
        "HUB_EXT_HUB_URL": "http://hub-ext-hub:8081",
        "HUB_EXT_PROXY_API_URL": "http://hub-ext-proxy-api:8001",
        "HUB_EXT_SERVICE_TOKEN": "service",
        "HUB_EXT_SERVICE_URL": "http://hub-ext-service:8880",
        "JPY_COOKIE_SECRET": "00" * 32,
        "JUPYTERHUB_CRYPT_KEY": "11" * 32,
        "HUB_EXT_STATE_DIR": str(tmp_path / "state"),
        "HUB_EXT_RUNTIME": "kubernetes",
        "HUB_EXT_SIGN_IN": "embedded",
        "HUB_EXT_PASSWORD": "correct horse",
        "HUB_EXT_ROLES": json.dumps({"clara": ["curator"]}),
    }
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    return made


def further(tmp_path: Path, **sections: dict[str, object]) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(sections))
    return path


def test_the_parts_know_each_other(environ: dict[str, str]) -> None:
    c = Config()
    configure_hub(c, environ)
    assert c.JupyterHub.db_url == environ["HUB_EXT_HUB_DATABASE_URL"]
    assert c.JupyterHub.hub_connect_url == "http://hub-ext-hub:8081"
    assert c.ConfigurableHTTPProxy.should_start is False
    services = {one["name"]: one for one in c.JupyterHub.services}
    assert services["workflows"]["url"] == "http://hub-ext-service:8880"
    assert services["workflows"]["api_token"] == "service"
    assert "command" not in services["workflows"]
    assert services["workflows-files"]["api_token"] == "files"


def test_nobody_waits_for_minutes_for_a_database_that_vanished(environ: dict[str, str]) -> None:
    c = Config()
    configure_hub(c, environ)
    assert "db_kwargs" not in c.JupyterHub  # a file: JupyterHub's own arguments stay
    waits = patience("postgresql://hub@db/jupyterhub?connect_timeout=2")
    assert waits["tcp_user_timeout"] <= 15000
    assert "connect_timeout" not in waits  # as the address says


def test_servers_and_routes_outlive_the_hub(environ: dict[str, str]) -> None:
    c = Config()
    configure_hub(c, environ)
    assert c.JupyterHub.cleanup_servers is False
    assert c.JupyterHub.cleanup_proxy is False


def test_one_password_is_kept_as_a_hash_with_the_roles_that_settings_give(environ: dict[str, str]) -> None:
    c = Config()
    configure_hub(c, environ)
    assert check_password("correct horse", c.EmbeddedAuthenticator.password_hash)
    assert "correct horse" not in repr(c)
    assert c.EmbeddedAuthenticator.roles == {"clara": ["curator"]}


@pytest.mark.parametrize("name", ["JPY_COOKIE_SECRET", "HUB_EXT_PROXY_API_URL", "HUB_EXT_HUB_DATABASE_URL"])
def test_what_is_missing_is_named(environ: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        configure_hub(Config(), environ | {name: ""})


def test_one_password_needs_a_password(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="HUB_EXT_PASSWORD"):
        configure_hub(Config(), environ | {"HUB_EXT_PASSWORD": ""})


def test_nobody_signs_in_by_chance(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="authenticator_class"):
        configure_hub(Config(), environ | {"HUB_EXT_SIGN_IN": ""})


def test_settings_of_the_hub_are_taken_and_those_that_undo_the_decision_refused(
    environ: dict[str, str], tmp_path: Path
) -> None:
    c, environ = Config(), environ | {"HUB_EXT_SIGN_IN": ""}
    given = {"JupyterHub": {"authenticator_class": "generic-oauth"}, "GenericOAuthenticator": {"client_id": "hub"}}
    configure_hub(c, environ, further(tmp_path, **given))
    assert c.JupyterHub.authenticator_class == "generic-oauth"
    assert c.GenericOAuthenticator.client_id == "hub"
    with pytest.raises(Refused, match=r"KubeSpawner\.extra_pod_config"):
        configure_hub(Config(), environ, further(tmp_path, **given, KubeSpawner={"extra_pod_config": {}}))


def test_people_sign_in_by_a_provider(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_EXT_SIGN_IN_CLIENT_SECRET", "said by the provider")
    about = {
        "HUB_EXT_SIGN_IN": "",
        "HUB_EXT_SIGN_IN_ISSUER": "https://sign-in.example",
        "HUB_EXT_SIGN_IN_CLIENT_ID": "hub-ext",
        "HUB_EXT_SIGN_IN_GROUPS": '["*"]',
        "HUB_EXT_PUBLIC_URL": "https://hub.example",
    }
    c = Config()
    configure_hub(c, environ | about)
    assert c.JupyterHub.authenticator_class.endswith("ProviderAuthenticator")
    assert c.ProviderAuthenticator.oauth_callback_url == "https://hub.example/hub/oauth_callback"
    assert "said by the provider" not in repr(c)
