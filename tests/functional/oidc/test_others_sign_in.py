"""A Hub whose authenticator is oauthenticator's, as it comes: people who do nothing are asked about all the same."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import bcrypt
import psutil
import pytest

from tests.functional.conftest import Platform, clean_environment, free_port
from tests.functional.faults import until
from tests.functional.oidc.conftest import World, started
from tests.functional.oidc.people import SERVICE, SignedIn
from tests.functional.oidc.provider import CLIENT, SECRET
from tests.functional.oidc.test_staying import START, has_server, run_of, server_of

pytestmark = [pytest.mark.functional, pytest.mark.xdist_group("oidc"), pytest.mark.timeout(300)]

REFRESH = 4  # seconds; 240 where nobody sets it
FIVE_MINUTES = 300.0 - (240 - REFRESH)  # what is stated, less what the setting is shorter by
_USUAL = """
import json
told = json.loads('''{told}''')
c = get_config()
c.JupyterHub.bind_url = told["url"]
c.JupyterHub.hub_port = told["hub_port"]
c.JupyterHub.db_url = told["db_url"]
c.JupyterHub.cookie_secret_file = told["cookie_secret"]
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikFileProviderProxy.traefik_api_url = told["proxy_url"]
c.TraefikFileProviderProxy.traefik_api_username = "a"
c.TraefikFileProviderProxy.traefik_api_password = "b"
c.TraefikFileProviderProxy.traefik_api_hashed_password = told["hashed"]
c.TraefikFileProviderProxy.static_config_file = told["static"]
c.TraefikFileProviderProxy.dynamic_config_file = told["dynamic"]
c.JupyterHub.authenticator_class = "generic-oauth"
c.Authenticator.admin_users = {{"boss"}}
c.Authenticator.auth_refresh_age = 2
for name, value in told["oauth"].items():
    setattr(c.GenericOAuthenticator, name, value)
c.GenericOAuthenticator.allowed_groups = {{"analysts"}}
c.HubExt.state_dir = told["state"]
c.HubExt.sign_in_refresh = told["refresh"]
from hub_ext.app import configure
configure(c)
"""


class HubOfOnesOwn(Platform):
    """`jupyterhub`, as it is started without us; it takes Ctrl-C for a crash."""

    def stop(self, number: int = signal.SIGTERM, seconds: float = 120) -> int:
        """Stop it, and the proxy that a Hub of that kind may leave behind; return the exit code."""
        assert self.process is not None
        begun = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        code = super().stop(number, seconds)
        for one in psutil.wait_procs(begun, 3)[1]:
            one.kill()
        return code


class Others(World):
    """A Hub of somebody's own, with the two lines of ours, beside the provider."""

    made_by = HubOfOnesOwn

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        platform, issuer, state = self.platform, self.provider.issuer, self.platform.state
        state.mkdir(mode=0o700)
        told = {
            "url": platform.url, "hub_port": free_port(), "proxy_url": f"http://127.0.0.1:{free_port()}",
            "db_url": f"sqlite:///{state / 'jupyterhub.sqlite'}", "cookie_secret": str(state / "cookie-secret"),
            "hashed": bcrypt.hashpw(b"b", bcrypt.gensalt(4)).decode(),  # checked at each request, for 0.2 s as it comes
            "static": str(state / "static.toml"), "dynamic": str(state / "rules.toml"),
            "state": str(state), "refresh": REFRESH,
            "oauth": {
                "client_id": CLIENT, "client_secret": quote(SECRET, safe=""), "basic_auth": True,
                "oauth_callback_url": f"{platform.url}/hub/oauth_callback", "authorize_url": f"{issuer}/auth",
                "token_url": f"{issuer}/token", "userdata_url": f"{issuer}/me", "username_claim": "preferred_username",
                "scope": ["openid", "profile", "offline_access"], "extra_authorize_params": {"prompt": "consent"},
                "manage_groups": True, "auth_state_groups_key": "oauth_user.groups",
            },
        }  # fmt: skip
        config = folder / "jupyterhub_config.py"
        config.write_text(_USUAL.format(told=json.dumps(told)))
        platform.command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
        platform.settings = {"PATH": f"{Path(sys.executable).parent}:{clean_environment()['PATH']}"}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Others]:
    """Such a Hub."""
    with started(Others(tmp_path_factory.mktemp("others"))) as found:
        yield found


def with_a_server_and_a_token(others: Others, name: str) -> SignedIn:
    """Sign somebody in who then has both."""
    others.person(name)
    person = others.sign_in(name)
    assert person.inside, person.said
    assert person.hub("POST", f"users/{name}/tokens", {"note": "ci"}).status_code == 201
    assert person.hub("POST", f"users/{name}/server", START).status_code in (201, 202)
    until(lambda: server_of(person, name).get("ready"))
    return person


