"""`configure(c)`: the one call that a jupyterhub_config.py needs.

    from hub_ext.app import configure
    configure(c)

Call it last: it looks at what stands in the configuration, and refuses what would undo it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from traitlets.config import Config, ConfigurableError

from hub_ext.db.migrate import upgrade
from hub_ext.db.session import Database
from hub_ext.embedded import supervisor
from hub_ext.embedded.processes import free_port
from hub_ext.people import ROLES, groups_of_roles, scope_of
from hub_ext.settings import HubExt
from hub_ext.signin import configuring
from hub_ext.signin.sweep import begin_with_hub
from hub_ext.spawner import ended, notice
from hub_ext.spawner.guard import ACT_IN_ROLES, SERVICE_SCOPES, SPAWNERS, Refused, refuse_what_changes_servers, value_of

_Container = TypeVar("_Container", list[Any], dict[str, Any], set[str])

_NEEDED_OF_SERVERS = ("users:activity!user", "access:servers!server")


def templates() -> str:
    """Return the folder of the Hub's pages that are ours wherever servers run (start page, waiting page)."""
    return str(Path(__file__).parent / "spawner" / "templates")


def configure(c: Config, service: Literal["managed", "external"] = "managed", *, client_suffix: str = "") -> None:
    """Set JupyterHub up for hub-ext.

    It brings the database to this release, and

    - **sets** `JupyterHub.spawner_class` (by `HubExt.runtime`); `Authenticator.enable_auth_state`, `refresh_pre_spawn`
      and `auth_refresh_strict` (so that a decision sees the groups of now); `Spawner.server_token_scopes` (a server's
      own token reports activity, serves its user, and reaches the sharing service; it has not the scope to act in
      roles); `CryptKeeper.keys`, when neither it nor JUPYTERHUB_CRYPT_KEY is set, to a key in the state folder;
      `JupyterHub.default_url`, unless it is set;
    - **appends** to `JupyterHub.services` (the sharing service, which signs people in without asking, and a second
      OAuth client for "pick a file from my server", which asks), `load_roles` (one for the service: names and groups of
      users, and the end of servers; one for the group of each role), `custom_scopes`, `extra_user_scopes` (users may
      reach the service, and act in the roles that their groups give), `template_paths`, `template_vars`;
    - where `HubExt.sign_in_issuer` names a provider, **sets** the authenticator, `manage_groups`, `auth_refresh_age`
      and the address that the provider sends people back to; else it leaves the authenticator alone;
    - **leaves alone** everything else: proxy, addresses, database of the Hub, limits, your own pages;
    - **refuses**, by stopping the Hub with the name of the setting, what would put into a server what no profile names:
      every setting of a spawner that is not in `guard.HARMLESS` (hooks before the start, group overrides, command,
      arguments, environment, limits, forms, …), another spawner, tokens of servers that may act in roles, a service of
      the same name, and the three settings of the authenticator switched off.

    Args:
        c: The configuration, from `get_config()`. `c.HubExt` holds our settings.
        service: ``managed``: the Hub runs the sharing service. ``external``: it runs elsewhere; its address and token
            are in HUB_EXT_SERVICE_URL and HUB_EXT_SERVICE_TOKEN.
        client_suffix: Appended to the names of OAuth clients, and so of cookies: for two Hubs on one host name.

    Raises:
        Refused: If a setting cannot stand beside this.
        HubExtError: If the database does not answer.
    """
    settings = HubExt(config=c)
    refuse_what_changes_servers(c, settings.runtime)
    _authenticator(c, settings)
    _spawner(c, settings, client_suffix)
    _roles(c, settings)
    _services(c, settings, service, client_suffix)
    _pages(c, settings)
    _bring_up_to_date(settings)


def _bring_up_to_date(settings: HubExt) -> None:
    database = Database(settings.database)
    upgrade(database)
    database.dispose()


def _authenticator(c: Config, settings: HubExt) -> None:
    for name in ("enable_auth_state", "refresh_pre_spawn", "auth_refresh_strict"):
        for section in [one for one in c if one.endswith("Authenticator")]:
            if value_of(c, section, name) is False:
                raise Refused(f"{section}.{name}", "a decision needs what is true of a person now; leave it out")
        c.Authenticator[name] = True
    configuring.sign_in(c, settings)
    begin_with_hub()


