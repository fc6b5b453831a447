"""The examples of docs/sign-in.md: each can be loaded into a JupyterHub, and has no misspelt setting."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub

from hub_ext.settings import HubExt
from hub_ext.signin import secret

PAGE = Path(__file__).parents[2] / "docs" / "sign-in.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
NAMES = [re.sub(r"[^a-z]+", "-", block.splitlines()[0].lower())[:30].strip("-") for block in BLOCKS]
BEFORE = """
c.HubExt.state_dir = {state!r}
c.HubExt.sign_in_client_id = "hub-ext"
c.HubExt.sign_in_groups = ["analysts"]
"""
AFTER = """
from hub_ext.app import configure
configure(c)
"""


def loaded(text: str, folder: Path) -> JupyterHub:
    """Return a JupyterHub that has read a configuration, with `configure(c)` at its end."""
    path = folder / "jupyterhub_config.py"
    path.write_text(BEFORE.format(state=str(folder / "state")) + text + AFTER)
    app = JupyterHub(log_level=logging.WARNING)
    app.raise_config_file_errors = True  # else an error in it is logged alone
    app.config_file = str(path)
    app.load_config_file(str(path))
    return app


def misspelt(app: JupyterHub) -> set[str]:
    """Return the settings of a Hub's configuration that no class knows."""
    authenticator = app.authenticator_class
    known: dict[str, type[Any]] = {
        one.__name__: one for one in authenticator.mro() if hasattr(one, "class_trait_names")
    }
    known |= {"JupyterHub": JupyterHub, "HubExt": HubExt}
    known |= {one.__name__: one for one in app.spawner_class.mro() if hasattr(one, "class_trait_names")}
    known |= {one.__name__: one for one in app.classes if isinstance(one, type)}
    return {
        f"{section}.{name}"
        for section in app.config
        for name in app.config[section]
        if section not in known or name not in known[section].class_trait_names(config=True)
    }


@pytest.fixture(autouse=True)
def the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the client's secret in the environment, and in the file that an example names."""
    monkeypatch.setattr(secret, "_taken", {})
    monkeypatch.setenv(secret.VARIABLE, "very-secret-indeed")
    path = tmp_path / "client-secret"
    path.write_text("very-secret-indeed")
    return path


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_an_example_can_be_loaded(block: str, tmp_path: Path, the_secret: Path) -> None:
    text = block.replace("/run/secrets/hub-ext-client", str(the_secret))
    text = text.replace("<tenant id>", "72f988bf-86f1-41af-91ab-2d7cd011db47")
    app = loaded(text, tmp_path)
    assert misspelt(app) == set()
    made = app.authenticator_class(config=app.config)
    assert made.manage_groups  # else no profile is anybody's
    assert made.enable_auth_state


def test_there_is_one_for_each_provider_that_is_named() -> None:
    assert len(BLOCKS) == 6
    for name in ("Keycloak", "GitLab", "Entra ID", "CILogon", "GitHub"):
        assert any(name in block for block in BLOCKS), name


def test_a_setting_of_theirs_that_is_misspelt_is_found(tmp_path: Path) -> None:
    line = "c.GitHubOAuthenticator.allowed_organisations = {'x'}"
    app = loaded(f"c.JupyterHub.authenticator_class = 'github'\n{line}\n", tmp_path)
    assert misspelt(app) == {"GitHubOAuthenticator.allowed_organisations"}


def test_a_setting_of_ours_that_is_misspelt_is_found_when_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UserWarning, match=r"sign_in_name_clam.*Did you mean.*sign_in_name_claim"):
        loaded("c.HubExt.sign_in_name_clam = 'x'\n", tmp_path)


def test_what_cannot_stand_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="sign_in_scopes"):
        loaded("c.HubExt.sign_in_issuer = 'https://x.example'\nc.HubExt.sign_in_scopes = ['profile']\n", tmp_path)
