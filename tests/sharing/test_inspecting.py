"""What a notebook would be as a workflow, told before it is published."""

from datetime import timedelta

import pytest

from hub_ext.catalog.decide import Facts
from hub_ext.catalog.entitled import Entitled
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput, TooLarge, Unsupported
from hub_ext.people import EXAMPLES, Person
from hub_ext.settings import HubExt
from hub_ext.sharing.inspecting import inspect, usable_profiles, usual_profile


@pytest.fixture
def look(settings, catalog_store, amy):
    def look(data, person=amy):
        return inspect(data, settings=settings, catalog=catalog_store.current(), person=person)

    return look


def test_a_notebook_tells_its_title_text_tags_and_parameters(look, make_notebook):
    found = look(make_notebook(title="Rain by Month", text="How much?", tags=["Water"], profile="large-memory"))
    assert (found.name, found.title, found.description) == ("rain-by-month", "Rain by Month", "How much?")
    assert (found.tags, found.profile) == (("water",), "large-memory")
    assert found.schema["properties"]["start"]["default"] == 3
    assert found.findings == []


def test_a_notebook_that_says_nothing_still_gets_a_name_and_the_usual_profile(look, make_notebook):
    found = look(make_notebook(title=None))
    assert (found.name, found.title, found.tags, found.profile) == ("workflow", "", (), "standard")


def test_what_the_author_should_know_of_the_parameters_is_told_as_json(look, make_notebook):
    found = look(make_notebook(parameters=None))
    assert all({"message", "fix"} <= set(item) for item in found.findings)
    assert found.schema["properties"] == {}


def test_a_profile_that_does_not_exist_is_a_finding_with_a_fix(look, make_notebook):
    found = look(make_notebook(profile="gigantic"))
    assert found.profile == "standard"
    assert "gigantic, which does not exist" in found.findings[-1]["message"]
    assert "it will be standard" in found.findings[-1]["fix"]


def test_a_profile_that_the_person_may_not_use_is_a_finding_with_whom_to_ask(look, make_notebook):
    found = look(make_notebook(profile="machine-learning"))
    assert found.profile == "machine-learning"
    assert "you cannot" in found.findings[-1]["message"]
    assert "modelling-team" in found.findings[-1]["fix"]


def test_tags_that_do_not_fit_are_left_out_and_said(look, make_notebook):
    long = "x" * 36
    found = look(make_notebook(tags=[long, *(f"tag {number}" for number in range(11))]))
    assert found.tags == tuple(f"tag {number}" for number in range(10))
    assert long in found.findings[-1]["message"]
    assert "tag 10" in found.findings[-1]["message"]


def test_somebody_without_any_profile_is_told_so(look, make_notebook):
    found = look(make_notebook(profile="gigantic"), Person("new"))
    assert found.profile is None
    assert found.findings[-1]["fix"] == "Ask a curator."


def test_the_usual_profile_is_standard_else_the_smallest_that_one_may_use(catalog_store):
    def facts(*groups, **more):
        return Facts(now(), frozenset(groups), catalog_store.current(), **more)

    somebody = Person("a")
    assert usual_profile(facts("analysts"), somebody) == "standard"
    assert usual_profile(facts("modellers"), somebody) == "machine-learning"
    assert usual_profile(facts(), somebody) is None
    assert usual_profile(facts(), Person(EXAMPLES)) == "standard"
    assert [one.name for one in usable_profiles(facts("analysts"))] == ["quick-look", "standard", "large-memory"]
    entitled = Entitled("n-1", "quick-look", "person", "a", now() + timedelta(days=1))
    assert usual_profile(facts(entitlements=(entitled,)), somebody) == "quick-look"


def test_what_cannot_be_read_is_refused_in_words(look, make_notebook, catalog_store, amy, tmp_path):
    with pytest.raises(InvalidInput):
        look(b"not a notebook")
    with pytest.raises(Unsupported):
        look(make_notebook().replace(b'"language": "python"', b'"language": "julia"'))
    small = HubExt(state_dir=str(tmp_path), upload_limit=1024)
    with pytest.raises(TooLarge):
        inspect(make_notebook("x" * 2000), settings=small, catalog=catalog_store.current(), person=amy)
