"""Options: a person chooses among what the profile allows, and is told what that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub_ext.catalog.models import Option
from hub_ext.catalog.options import Misfit, allowed_words, apply, choose, choose_all, normalise

MEMORY = {
    "title": "Memory",
    "type": "quantity",
    "choices": ["2Gi", "4Gi"],
    "default": "4Gi",
    "sets": "resources.memory.limit",
}
SPAN = {
    "title": "Memory",
    "type": "quantity",
    "minimum": "1Gi",
    "maximum": "8Gi",
    "default": "4Gi",
    "sets": "resources.memory.limit",
}
IDLE = {"title": "Idle", "type": "integer", "minimum": 15, "maximum": 240, "default": 60, "sets": "lifetime.idle"}
CORES = {"title": "Cores", "type": "number", "choices": [0.5, 1, 2], "default": 2, "sets": "resources.cpu.limit"}
PLACE = {
    "title": "Environment",
    "type": "string",
    "choices": ["default", "geo"],
    "default": "default",
    "sets": "local.environment",
}
ALL = {"memory": MEMORY, "idle": IDLE, "cores": CORES, "place": PLACE}

HUGE = st.integers(300, 4000).map(lambda digits: 10**digits)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | HUGE | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


# --- one value -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "chosen"),
    [
        (MEMORY, "2Gi", "2Gi"), (MEMORY, "2048Mi", "2Gi"), (MEMORY, 2 * 2**30, "2Gi"),
        (SPAN, "1Gi", "1Gi"), (SPAN, "8Gi", "8Gi"), (SPAN, "1.5Gi", "1536Mi"),
        (IDLE, 15, 15), (IDLE, 240, 240), (IDLE, 30.0, 30),
        (CORES, 0.5, 0.5), (PLACE, "geo", "geo"),
    ],
)  # fmt: skip
def test_what_is_allowed_is_taken_in_its_normal_form(option, value, chosen):
    found = choose("it", Option(**option), value)
    assert found == chosen
    assert type(found) is type(chosen)


@pytest.mark.parametrize(
    ("option", "value", "words", "nearest"),
    [
        (MEMORY, "3Gi", "one of 2Gi, 4Gi", "2Gi"),
        (MEMORY, "900Gi", "one of 2Gi, 4Gi", "4Gi"),
        (MEMORY, "lots", "one of 2Gi, 4Gi", None),
        (SPAN, "9Gi", "from 1Gi to 8Gi", "8Gi"),
        (IDLE, 5, "from 15 to 240", 15),
        (IDLE, 241, "from 15 to 240", 240),
        (IDLE, 30.5, "from 15 to 240", None),
        (IDLE, "30", "from 15 to 240", None),
        (IDLE, True, "from 15 to 240", None),
        (IDLE, float("nan"), "from 15 to 240", None),
        (IDLE, 10**400, "from 15 to 240", None),
        (CORES, 1.5, "one of 0.5, 1, 2", 1),
        (PLACE, "gea", "one of default, geo", "geo"),
        (PLACE, "x" * 201, "one of default, geo", None),
    ],
)  # fmt: skip
def test_what_is_not_is_answered_with_what_is_and_the_nearest(option, value, words, nearest):
    found = choose("it", Option(**option), value)
    assert isinstance(found, Misfit)
    assert (found.allowed, found.nearest) == (words, nearest)
    assert words in found.message


def test_a_boolean_is_true_or_false_and_nothing_like_it():
    option = Option(title="Fast", type="boolean", default=False, sets="image")
    assert choose("fast", option, True) is True
    assert allowed_words(option) == "yes or no"
    for value in (1, 0, "true", "yes", None):
        assert isinstance(choose("fast", option, value), Misfit)


@given(st.sampled_from(["string", "integer", "number", "boolean", "quantity"]), ANYTHING)
def test_normal_forms_are_stable(kind, value):
    once = normalise(kind, value)
    assert once is None or normalise(kind, once) == once


@given(st.sampled_from([MEMORY, SPAN, IDLE, CORES, PLACE]), ANYTHING)
def test_any_value_is_taken_or_answered_in_words_that_can_be_shown(option, value):
    found = choose("it", Option(**option), value)
    if isinstance(found, Misfit):
        assert found.message.isprintable()
        assert len(found.message) < 400
        assert found.nearest is None or not isinstance(choose("it", Option(**option), found.nearest), Misfit)
    else:
        assert choose("it", Option(**option), found) == found


# --- all of them -----------------------------------------------------------------------------------------------------


def test_what_is_not_chosen_takes_its_default(make_profile):
    values, misfits = choose_all(make_profile(options=ALL), {"idle": 30})
    assert (values, misfits) == ({"memory": "4Gi", "idle": 30, "cores": 2, "place": "default"}, [])


def test_an_option_that_is_not_there_is_named_with_the_one_that_was_meant(make_profile):
    _, (misfit,) = choose_all(make_profile(options=ALL), {"memroy": "2Gi"})
    assert misfit.option == "memroy"
    assert "Did you mean memory?" in misfit.message
    assert misfit.allowed == "options: memory, idle, cores, place"


def test_ten_thousand_unknown_options_are_not_told_one_by_one(make_profile):
    _, misfits = choose_all(make_profile(options=ALL), {f"option-{number}" * 1000: 1 for number in range(10_000)})
    assert 0 < len(misfits) <= 20
    assert all(len(misfit.message) < 200 for misfit in misfits)


def test_chosen_values_are_put_into_the_fields_that_they_set_and_nowhere_else(make_profile):
    profile = make_profile(options=ALL)
    spec = apply(profile, {"memory": "2Gi", "idle": 30, "cores": 1, "place": "geo"})
    assert (spec.resources.memory.limit, spec.lifetime.idle) == ("2Gi", 30)
    assert (spec.resources.cpu.limit, spec.local.environment) == (1, "geo")
    same = {"resources", "lifetime", "local"}
    assert spec.model_dump(exclude=same) == profile.spec.model_dump(exclude=same)


def test_a_limit_below_the_request_takes_the_request_with_it(make_profile):
    resources = {"cpu": {"request": 1, "limit": 2}, "memory": {"request": "3Gi", "limit": "4Gi"}}
    spec = apply(make_profile(resources=resources, options=ALL), {"memory": "2Gi", "cores": 0.5})
    assert (spec.resources.memory.request, spec.resources.cpu.request) == ("2Gi", 0.5)


def test_a_request_above_its_limit_is_refused(make_profile):
    wish = MEMORY | {"choices": ["1Gi", "9Gi"], "default": "1Gi", "sets": "resources.memory.request"}
    with pytest.raises(ValueError, match="request must not be more than limit"):
        apply(make_profile(options={"wish": wish}), {"wish": "9Gi"})


# --- options that a profile must not have ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sets": "access.groups"}, "which no option may set"),
        ({"sets": "resources.memory.limits"}, "did you mean resources.memory.limit?"),
        ({"type": "string"}, "type must be quantity"),
        ({"default": "3Gi"}, "is not one of 2Gi, 4Gi"),
        ({"default": "2Gi"}, "they must be equal"),
        ({"minimum": "1Gi"}, "has choices and bounds"),
        ({"choices": ["2Gi", "much"]}, "'much' is not a size"),
        ({"choices": None}, "needs choices, or both minimum and maximum"),
        ({"choices": None, "minimum": "1Gi"}, "needs choices, or both minimum and maximum"),
        ({"choices": None, "minimum": "8Gi", "maximum": "1Gi"}, "minimum 8Gi is above maximum 1Gi"),
        ({"choices": None, "minimum": "low", "maximum": "8Gi"}, "minimum 'low' is not a size"),
    ],
)
def test_an_option_that_would_limit_nothing_or_lie_is_refused(make_profile, change, told):
    with pytest.raises(ValidationError, match=r"options\.memory") as caught:
        make_profile(options={"memory": MEMORY | change})
    assert told in str(caught.value)


def test_more_of_them(make_profile):
    with pytest.raises(ValidationError, match="a free text can limit nothing"):
        make_profile(options={"place": PLACE | {"choices": None}})
    with pytest.raises(ValidationError, match=r"which options\.memory sets already"):
        make_profile(options={"memory": MEMORY, "more": MEMORY})
    with pytest.raises(ValidationError, match="is not a whole number"):
        make_profile(options={"idle": IDLE | {"maximum": 10**400}})
    with pytest.raises(ValidationError, match="is not a whole number"):
        make_profile(options={"idle": IDLE | {"maximum": float("inf")}})
