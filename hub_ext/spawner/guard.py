"""Settings that would put into a server what no profile names: found, and named."""

from __future__ import annotations

from typing import Any

from traitlets.config import Config, ConfigurableError, LazyConfigValue

# A session or token needs this scope to approve, review, entitle or administer.
ACT_IN_ROLES = "custom:hub-ext:act-in-roles"

# What the sharing service may at the Hub: ask who somebody is and which groups she is in (at each decision), list
# people and groups (for who looks after them), and stop a server whose person may not have it any more.
SERVICE_SCOPES = ("read:users:name", "read:users:groups", "list:users", "list:groups", "read:groups", "delete:servers")

# The spawner of each runtime, and the short name that it also has.
SPAWNERS = {
    "local": ("hub_ext.spawner.local.LocalSpawner", "hub-ext-local"),
    "kubernetes": ("hub_ext.spawner.kubernetes.KubernetesSpawner", "hub-ext-kubernetes"),
}

# What somebody may set of a spawner: nothing of it changes what is inside a server or what the server may do.
HARMLESS = frozenset(
    {
        "start_timeout", "http_timeout", "poll_interval", "poll_jitter", "consecutive_failure_limit", "kill_timeout",
        "interrupt_timeout", "term_timeout", "post_stop_hook", "progress_ready_hook", "hub_connect_url", "default_url",
        "disable_user_config", "debug", "ssl_alt_names", "ssl_alt_names_include_local", "log", "client_suffix",
    }
)  # fmt: skip

# Scopes that would let a server's own token act in roles.
_TOO_MUCH = frozenset({"inherit", "all", ACT_IN_ROLES})

# A section of a base class counts for its subclasses, spawners among them.
_BASES = ("Configurable", "LoggingConfigurable")


class Refused(ConfigurableError):
    """A setting of somebody else's that cannot stand beside hub-ext.

    Args:
        setting: Its full name, as it is written in the configuration.
        why: What it would do.
    """

    def __init__(self, setting: str, why: str) -> None:
        super().__init__(f"c.{setting} cannot be set together with hub_ext.app.configure(c): {why}.")
        self.setting = setting


def value_of(c: Config, section: str, name: str) -> Any:
    """Return what is set, None when nothing is. (Reading an attribute of `c` would leave an empty value behind.)

    Args:
        c: The configuration.
        section: Name of the class.
        name: Name of the setting.
    """
    if section not in c or name not in c[section]:
        return None
    value = c[section][name]
    if not isinstance(value, LazyConfigValue):
        return value
    parts = value.to_dict()
    if "update" in parts:
        return parts["update"]
    return [*parts.get("prepend", ()), *parts.get("extend", ()), *(one for _, one in parts.get("inserts", ()))]


def refuse_what_changes_servers(c: Config, runtime: str = "local") -> None:
    """Look for settings that would put into a server what no profile names.

    Args:
        c: The configuration.
        runtime: Where servers are (`HubExt.runtime`).

    Raises:
        Refused: At the first one.
    """
    given = value_of(c, "JupyterHub", "spawner_class")
    name_of_it = given if isinstance(given, str) or given is None else f"{given.__module__}.{given.__qualname__}"
    if name_of_it not in (None, *SPAWNERS[runtime]):
        raise Refused("JupyterHub.spawner_class", "servers are started by hub-ext's own spawner, which decides last")
    for section in [one for one in c if one.endswith("Spawner") or one in _BASES]:
        for name in c[section]:
            if name in ("server_token_scopes", "oauth_client_allowed_scopes"):
                _refuse_scopes(f"{section}.{name}", value_of(c, section, name))
            elif name not in HARMLESS:
                raise Refused(f"{section}.{name}", "it would change servers in a way that no profile names")


def _refuse_scopes(setting: str, scopes: Any) -> None:
    if callable(scopes):
        raise Refused(setting, "a function could give a server's token any right; give a list")
    excess = _TOO_MUCH.intersection(scopes or ())
    if excess:
        raise Refused(setting, f"with {min(excess)!r} a server's own token could act in roles")