def has_nothing(others: Others, name: str) -> bool:
    return others.tokens_of(name) == 0 and not has_server(others, name)


def test_who_is_removed_at_the_provider_while_idle_loses_everything(others: Others) -> None:
    person = with_a_server_and_a_token(others, "ida")
    run_id = run_of(person, "ida", "import time; time.sleep(600)")
    until(lambda: person.get(f"runs/{run_id}").json()["state"] == "running")
    others.provider.remove("ida")
    others.provider.do("revoke", sub="ida")
    until(lambda: has_nothing(others, "ida") and others.state_of(run_id) == "cancelled", FIVE_MINUTES)
    assert not person.at_hub


def test_who_leaves_the_groups_that_may_sign_in_loses_everything(others: Others) -> None:
    with_a_server_and_a_token(others, "gus")
    others.person("gus", groups=("visitors",))
    until(lambda: has_nothing(others, "gus"), FIVE_MINUTES)


def test_groups_of_who_does_nothing_are_those_of_now(others: Others) -> None:
    others.person("gwen", groups=("analysts", "old"))
    others.person("boss")
    others.sign_in("gwen")
    boss = others.sign_in("boss")
    others.person("gwen", groups=("analysts", "new"))
    until(lambda: set(boss.hub("GET", "users/gwen").json()["groups"]) == {"analysts", "new"}, FIVE_MINUTES)


def test_while_the_provider_is_away_nobody_loses_anything(others: Others) -> None:
    with_a_server_and_a_token(others, "pat")
    held = others.tokens_of("pat")
    others.provider.do("expire", sub="pat", kinds=["AccessToken"])
    with others.provider.away():
        before = others.platform.said().count("cannot be asked about pat")
        until(lambda: others.platform.said().count("cannot be asked about pat") >= before + 2)
        assert others.tokens_of("pat") == held
        assert has_server(others, "pat")
    others.provider.remove("pat")
    until(lambda: has_nothing(others, "pat"), FIVE_MINUTES)


def test_a_refresh_token_that_is_good_once_is_used_once_by_requests_and_sweep(others: Others) -> None:
    others.person("max")
    person = others.sign_in("max")
    end = time.monotonic() + 3 * REFRESH
    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < end:  # a second use would make the provider revoke everything
            others.provider.do("expire", sub="max", kinds=["AccessToken"])
            assert all(pool.map(lambda _: person.at_hub, range(8)))
    assert person.inside


def test_where_nothing_was_given_to_ask_with_the_last_word_counts(others: Others) -> None:
    others.person("nan")
    with others.provider.changed(refresh=False):
        others.sign_in("nan")
    held = others.tokens_of("nan")
    assert held
    others.provider.do("expire", sub="nan", kinds=["AccessToken"])
    said = others.platform.said().count("need full authentication")
    with_a_server_and_a_token(others, "opal")  # somebody whose turn comes after hers
    others.provider.remove("opal")
    until(lambda: has_nothing(others, "opal"), FIVE_MINUTES)
    assert others.tokens_of("nan") == held
    assert others.platform.said().count("need full authentication") == said


def test_a_person_s_page_says_that_she_is_asked_about(others: Others) -> None:
    for name in ("zoe", "boss"):
        others.person(name)
        others.sign_in(name)
    boss = others.sign_in("boss")
    page = boss.follow(boss.http.get(f"{SERVICE}access/people/zoe"))
    assert page.status_code == 200, boss.said
    assert "It is asked about whoever holds something" in boss.said


def test_somebody_who_never_signed_in_keeps_the_token_that_an_admin_made(others: Others) -> None:
    others.person("boss")
    boss = others.sign_in("boss")
    assert boss.hub("POST", "users/robot").status_code == 201
    assert boss.hub("POST", "users/robot/tokens", {"note": "ci"}).status_code == 201
    held = others.tokens_of("robot")
    with_a_server_and_a_token(others, "olga")
    others.provider.remove("olga")
    until(lambda: has_nothing(others, "olga"), FIVE_MINUTES)
    assert others.tokens_of("robot") == held == 1


def test_after_a_start_of_the_hub_idle_people_are_asked_about_though_nobody_comes(others: Others) -> None:
    others.person("isa")
    others.sign_in("isa")
    assert others.tokens_of("isa")
    others.platform.stop()
    others.provider.remove("isa")
    others.provider.do("revoke", sub="isa")
    others.platform.start()
    until(lambda: others.tokens_of("isa") == 0, FIVE_MINUTES)
