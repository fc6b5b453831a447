"""configure(c): what it sets, appends to, leaves alone and refuses; and a real Hub that has only these two lines."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from traitlets.config import Config, ConfigurableError

from hub_ext.app import configure, templates
from hub_ext.db.migrate import differences
from hub_ext.db.session import Database
from hub_ext.embedded.processes import free_port
from hub_ext.settings import HubExt
from hub_ext.spawner.guard import ACT_IN_ROLES, SPAWNERS, Refused

REACH = "access:services!service=workflows"


@pytest.fixture
def c(tmp_path: Path) -> Config:
    config = Config()
    config.HubExt.state_dir = str(tmp_path / "state")
    return config


def service(c: Config, name: str) -> dict[str, Any]:
    return next(one for one in c.JupyterHub.services if one["name"] == name)


def test_it_brings_the_database_to_this_release(c: Config) -> None:
    configure(c)
    database = Database(HubExt(config=c).database)
    assert differences(database) == []
    database.dispose()


def test_it_sets_what_a_decision_needs(c: Config) -> None:
    configure(c)
    assert c.JupyterHub.spawner_class == SPAWNERS["local"][0]
    assert c.Authenticator == {"enable_auth_state": True, "refresh_pre_spawn": True, "auth_refresh_strict": True}
    assert len(c.CryptKeeper["keys"][0]) == 32
    assert c.JupyterHub.default_url == "/services/workflows/"


def test_the_service_signs_in_without_asking_and_knows_the_settings(c: Config) -> None:
    configure(c)
    found = service(c, "workflows")
    assert found["oauth_no_confirm"] is True
    assert found["oauth_client_allowed_scopes"] == [ACT_IN_ROLES]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", found["url"])
    assert found["command"][0] == sys.executable
    assert found["environment"]["HUB_EXT_STATE_DIR"] == c.HubExt.state_dir


def test_picking_a_file_is_a_second_client_that_asks(c: Config) -> None:
    configure(c)
    found = service(c, "workflows-files")
    told = service(c, "workflows")["environment"]
    assert "oauth_no_confirm" not in found
    assert found["oauth_redirect_uri"] == "/services/workflows/files/oauth_callback"
    assert found["oauth_client_allowed_scopes"] == ["access:servers!user", "read:servers!user"]
    assert found["display"] is False
    assert told["HUB_EXT_FILES_CLIENT_ID"] == found["oauth_client_id"]
    assert told["HUB_EXT_FILES_CLIENT_SECRET"] == found["api_token"]


def test_the_service_may_read_people_and_groups_and_stop_servers_and_nothing_else(c: Config) -> None:
    configure(c)
    (role,) = (role for role in c.JupyterHub.load_roles if "services" in role)
    reads = ["read:users:name", "read:users:groups", "list:users", "list:groups", "read:groups"]
    assert role["scopes"] == [*reads, "delete:servers"]
    assert role["services"] == ["workflows"]


def test_a_servers_own_token_reaches_the_service_and_cannot_act_in_roles(c: Config) -> None:
    configure(c)
    scopes = set(c.DecidedSpawner.server_token_scopes)
    assert scopes == {"users:activity!user", "access:servers!server", REACH}
    assert c.JupyterHub.extra_user_scopes == {ACT_IN_ROLES, REACH, f"{REACH}-files"}
    assert ACT_IN_ROLES in c.JupyterHub.custom_scopes


def test_what_is_there_already_stays(c: Config) -> None:
    c.JupyterHub.services = [{"name": "mine", "url": "http://127.0.0.1:1"}]
    c.JupyterHub.load_roles.append({"name": "mine", "scopes": ["self"]})
    c.JupyterHub.template_paths = ["/mine"]
    c.JupyterHub.template_vars.update({"announcement": "hello"})
    c.JupyterHub.default_url = "/hub/home"
    c.Spawner.server_token_scopes = ["users:activity!user", "list:users"]
    configure(c)
    assert [one["name"] for one in c.JupyterHub.services] == ["mine", "workflows", "workflows-files"]
    assert c.JupyterHub.load_roles[0]["name"] == "mine"
    assert c.JupyterHub.template_paths == ["/mine", templates()]
    assert c.JupyterHub.template_vars["announcement"] == "hello"
    assert c.JupyterHub.default_url == "/hub/home"
    assert {"list:users", REACH} <= set(c.DecidedSpawner.server_token_scopes)


def test_a_user_role_of_ones_own_gets_the_same_scopes(c: Config) -> None:
    c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "list:services"]}]
    configure(c)
    assert c.JupyterHub.load_roles[0]["scopes"] == ["self", "list:services", REACH, f"{REACH}-files", ACT_IN_ROLES]
    assert "extra_user_scopes" not in c.JupyterHub


def test_an_authenticator_that_manages_roles_gives_them_to_groups_itself(c: Config) -> None:
    c.Authenticator.manage_roles = True
    configure(c)
    assert [role["name"] for role in c.JupyterHub.load_roles] == ["hub-ext-service"]


def test_another_name_and_base_url_are_followed_everywhere(c: Config) -> None:
    c.HubExt.service_name = "factory"
    c.JupyterHub.base_url = "/jupyter/"
    configure(c)
    assert service(c, "factory-files")["oauth_redirect_uri"] == "/jupyter/services/factory/files/oauth_callback"
    assert c.JupyterHub.default_url == "/jupyter/services/factory/"
    assert "access:services!service=factory" in c.DecidedSpawner.server_token_scopes


def test_ports_and_secrets_stay_the_same_and_are_for_the_owner_alone(c: Config) -> None:
    state = c.HubExt.state_dir
    configure(c)
    again = Config()
    again.HubExt.state_dir = state
    configure(again)
    assert service(again, "workflows")["url"] == service(c, "workflows")["url"]
    assert service(again, "workflows-files")["api_token"] == service(c, "workflows-files")["api_token"]
    assert again.CryptKeeper["keys"] == c.CryptKeeper["keys"]
    for path in (Path(state) / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_of_ones_own_is_left(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "ab" * 32)
    configure(c)
    assert "CryptKeeper" not in c


def test_a_suffix_keeps_the_clients_of_two_hubs_apart(c: Config) -> None:
    configure(c, client_suffix="-1a2b")
    assert service(c, "workflows")["oauth_client_id"] == "service-workflows-1a2b"
    assert service(c, "workflows-files")["oauth_client_id"] == "service-workflows-files-1a2b"
    assert c.DecidedSpawner.client_suffix == "-1a2b"


@pytest.mark.parametrize("name", ["enable_auth_state", "refresh_pre_spawn", "auth_refresh_strict"])
def test_what_a_decision_needs_cannot_be_switched_off(c: Config, name: str) -> None:
    c.GenericOAuthenticator[name] = False
    with pytest.raises(Refused, match=rf"GenericOAuthenticator\.{name}"):
        configure(c)


@pytest.mark.parametrize("name", ["workflows", "workflows-files"])
def test_a_service_of_the_same_name_is_refused(c: Config, name: str) -> None:
    c.JupyterHub.services = [{"name": name}]
    with pytest.raises(Refused, match=r"JupyterHub\.services"):
        configure(c)


def test_a_refusal_leaves_no_state_behind(c: Config) -> None:
    c.Spawner.pre_spawn_hook = print
    with pytest.raises(Refused):
        configure(c)
    assert not Path(c.HubExt.state_dir).exists()


def test_a_service_elsewhere_has_its_address_and_token_from_the_environment(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUB_EXT_SERVICE_URL", raising=False)
    with pytest.raises(ConfigurableError, match="HUB_EXT_SERVICE_URL is not set"):
        configure(c, service="external")
    monkeypatch.setenv("HUB_EXT_SERVICE_URL", "http://workflows:8080")
    monkeypatch.setenv("HUB_EXT_SERVICE_TOKEN", "secret")
    configure(c, service="external")
    found = service(c, "workflows")
    assert (found["url"], found["api_token"]) == ("http://workflows:8080", "secret")
    assert "command" not in found


# A real Hub.

OWN = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "own"
c.Authenticator.allow_all = True
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikFileProviderProxy.traefik_api_url = "http://127.0.0.1:{api_port}"
c.TraefikFileProviderProxy.traefik_api_username = "a"
c.TraefikFileProviderProxy.traefik_api_password = "b"
c.JupyterHub.load_groups = {{"analysts": {{"users": ["ana"]}}}}
{extra}
from hub_ext.app import configure
configure(c)
"""


