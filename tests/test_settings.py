"""Every setting has one place, and two processes never differ in one."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError
from traitlets.config import Config

from hub_ext.errors import InvalidInput
from hub_ext.people import ROLES, Person, roles_of
from hub_ext.settings import HubExt, shipped

NAMES = sorted(HubExt.class_trait_names(config=True))


# --- defaults --------------------------------------------------------------------------------------------------------


def test_everything_lies_in_the_state_folder_by_default(tmp_path):
    settings = HubExt(state_dir=str(tmp_path))
    assert settings.database == f"sqlite:///{tmp_path}/hub-ext.sqlite"
    assert settings.results == f"file://{tmp_path}/results"


def test_the_state_folder_is_absolute_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert HubExt(state_dir="here").state == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert HubExt(state_dir="~/here").state == tmp_path / "here"


def test_what_is_set_goes_before_what_ships(tmp_path):
    settings = HubExt(database_url="postgresql://x", results_url="s3://b", profiles_dir="/p", notebooks_dir="/n")
    assert (settings.database, settings.results) == ("postgresql://x", "s3://b")
    assert (settings.profiles, settings.notebooks) == (Path("/p"), Path("/n"))
    assert (HubExt().profiles, HubExt().notebooks) == (shipped("profiles"), shipped("shared_notebooks"))


def test_what_ships_is_there():
    assert list(shipped("profiles").glob("*/1.yaml"))
    assert list(shipped("shared_notebooks").glob("*.ipynb"))


def test_an_environment_is_a_python():
    settings = HubExt(environments={"geo": "/opt/geo/bin/python"})
    assert (settings.python("default"), settings.python("geo"), settings.python("other")) == (
        sys.executable, "/opt/geo/bin/python", None,
    )  # fmt: skip
    assert HubExt(environments={"default": "/opt/python"}).python("default") == "/opt/python"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is_for(name):
    assert HubExt.class_traits()[name].help.endswith((".", ". "))


# --- from one process to the next ------------------------------------------------------------------------------------


def test_a_child_has_the_settings_of_its_parent(tmp_path):
    parent = HubExt(
        state_dir=str(tmp_path), database_url="postgresql://u:p@h/d", environments={"geo": "/opt/geo"}, embedded=True,
        roles={"amy": ["curator"]}, runs_at_once=7, decision_timeout=1.5, banner="Übung “1”\n= #", banner_color="#abc",
    )  # fmt: skip
    child = HubExt.from_environment(parent.to_environment())
    assert {name: getattr(child, name) for name in NAMES} == {name: getattr(parent, name) for name in NAMES}


@given(st.dictionaries(st.text(), st.lists(st.text())), st.text(st.characters(exclude_characters="\0")), st.integers(1))
def test_any_value_comes_through(roles, banner, runs):
    child = HubExt.from_environment(HubExt(roles=roles, banner=banner, runs_at_once=runs).to_environment())
    assert (child.roles, child.banner, child.runs_at_once) == (roles, banner, runs)


def test_other_variables_are_left_alone():
    environ = {"HUB_EXT_PORT": "8000", "HUB_EXT_PASSWORD": "x", "PATH": "/bin"}
    assert HubExt.from_environment(environ).to_environment() == HubExt().to_environment()


def test_roles_may_be_written_by_hand():
    environ = {"HUB_EXT_ROLES": " amy=curator, ben = auditor ,amy=reviewer,"}
    assert HubExt.from_environment(environ).roles == {"amy": ["curator", "reviewer"], "ben": ["auditor"]}
    assert HubExt.from_environment({"HUB_EXT_ROLES": ""}).roles == {}
    assert HubExt.from_environment({"HUB_EXT_ROLES": json.dumps({"amy": ["admin"]})}).roles == {"amy": ["admin"]}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HUB_EXT_RUNS_AT_ONCE", "two"),
        ("HUB_EXT_RUNS_AT_ONCE", "0"),
        ("HUB_EXT_RUNS_AT_ONCE", "1.5"),
        ("HUB_EXT_RUNS_AT_ONCE", '"2"'),
        ("HUB_EXT_EMBEDDED", "5"),
        ("HUB_EXT_ENVIRONMENTS", "[]"),
        ("HUB_EXT_ENVIRONMENTS", '{"geo": 5}'),
        ("HUB_EXT_ENVIRONMENTS", "[" * 100_000),
        ("HUB_EXT_DECISION_TIMEOUT", "0"),
        ("HUB_EXT_UPLOAD_LIMIT", "10"),
        ("HUB_EXT_BANNER_COLOR", "red"),
        ("HUB_EXT_BANNER_COLOR", "#12"),
        ("HUB_EXT_BANNER_COLOR", "#0b5d1e;}"),
        ("HUB_EXT_ROLES", "amy"),
        ("HUB_EXT_ROLES", '{"amy": "curator"}'),
    ],
)
def test_what_does_not_fit_names_its_variable(variable, text):
    with pytest.raises(InvalidInput) as caught:
        HubExt.from_environment({variable: text})
    assert caught.value.problems[0].field == variable
    assert "HubExt instance" not in caught.value.detail


@pytest.mark.parametrize("color", ["#abc", "#ABCDEF", "#0b5d1e"])
def test_a_banner_has_a_colour(color):
    assert HubExt(banner_color=color).banner_color == color


def test_in_a_configuration_file_they_are_traitlets():
    assert HubExt(config=Config(HubExt={"runs_at_once": 3})).runs_at_once == 3
    with pytest.raises(TraitError, match="runs_at_once"):
        HubExt(config=Config(HubExt={"runs_at_once": 0}))


# --- people ----------------------------------------------------------------------------------------------------------


def test_a_role_is_given_by_its_group_and_an_admin_of_the_hub_is_nothing_else():
    assert roles_of(frozenset({"analysts", "hub-ext-curators", "hub-ext-auditors"}), admin=False) == {
        "curator",
        "auditor",
    }
    assert roles_of(frozenset({"curators", "hub-ext"}), admin=True) == {"admin"}
    assert roles_of(frozenset(f"hub-ext-{role}s" for role in ROLES), admin=False) == set(ROLES)


def test_a_session_that_may_not_administer_has_no_role():
    strong = Person("amy", roles=frozenset({"admin"}))
    weak = Person("amy", roles=frozenset({"admin"}), may_administer=False)
    assert (strong.has_role("admin"), strong.has_role("auditor"), weak.has_role("admin")) == (True, False, False)
