"""Settings that would put into a server what no profile names."""

from __future__ import annotations

from typing import Any

import pytest
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from traitlets.config import Config

from hub_ext.spawner.guard import ACT_IN_ROLES, HARMLESS, Refused, refuse_what_changes_servers, value_of
from hub_ext.spawner.local import LocalSpawner


def test_an_empty_configuration_passes() -> None:
    refuse_what_changes_servers(Config())


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("Spawner", "pre_spawn_hook", lambda spawner: None),
        ("Spawner", "auth_state_hook", lambda spawner, state: None),
        ("Spawner", "apply_user_options", {"image": "image"}),
        ("Spawner", "group_overrides", {"x": {"groups": ["a"], "spawner_override": {"mem_limit": "64G"}}}),
        ("Spawner", "environment", {"AWS_SECRET_ACCESS_KEY": "x"}),
        ("Spawner", "env_keep", ["AWS_SECRET_ACCESS_KEY"]),
        ("Spawner", "args", ["--ServerApp.token="]),
        ("Spawner", "cmd", ["/bin/other"]),
        ("Spawner", "mem_limit", "64G"),
        ("Spawner", "cpu_limit", 64),
        ("Spawner", "notebook_dir", "/"),
        ("Spawner", "options_form", "<input>"),
        ("Spawner", "options_from_form", "passthrough"),
        ("Spawner", "ip", "0.0.0.0"),
        ("LocalProcessSpawner", "shell_cmd", ["bash", "-l", "-c"]),
        ("LocalProcessSpawner", "popen_kwargs", {"shell": True}),
        ("SimpleLocalProcessSpawner", "home_dir_template", "/{username}"),
        ("LocalSpawner", "cmd", ["x"]),
        ("DecidedSpawner", "cmd", ["x"]),
        ("KubeSpawner", "modify_pod_hook", lambda spawner, pod: pod),
        ("KubeSpawner", "profile_list", []),
        ("KubeSpawner", "extra_pod_config", {}),
        ("KubeSpawner", "something_that_comes_later", 1),
        ("LoggingConfigurable", "environment", {"A": "b"}),
        ("Configurable", "cmd", ["x"]),
    ],
)
def test_what_changes_servers_is_refused_by_its_name(section: str, name: str, value: Any) -> None:
    c = Config()
    c[section][name] = value
    with pytest.raises(Refused, match=rf"c\.{section}\.{name} cannot be set") as caught:
        refuse_what_changes_servers(c)
    assert caught.value.setting == f"{section}.{name}"


def test_what_is_added_to_a_container_is_seen_as_well() -> None:
    c = Config()
    c.Spawner.environment.update({"A": "b"})
    with pytest.raises(Refused, match="environment"):
        refuse_what_changes_servers(c)


@pytest.mark.parametrize("name", sorted(HARMLESS - {"log", "client_suffix"}))
def test_a_harmless_setting_is_one_that_a_spawner_has(name: str) -> None:
    assert any(name in cls.class_trait_names(config=True) for cls in (Spawner, LocalProcessSpawner))
    c = Config()
    c.Spawner[name] = 1
    refuse_what_changes_servers(c)


def test_every_setting_of_jupyterhubs_spawners_is_either_harmless_or_refused() -> None:
    for name in SimpleLocalProcessSpawner.class_trait_names(config=True):
        c = Config()
        c.SimpleLocalProcessSpawner[name] = ["x"]
        if name in HARMLESS or name in ("server_token_scopes", "oauth_client_allowed_scopes"):
            refuse_what_changes_servers(c)
        else:
            with pytest.raises(Refused):
                refuse_what_changes_servers(c)


@pytest.mark.parametrize("setting", ["server_token_scopes", "oauth_client_allowed_scopes"])
@pytest.mark.parametrize("scopes", [["inherit"], [ACT_IN_ROLES], ["self", "all"], lambda spawner: []])
def test_a_servers_token_cannot_be_given_the_right_to_act_in_roles(setting: str, scopes: Any) -> None:
    c = Config()
    c.Spawner[setting] = scopes
    with pytest.raises(Refused, match=setting):
        refuse_what_changes_servers(c)


@pytest.mark.parametrize("spawner", ["simple", "jupyterhub.spawner.LocalProcessSpawner", Spawner])
def test_another_spawner_is_refused(spawner: Any) -> None:
    c = Config()
    c.JupyterHub.spawner_class = spawner
    with pytest.raises(Refused, match=r"JupyterHub\.spawner_class"):
        refuse_what_changes_servers(c)


@pytest.mark.parametrize("spawner", ["hub-ext-local", "hub_ext.spawner.local.LocalSpawner", LocalSpawner])
def test_our_own_spawner_may_be_named(spawner: Any) -> None:
    c = Config()
    c.JupyterHub.spawner_class = spawner
    refuse_what_changes_servers(c)


def test_reading_a_setting_leaves_no_trace_and_sees_what_was_appended() -> None:
    c = Config()
    assert value_of(c, "JupyterHub", "services") is None
    assert "JupyterHub" not in c
    c.JupyterHub.services.append({"name": "one"})
    c.JupyterHub.template_vars.update({"a": 1})
    assert value_of(c, "JupyterHub", "services") == [{"name": "one"}]
    assert value_of(c, "JupyterHub", "template_vars") == {"a": 1}
    c.JupyterHub.services.append({"name": "two"})
    assert value_of(c, "JupyterHub", "services") == [{"name": "one"}, {"name": "two"}]