@contextlib.contextmanager
def own_hub(folder: Path, extra: str = "") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    ports = {"port": free_port(), "hub_port": free_port(), "api_port": free_port()}
    (folder / "jupyterhub_config.py").write_text(OWN.format(extra=extra, **ports))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_EXT", "JUPYTER"))}
    environ = kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (folder / "output").open("wb") as output:
        command = [sys.executable, "-m", "jupyterhub"]
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{ports['port']}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "output").read_text()[-3000:]
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail((folder / "output").read_text()[-3000:])


@pytest.mark.functional
def test_a_hub_of_ones_own_with_the_two_lines_has_profiles_service_and_pages(tmp_path: Path) -> None:
    never_waits = 'c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}'  # each start is answered while it goes on
    with own_hub(tmp_path, never_waits) as (url, process):
        wait_for(f"{url}/services/workflows/api/v1/health", process, tmp_path)
        with httpx.Client(base_url=url, trust_env=False, timeout=60, follow_redirects=True) as browser:
            page = browser.get("/hub/login").text
            xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page)
            assert xsrf
            fields = {"username": "ana", "password": "own", "_xsrf": xsrf[1]}
            home = browser.post("/hub/login", data=fields)
            assert home.url.path == "/services/workflows/"
            start = browser.get("/hub/spawn")
            assert "Standard analysis" in start.text
            token = browser.post(
                "/hub/api/users/ana/tokens",
                json={},
                headers={"X-XSRFToken": browser.cookies.get("_xsrf", path="/hub/")},
            ).json()["token"]
        headers = {"Authorization": f"token {token}"}
        with httpx.Client(base_url=f"{url}/hub/api/users/ana/", headers=headers, trust_env=False, timeout=60) as api:
            assert api.post("server", json={"image": "anything"}).status_code == 202
            with api.stream("GET", "server/progress") as events:
                assert any('"failed": true' in line and "profile" in line for line in events.iter_lines())
            denied = httpx.get(f"{url}/hub/spawn-pending/ana", cookies=browser.cookies, trust_env=False, timeout=60)
            assert (denied.status_code, "profile" in denied.text) == (403, True)
            assert api.post("server", json={"profile": "quick-look"}).status_code == 202
            with api.stream("GET", "server/progress") as events:
                assert any('"ready": true' in line for line in events.iter_lines())
            assert api.delete("server").status_code in (202, 204)
    assert (tmp_path / ".hub-ext" / "hub-ext.sqlite").exists()


@pytest.mark.functional
@pytest.mark.parametrize("setting", ["Spawner.pre_spawn_hook", "LocalProcessSpawner.popen_kwargs"])
def test_a_hub_with_a_setting_that_is_refused_does_not_start_and_names_it(tmp_path: Path, setting: str) -> None:
    with own_hub(tmp_path, f"c.{setting} = dict") as (_, process):
        assert process.wait(60) != 0
    assert f"c.{setting} cannot be set together with hub_ext.app.configure(c)" in (tmp_path / "output").read_text()


def test_a_platform_in_a_cluster_starts_its_servers_there(c: Config) -> None:
    c.HubExt.runtime = "kubernetes"
    configure(c)
    assert c.JupyterHub.spawner_class == SPAWNERS["kubernetes"][0]
    assert service(c, "workflows")["environment"]["HUB_EXT_RUNTIME"] == "kubernetes"


def test_a_cluster_has_no_use_for_the_spawner_of_local_processes(c: Config) -> None:
    c.HubExt.runtime = "kubernetes"
    c.JupyterHub.spawner_class = "hub-ext-local"
    with pytest.raises(Refused, match=r"JupyterHub\.spawner_class"):
        configure(c)
