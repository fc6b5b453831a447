"""What `configure(c)` does for the sign-in by a provider, when settings name one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from traitlets.config import Config

from hub_ext.errors import InvalidInput
from hub_ext.settings import HubExt
from hub_ext.signin import names, secret
from hub_ext.signin.provider import check_issuer
from hub_ext.spawner.guard import Refused, value_of

AUTHENTICATOR = "hub_ext.signin.authenticator.ProviderAuthenticator"

# What somebody may set of an authenticator beside `HubExt.sign_in_…`: nothing of it changes who is believed to be whom.
HARMLESS = frozenset(
    {
        "blocked_users", "auto_login", "auto_login_oauth2_authorize", "custom_403_message",
        "login_service", "oauth_callback_url", "enable_auth_state", "refresh_pre_spawn", "auth_refresh_strict",
        "manage_groups", "home",
    }
)  # fmt: skip


def templates() -> str:
    """Return the folder of the Hub's pages of the sign-in."""
    return str(Path(__file__).parent / "templates")


def sign_in(c: Config, settings: HubExt) -> None:
    """Set the authenticator up, when a provider is named; else the one that stands there is left alone.

    Args:
        c: The configuration.
        settings: Ours.

    Raises:
        InvalidInput: If a setting of ours is wrong or missing; names it.
        Refused: If a setting of somebody else's cannot stand beside it; names it.
    """
    secret.take_from_environment()
    if not settings.sign_in_issuer:
        return
    _check(settings)
    given = value_of(c, "JupyterHub", "authenticator_class")
    if given is not None and given != AUTHENTICATOR:
        raise Refused("JupyterHub.authenticator_class", "HubExt.sign_in_issuer names a provider that people sign in by")
    for section in [one for one in c if one.endswith("Authenticator")]:
        for name in c[section]:
            if name not in HARMLESS or (name == "manage_groups" and not value_of(c, section, name)):
                raise Refused(f"{section}.{name}", "it would change who is believed to be whom; see HubExt.sign_in_…")
    c.JupyterHub.authenticator_class = AUTHENTICATOR
    c.Authenticator.manage_groups = True
    c.Authenticator.auth_refresh_age = settings.sign_in_refresh
    c.ProviderAuthenticator.home = _home(c, settings)
    public = value_of(c, "JupyterHub", "public_url")
    if public and value_of(c, "ProviderAuthenticator", "oauth_callback_url") is None:
        base = (value_of(c, "JupyterHub", "base_url") or urlsplit(public).path or "/").rstrip("/")
        parts = urlsplit(public)
        c.ProviderAuthenticator.oauth_callback_url = f"{parts.scheme}://{parts.netloc}{base}/hub/oauth_callback"
    paths: list[Any] = value_of(c, "JupyterHub", "template_paths") or []
    c.JupyterHub.template_paths = [*paths, templates()]


def _home(c: Config, settings: HubExt) -> str:
    base = (value_of(c, "JupyterHub", "base_url") or "/").rstrip("/")
    return f"{base}/services/{settings.service_name}/"


def _check(settings: HubExt) -> None:
    check_issuer(str(settings.sign_in_issuer))
    secret.read(settings)
    if not settings.sign_in_client_id:
        raise InvalidInput.of("sign_in_client_id", "must be the provider's name for this platform")
    if "openid" not in settings.sign_in_scopes:
        raise InvalidInput.of("sign_in_scopes", "must hold openid: else the provider does not say who somebody is")
    if not settings.sign_in_groups:
        raise InvalidInput.of("sign_in_groups", "must name the groups that may sign in, or '*' for everyone")
    for sub, name in settings.sign_in_names.items():
        if names.user_name(name) != name:
            raise InvalidInput.of("sign_in_names", f"the name of {names.shown(sub)} must be {names.user_name(name)!r}")
    given = list(settings.sign_in_names.values())
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        raise InvalidInput.of("sign_in_names", f"gives {twice[0]!r} to two accounts; a name belongs to one")
    reserved = {"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge"}
    clash = reserved & {one.lower() for one in settings.sign_in_parameters}
    if clash:
        raise InvalidInput.of("sign_in_parameters", f"{min(clash)} is not to be set: each sign-in makes its own")
    if settings.sign_in_ca_file and not Path(settings.sign_in_ca_file).is_file():
        raise InvalidInput.of("sign_in_ca_file", "there is no such file")
