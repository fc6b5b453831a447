"""The decision: yes with exactly what it will be, or no with every reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.decide import Request, decide, may_use
from hub_ext.catalog.models import SETTABLE, field_of
from hub_ext.catalog.options import Misfit, choose
from hub_ext.errors import Denied

MEMORY = {
    "title": "Memory",
    "type": "quantity",
    "choices": ["2Gi", "4Gi"],
    "default": "4Gi",
    "sets": "resources.memory.limit",
}
IDLE = {"title": "Idle", "type": "integer", "minimum": 15, "maximum": 240, "default": 60, "sets": "lifetime.idle"}


def ask(profile="standard", version=None, purpose="server", **options):
    return Request("amy", purpose, profile, version, options)


@pytest.fixture
def profile(make_profile):
    return make_profile(options={"memory": MEMORY, "idle": IDLE})


# --- yes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["server", "run"])
def test_a_server_and_a_run_get_the_same(profile, facts, purpose):
    decision = decide(ask(purpose=purpose, memory="2Gi"), facts(profile))
    assert decision.allowed
    assert (decision.reasons, decision.profile) == ((), profile)
    assert decision.spec.resources.memory.limit == "2Gi"
    assert decision.values == {"memory": "2Gi", "idle": 60}


def test_without_a_version_it_is_the_highest(make_profile, facts):
    both = facts(make_profile(version=2), make_profile(version=10))
    assert decide(ask(), both).profile.version == 10
    assert decide(ask(version=2), both).profile.version == 2


def test_it_names_the_snapshot_it_looked_at(profile, make_profile, facts):
    one, other = facts(profile), facts(profile, make_profile("other"))
    assert decide(ask(), one).snapshot == one.catalog.digest != other.catalog.digest


def test_what_was_judged_comes_with_it_and_bears_the_names_of_the_start(profile, facts):
    decision = decide(replace(ask(), name="second", launch="s-1"), facts(profile))
    assert decision.rendering.pod["metadata"]["name"] == "server-second"
    assert decision.rendering.pod["metadata"]["labels"]["hub-ext/launch"] == "s-1"
    assert decide(ask("nonsense"), facts(profile)).rendering is None


def test_the_namespace_is_as_large_as_the_largest_that_she_may_use(profile, make_profile, facts):
    memory = {"cpu": {"request": 1, "limit": 2}, "memory": {"request": "1Gi", "limit": "32Gi"}}
    hers, of_others = (
        make_profile("large", resources=memory),
        make_profile("x", resources=memory, access={"groups": []}),
    )
    quotas = [
        decide(ask(), facts(*profiles)).rendering.around[1]["spec"]["hard"]["limits.memory"]
        for profiles in ((profile,), (profile, of_others), (profile, hers))
    ]
    assert quotas == ["24Gi", "24Gi", "192Gi"]


# --- no --------------------------------------------------------------------------------------------------------------


def only(decision):
    (reason,) = decision.reasons
    assert not decision.allowed
    assert decision.spec is None
    return reason


def test_somebody_outside_its_groups_is_told_for_whom_it_is_and_whom_to_ask(profile, facts):
    decision = decide(ask(), facts(profile, groups=("guests",)))
    reason = only(decision)
    assert (reason.code, reason.field, reason.ask) == ("no-access", "profile", "platform-team")
    assert "Standard is for analysts" in reason.message
    error = decision.error()
    assert isinstance(error, Denied)
    assert error.hint == "Ask for access on its card; platform-team keeps it."
    assert [problem.field for problem in error.problems] == ["profile"]


def test_a_profile_for_nobody_is_for_nobody(make_profile, facts):
    closed = make_profile(access={"groups": []})
    assert "people who were given access by name" in only(decide(ask(), facts(closed))).message
    assert may_use(closed, facts(closed)) is not None


def test_an_unknown_profile_is_answered_with_those_one_may_use(profile, make_profile, facts):
    secret = make_profile("standard-secret", access={"groups": ["others"]})
    reason = only(decide(ask("standrad"), facts(profile, secret)))
    assert (reason.code, reason.field, reason.allowed) == ("unknown-profile", "profile", "standard")
    assert "Did you mean standard?" in reason.message
    assert "secret" not in str(only(decide(ask("standard-secre"), facts(profile, secret))).as_dict())


def test_an_unknown_version_is_answered_with_those_that_are_there(make_profile, facts):
    reason = only(decide(ask(version=3), facts(make_profile(version=1), make_profile(version=2))))
    assert (reason.code, reason.field, reason.allowed) == ("unknown-version", "version", "1, 2")


def test_every_option_at_fault_is_told_with_what_is_allowed_and_the_nearest(profile, facts):
    decision = decide(ask(memory="3Gi", idle=5, speed=1), facts(profile))
    found = {reason.field: reason for reason in decision.reasons}
    assert set(found) == {"options.memory", "options.idle", "options.speed"}
    assert (found["options.memory"].allowed, found["options.memory"].nearest) == ("one of 2Gi, 4Gi", "2Gi")
    assert found["options.idle"].as_dict()["nearest"] == 15
    assert decision.sentence().count(".") >= 3
    assert decision.spec is None


def test_options_that_do_not_go_together_are_told_as_such(make_profile, facts):
    wish = MEMORY | {"choices": ["1Gi", "9Gi"], "default": "1Gi", "sets": "resources.memory.request"}
    reason = only(decide(ask(wish="9Gi"), facts(make_profile(options={"wish": wish}))))
    assert (reason.code, reason.field) == ("option", "options")
    assert "resources.memory: request must not be more than limit" in reason.message


def test_a_machine_without_the_environment_says_so_and_images_need_none(make_profile, facts):
    geo = make_profile(local={"environment": "geo"})
    assert only(decide(ask(), facts(geo))).code == "environment"
    assert decide(ask(), facts(geo, environments={"geo": "localhost/environment/geo@sha256:" + "0" * 64})).allowed
    assert decide(ask(), facts(geo, environments=None)).allowed


@pytest.mark.parametrize("version", [10**5000, -(10**5000), -1, 0, 2**63], ids=["huge", "tiny", "-1", "0", "long"])
def test_a_version_beyond_all_numbers_is_only_unknown(profile, facts, version):
    assert only(decide(ask(version=version), facts(profile))).code == "unknown-version"


def test_a_name_of_a_megabyte_is_answered_shortly(profile, facts):
    assert len(only(decide(ask("x" * 10**6), facts(profile))).message) < 200


# --- for any input whatever ------------------------------------------------------------------------------------------

TEXT = st.text(st.characters())
HUGE = st.integers(300, 4000).map(lambda digits: 10**digits)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | HUGE | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
LIKELY = st.sampled_from(
    ["2Gi", "4Gi", "8Gi", "12Gi", "16Gi", "2048Mi", 15, 60, 30.0, 240, 241, 1, 4, 4.0, True, "4", "90Gi", 8 * 2**30]
)
OPTIONS = st.dictionaries(st.sampled_from(["memory", "idle", "cores", "speed"]) | TEXT, LIKELY | ANYTHING, max_size=4)
NAMES = st.sampled_from(["standard", "quick-look", "large-memory", "machine-learning", "standrad"]) | TEXT
GROUPS = st.frozensets(st.sampled_from(["analysts", "modellers", "guests"]))


@given(NAMES, st.none() | st.integers() | HUGE, OPTIONS, GROUPS)
def test_a_decision_never_raises_and_is_either_yes_or_reasons(shipped_catalog, facts, name, version, options, groups):
    truth = facts(*shipped_catalog.profiles, groups=tuple(groups))
    decision = decide(Request("amy", "run", name, version, options), truth)
    assert decision.allowed == (decision.spec is not None) == (not decision.reasons)
    for reason in decision.reasons:
        assert reason.code
        assert reason.message.isprintable()
        assert reason.field.isprintable()
        assert len(reason.message) < 1000


@given(st.sampled_from(["standard", "quick-look", "large-memory", "machine-learning"]), OPTIONS)
def test_a_yes_is_what_the_profile_says_but_for_what_its_options_allow(shipped_catalog, facts, name, options):
    decision = decide(
        Request("amy", "server", name, None, options),
        facts(*shipped_catalog.profiles, groups=("analysts", "modellers")),
    )
    if not decision.allowed:
        return
    profile = decision.profile
    assert set(options) <= set(profile.spec.options)
    assert set(decision.values) == set(profile.spec.options)
    settable = {option.sets: option for option in profile.spec.options.values()}
    for option_name, option in profile.spec.options.items():
        value = decision.values[option_name]
        assert not isinstance(choose(option_name, option, value), Misfit)
        assert field_of(decision.spec, option.sets) == value
    for path in SETTABLE:
        kept = field_of(decision.spec, path) == field_of(profile.spec, path)
        assert kept or path in settable or path.replace("request", "limit") in settable
    changed = {"resources", "storage", "lifetime", "image", "local"}
    assert decision.spec.model_dump(exclude=changed) == profile.spec.model_dump(exclude=changed)


@given(OPTIONS, GROUPS)
def test_the_same_question_has_the_same_answer(shipped_catalog, facts, options, groups):
    truth = facts(*shipped_catalog.profiles, groups=tuple(groups))
    request = Request("amy", "run", "standard", None, options)
    one, other = decide(request, truth), decide(request, truth)
    assert (one.reasons, one.spec, one.profile) == (other.reasons, other.spec, other.profile)