def _spawner(c: Config, settings: HubExt, client_suffix: str) -> None:
    c.JupyterHub.spawner_class = SPAWNERS[settings.runtime][0]
    reach = f"access:services!service={settings.service_name}"
    given = next((found for one in c if (found := _scopes_set(c, one))), list(_NEEDED_OF_SERVERS))
    c.DecidedSpawner.server_token_scopes = sorted({*given, *_NEEDED_OF_SERVERS, reach})
    c.DecidedSpawner.client_suffix = client_suffix


def _scopes_set(c: Config, section: str) -> list[str] | None:
    return value_of(c, section, "server_token_scopes") if section.endswith("Spawner") else None


def _roles(c: Config, settings: HubExt) -> None:
    # The service, and its second client: "pick a file from my server" signs her in there, too.
    reach = {f"access:services!service={settings.service_name}{part}" for part in ("", "-files")}
    words = "Act in the roles of hub-ext that one's groups give (curator, reviewer, …)"
    scopes = {ACT_IN_ROLES: {"description": words}}
    scopes |= {scope_of(role): {"description": f"Act as {role} of hub-ext, and in no other role"} for role in ROLES}
    _set(c, "custom_scopes", _given(c, "custom_scopes", {}) | scopes)
    given = _given(c, "load_roles", [])
    overridden = [role for role in given if role.get("name") == "user" and "scopes" in role]
    if overridden:  # then JupyterHub does not look at extra_user_scopes
        overridden[0]["scopes"] = [*overridden[0]["scopes"], *sorted(reach), ACT_IN_ROLES]
    else:
        _set(c, "extra_user_scopes", {*_given(c, "extra_user_scopes", set()), *reach, ACT_IN_ROLES})
    managed = any(value_of(c, one, "manage_roles") for one in c if one.endswith("Authenticator"))
    roles: list[dict[str, Any]] = [
        {
            "name": "hub-ext-service",
            "description": "hub-ext's sharing service: people, groups, and the end of servers without a right",
            "scopes": list(SERVICE_SCOPES),
            "services": [settings.service_name],
        }
    ]
    if not managed:  # else the authenticator alone gives roles to groups
        roles += [_group_role(role, groups) for role, groups in groups_of_roles(settings.role_groups).items()]
    _set(c, "load_roles", [*given, *roles])


def _group_role(role: str, groups: list[str]) -> dict[str, Any]:
    return {
        "name": f"hub-ext-{role}",
        "description": f"May act as {role} in hub-ext",
        "scopes": [ACT_IN_ROLES, scope_of(role)],
        "groups": groups,
    }


def _services(c: Config, settings: HubExt, service: str, suffix: str) -> None:
    name = settings.service_name
    files = f"{name}-files"
    given = _given(c, "services", [])
    known = [one.get("name") for one in given]
    for one in (name, files):
        if one in known:
            raise Refused("JupyterHub.services", f"there is a service {one!r} already; set c.HubExt.service_name")
    prefix = f"{(value_of(c, 'JupyterHub', 'base_url') or '/').rstrip('/')}/services/{name}"
    client_id = f"service-{files}{suffix}"
    # A service that runs elsewhere cannot read our state folder: both are told.
    client_secret = os.environ.get("HUB_EXT_FILES_CLIENT_SECRET") or _secret(settings.state, "files-client-secret")
    entry: dict[str, Any] = {
        "name": name,
        "oauth_no_confirm": True,  # for what signing in needs: the scopes below, and no more
        "oauth_client_id": f"service-{name}{suffix}",
        "oauth_client_allowed_scopes": [ACT_IN_ROLES],
    }
    told = {"HUB_EXT_FILES_CLIENT_ID": client_id, "HUB_EXT_FILES_CLIENT_SECRET": client_secret}
    entry |= _managed(settings, told) if service == "managed" else _external()
    picking: dict[str, Any] = {
        "name": files,
        "api_token": client_secret,
        "display": False,
        "oauth_client_id": client_id,
        "oauth_redirect_uri": f"{prefix}/files/oauth_callback",
        # To find her server and to read from it; the Hub asks her each time.
        "oauth_client_allowed_scopes": ["access:servers!user", "read:servers!user"],
    }
    _set(c, "services", [*given, entry, picking])


