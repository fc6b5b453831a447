"""Configuration of the Hub of the embedded default. `hub-ext up` starts the Hub with it and sets the environment."""

# ruff: noqa: F821  # JupyterHub gives `get_config` to this file

from __future__ import annotations

import os
from pathlib import Path

from hub_ext.app import configure, templates
from hub_ext.embedded.environment import HubEnvironment
from hub_ext.people import groups_of_roles
from hub_ext.settings import HubExt

c = get_config()  # type: ignore[name-defined]

settings = HubExt.from_environment()
here = HubEnvironment.read(os.environ)
state = settings.state

for name in settings.trait_names(config=True):
    c.HubExt[name] = getattr(settings, name)
c.HubExt.embedded = settings.runtime == "local"  # pods do not run as whoever typed the command

c.EmbeddedHub.cookie_suffix = here.cookie_suffix
c.JupyterHub.bind_url = f"http://127.0.0.1:{here.port}"
if settings.runtime != "local":
    c.JupyterHub.public_url = f"http://127.0.0.1:{here.port}"  # where notebooks on one's own server are read
c.JupyterHub.hub_ip = here.hub_ip
c.JupyterHub.hub_port = here.hub_port
c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(state / "keys" / "jupyterhub-cookie-secret")
c.JupyterHub.log_level = settings.log_level
c.JupyterHub.init_spawners_timeout = 2  # one server that hangs must not keep everybody from the Hub
c.JupyterHub.redirect_to_server = False
c.JupyterHub.service_check_interval = 0  # the Hub looks after the service every second, see `EmbeddedHub`
# What becomes of a pod is heard of at once; this is for who else had not noticed.
c.Spawner.poll_interval = 5 if settings.runtime == "local" else 30
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 5
c.JupyterHub.template_paths = [templates()]

if not settings.sign_in_issuer:  # else `configure` sets the sign-in up
    c.JupyterHub.template_paths = [str(Path(__file__).parent / "templates"), templates()]
    c.JupyterHub.authenticator_class = "hub_ext.auth.EmbeddedAuthenticator"
    c.EmbeddedAuthenticator.password_hash = here.password_hash
    c.EmbeddedAuthenticator.roles = settings.roles
    c.EmbeddedAuthenticator.role_groups = groups_of_roles(settings.role_groups)
    c.EmbeddedAuthenticator.home = f"/services/{settings.service_name}/"

c.JupyterHub.proxy_class = "hub_ext.embedded.proxy.LocalProxy"
c.LocalProxy.static_config_file = str(state / "run" / "traefik.toml")
c.LocalProxy.dynamic_config_file = str(state / "run" / "traefik-routes.toml")
c.LocalProxy.record_file = str(state / "run" / "proxy.json")
c.LocalProxy.log_file = str(state / "logs" / "proxy.log")
c.LocalProxy.traefik_log_level = "WARN"
c.LocalProxy.check_route_timeout = 90  # seconds; without its first routes the Hub ends, and a machine may be busy
c.LocalProxy.traefik_api_url = f"http://127.0.0.1:{here.proxy_port}"
c.LocalProxy.traefik_api_username = "hub"
c.LocalProxy.traefik_api_password = here.proxy_password
c.LocalProxy.extra_static_config = {"global": {"checkNewVersion": False, "sendAnonymousUsage": False}}

configure(c, client_suffix=here.cookie_suffix)
