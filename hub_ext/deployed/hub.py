"""Configuration of the Hub in a cluster: a proxy and a sharing service beside it, all state in PostgreSQL.

The image's `jupyterhub_config.py` calls this; the chart sets the environment. Nothing is kept in the pod.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from traitlets import import_item
from traitlets.config import Config

from hub_ext.app import configure, templates
from hub_ext.db.addresses import driver, patience
from hub_ext.db.full import say_when_full
from hub_ext.deployed.turn import take_turn
from hub_ext.embedded.state import hash_password
from hub_ext.errors import InvalidInput
from hub_ext.kubernetes.network import HUB_PORT
from hub_ext.people import groups_of_roles
from hub_ext.settings import HubExt
from hub_ext.spawner.guard import SPAWNERS

_NEEDED = (
    "CONFIGPROXY_AUTH_TOKEN",
    "HUB_EXT_DATABASE_URL",
    "HUB_EXT_FILES_CLIENT_SECRET",
    "HUB_EXT_HUB_DATABASE_URL",
    "HUB_EXT_HUB_URL",
    "HUB_EXT_PROXY_API_URL",
    "HUB_EXT_SERVICE_TOKEN",
    "HUB_EXT_SERVICE_URL",
    "JPY_COOKIE_SECRET",
    "JUPYTERHUB_CRYPT_KEY",
)
_ROUTES_EVERY = 30  # seconds: all routes are compared; one that has none at all is seen sooner (`deployed/proxy.py`)


def configure_hub(c: Config, environ: Mapping[str, str], further: Path | None = None) -> None:
    """Set the Hub up as the chart runs it, then call `configure`.

    Args:
        c: The configuration, from `get_config()`.
        environ: What the chart sets.
        further: File of settings of JupyterHub's own (JSON: class → setting → value); they win over ours, and
            `configure` refuses what would undo the decision.

    Raises:
        InvalidInput: If something is missing, or nobody could sign in; names it.
        Refused: If a setting cannot stand beside hub-ext.
    """
    missing = [name for name in _NEEDED if not environ.get(name)]
    if missing:
        raise InvalidInput.of(missing[0], "must be set; the chart does so")
    settings = HubExt.from_environment(dict(environ))
    _load(settings)
    for name in settings.trait_names(config=True):
        c.HubExt[name] = getattr(settings, name)
    _addresses(c, environ)
    c.FollowedProxy.route = f"/services/{settings.service_name}"
    _habits(c, environ)
    if environ.get("HUB_EXT_SIGN_IN") == "embedded":
        _one_password(c, settings, environ)
    _further(c, further)
    if not c.JupyterHub.get("authenticator_class") and not settings.sign_in_issuer:
        raise InvalidInput.of("hub.config.JupyterHub.authenticator_class", "must say how people sign in")
    configure(c, service="external")
    event.listen(Engine, "handle_error", say_when_full)  # the Hub makes its engine later
    turn = take_turn(environ["HUB_EXT_HUB_DATABASE_URL"], HUB_PORT)  # last: nobody answers from here until it is up
    if turn is not None:
        turn.keep()
        # The loop has ended by then; what Python still tidies up takes seconds on a busy machine.
        atexit.register(turn.close)


def _load(settings: HubExt) -> None:
    """Load what takes long before it is this Hub's turn: nobody answers in the moments after that."""
    import_item(SPAWNERS[settings.runtime][0])
    for module in ("jupyterhub.handlers", "jupyterhub.apihandlers", "oauthenticator.generic"):
        import_module(module)


def _addresses(c: Config, environ: Mapping[str, str]) -> None:
    c.JupyterHub.hub_bind_url = f"http://:{HUB_PORT}"
    c.JupyterHub.hub_connect_url = environ["HUB_EXT_HUB_URL"]
    c.JupyterHub.db_url = driver(environ["HUB_EXT_HUB_DATABASE_URL"])
    if waits := patience(environ["HUB_EXT_HUB_DATABASE_URL"]):
        c.JupyterHub.db_kwargs = {"connect_args": waits}
    c.JupyterHub.upgrade_db = True
    if environ.get("HUB_EXT_PUBLIC_URL"):
        c.JupyterHub.public_url = environ["HUB_EXT_PUBLIC_URL"]
    c.JupyterHub.proxy_class = "hub_ext.deployed.proxy.FollowedProxy"
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = environ["HUB_EXT_PROXY_API_URL"]
    c.ConfigurableHTTPProxy.auth_token = environ["CONFIGPROXY_AUTH_TOKEN"]


def _habits(c: Config, environ: Mapping[str, str]) -> None:
    c.JupyterHub.cleanup_servers = False  # they go on while the Hub is replaced
    c.JupyterHub.cleanup_proxy = False
    c.JupyterHub.last_activity_interval = _ROUTES_EVERY
    c.JupyterHub.init_spawners_timeout = 2
    c.JupyterHub.redirect_to_server = False
    c.JupyterHub.allow_named_servers = True
    c.JupyterHub.named_server_limit_per_user = 5
    c.JupyterHub.log_level = environ.get("HUB_EXT_LOG_LEVEL", "INFO")
    c.Spawner.poll_interval = 30


def _one_password(c: Config, settings: HubExt, environ: Mapping[str, str]) -> None:
    if not environ.get("HUB_EXT_PASSWORD"):
        raise InvalidInput.of("HUB_EXT_PASSWORD", "must be set where one password lets everybody in")
    c.JupyterHub.authenticator_class = "hub_ext.auth.EmbeddedAuthenticator"
    c.EmbeddedAuthenticator.password_hash = hash_password(environ["HUB_EXT_PASSWORD"])
    c.EmbeddedAuthenticator.roles = settings.roles
    c.EmbeddedAuthenticator.role_groups = groups_of_roles(settings.role_groups)
    c.EmbeddedAuthenticator.home = f"/services/{settings.service_name}/"
    c.JupyterHub.template_paths = [str(Path(__file__).parent / "templates"), templates()]


def _further(c: Config, path: Path | None) -> None:
    if path is None or not path.exists():
        return
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    for section, settings in found.items():
        for name, value in settings.items():
            c[section][name] = value