def _managed(settings: HubExt, told: dict[str, str]) -> dict[str, Any]:
    return {
        "url": _listening(settings) or f"http://127.0.0.1:{_port(settings.state)}",
        # Without `site`: the supervisor needs the standard library alone, and every megabyte counts.
        "command": [sys.executable, "-S", str(supervisor.__file__)],
        "environment": settings.to_environment() | told | _account(settings) | _keys_of_results(settings),
        "timeout": 60,
    }


def _account(settings: HubExt) -> dict[str, str]:
    """Return who the service is in the cluster, where that is somebody else than the Hub."""
    return {"HUB_EXT_KUBECONFIG": str(settings.service_kubeconfig)} if settings.service_kubeconfig else {}


def _keys_of_results(settings: HubExt) -> dict[str, str]:
    """Return the keys of the bucket that results are in, which the service alone needs of all that the Hub starts."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    return found if settings.results.startswith("s3:") else {}


def _listening(settings: HubExt) -> str:
    """Return where the service is to listen so that pods reach it; empty where that is somebody else's matter."""
    url = urlsplit(settings.pods_service_url if settings.runtime == "kubernetes" else "")
    try:
        ipaddress.ip_address(url.hostname or "")
    except ValueError:
        return ""
    return f"http://{url.netloc}"


def _external() -> dict[str, Any]:
    found = {}
    for variable in ("HUB_EXT_SERVICE_URL", "HUB_EXT_SERVICE_TOKEN"):
        if not os.environ.get(variable):
            msg = f"{variable} is not set; configure(c, service='external') needs it"
            raise ConfigurableError(msg)
        found[variable] = os.environ[variable]
    return {"url": found["HUB_EXT_SERVICE_URL"], "api_token": found["HUB_EXT_SERVICE_TOKEN"]}


def _port(state: Path) -> int:
    """Return a free port for the service, where possible the one of the last time, and record it."""
    path = state / "run" / "service-port.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = 0
    with contextlib.suppress(OSError, ValueError):  # none yet, or half of one: any other port does as well
        known = int(json.loads(path.read_text()))
    port = free_port(known)
    _write(path, json.dumps(port))
    return port


def _secret(state: Path, name: str) -> str:
    """Return a secret of 32 bytes as hex digits, made at first use and readable by this user alone."""
    path = state / "keys" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _write(path, secrets.token_hex(32))
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, all or nothing: half a key would be one for ever."""
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".partial")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        Path(partial).replace(path)
    except OSError:
        Path(partial).unlink(missing_ok=True)
        raise


def _pages(c: Config, settings: HubExt) -> None:
    if value_of(c, "JupyterHub", "default_url") is None:
        base = (value_of(c, "JupyterHub", "base_url") or "/").rstrip("/")
        c.JupyterHub.default_url = f"{base}/services/{settings.service_name}/"
    if not os.environ.get("JUPYTERHUB_CRYPT_KEY") and not value_of(c, "CryptKeeper", "keys"):
        c.CryptKeeper.keys = [bytes.fromhex(_secret(settings.state, "crypt-key"))]
    paths = _given(c, "template_paths", [])
    if templates() not in paths:
        _set(c, "template_paths", [*paths, templates()])
    ours = {
        "hub_ext_banner": settings.banner,
        "hub_ext_banner_color": settings.banner_color,
        "hub_ext_embedded": settings.embedded,
        "hub_ext_read_only": notice.for_pages(settings),
        "hub_ext_service": settings.service_name,
        "hub_ext_why_ended": ended.for_pages,
    }
    _set(c, "template_vars", _given(c, "template_vars", {}) | ours)


def _given(c: Config, name: str, empty: _Container) -> _Container:
    """Return a list, set or dictionary of the Hub's as it is now, however it was filled."""
    found = value_of(c, "JupyterHub", name)
    return type(empty)(found) if found else empty  # a copy of what is there


def _set(c: Config, name: str, value: Any) -> None:
    c.JupyterHub[name] = value
