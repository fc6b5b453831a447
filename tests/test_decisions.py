"""A decision is recorded in the transaction of what depends on it, whatever was asked."""

import contextlib
import re
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub_ext.catalog.decide import Request
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Base, DecisionRow
from hub_ext.decisions import CatalogStore, DecisionPoint, parse_request
from hub_ext.errors import InvalidInput
from hub_ext.settings import HubExt

NESTED: list = []
for _ in range(900):
    NESTED = [NESTED]


@pytest.fixture
def point(database, settings):
    return DecisionPoint(database, CatalogStore(settings), settings)


def decide(point, body, groups=("analysts",), purpose="run", object_id="amy/rain"):
    with point.database.write() as session:
        return point.decide(session, parse_request("amy", purpose, body), groups, object_id)


def recorded(point, table=DecisionRow):
    with point.database.read() as session:
        return session.scalars(select(table).order_by(table.id)).all()


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_a_request_is_a_profile_and_maybe_a_version_and_options():
    assert parse_request("amy", "run", {"profile": "standard"}) == Request("amy", "run", "standard", None, {})
    body = {"profile": "standard", "version": 2, "options": {"memory": "2Gi"}}
    assert parse_request("amy", "server", body) == Request("amy", "server", "standard", 2, {"memory": "2Gi"})


@pytest.mark.parametrize("body", [None, {}, [], "standard", 5])
def test_nothing_starts_without_a_profile(body):
    with pytest.raises(InvalidInput, match="choose a profile") as caught:
        parse_request("amy", "server", body)
    assert caught.value.problems[0].field == "profile"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"options": {}}, {"profile"}),
        ({"profile": ""}, {"profile"}),
        ({"profile": ["standard"]}, {"profile"}),
        ({"profile": "standard", "version": "1"}, {"version"}),
        ({"profile": "standard", "version": True}, {"version"}),
        ({"profile": "standard", "version": 1.0}, {"version"}),
        ({"profile": "standard", "version": 0}, {"version"}),
        ({"profile": "standard", "version": 10**4500}, {"version"}),
        ({"profile": "standard", "options": ["memory"]}, {"options"}),
        ({"profile": "standard", "options": {5: 1}}, {"options"}),
        ({"profile": "standard", "display_name": "x", "image": "evil"}, {"display_name", "image"}),
        ({"profile": 5, "version": "x", "options": 5, "more": 1}, {"profile", "version", "options", "more"}),
    ],
)
def test_every_field_at_fault_is_named(body, named):
    with pytest.raises(InvalidInput) as caught:
        parse_request("amy", "server", body)
    assert {problem.field for problem in caught.value.problems} == named


def test_a_thousand_unknown_fields_are_not_told_one_by_one():
    with pytest.raises(InvalidInput) as caught:
        parse_request("amy", "server", {"profile": "standard", **{f"field-{number}": 1 for number in range(1000)}})
    assert len(caught.value.problems) == 20


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_a_yes_is_kept_with_what_it_resolved_to(point):
    decision, id_ = decide(point, {"profile": "standard", "options": {"memory": "2Gi"}})
    (row,) = recorded(point)
    assert decision.allowed
    assert (row.id, row.user, row.purpose, row.object_id, row.allowed) == (id_, "amy", "run", "amy/rain", True)
    assert row.spec["resources"]["memory"]["limit"] == "2Gi"
    assert (row.profile, row.profile_version, row.profile_digest) == ("standard", 1, decision.profile.digest)
    assert row.snapshot == point.catalog.current().digest
    (act,) = recorded(point, AuditRow)
    assert (act.actor, act.action, act.outcome) == ("amy", "run.decide", "allowed")
    assert (act.object_type, act.object_id) == ("run", "amy/rain")
    assert act.detail["decision"] == id_


def test_a_yes_names_the_image_and_what_it_was_allowed_in_spite_of(point):
    decision, _ = decide(point, {"profile": "standard"})
    (row,) = recorded(point)
    assert row.image == decision.image
    assert re.fullmatch(r"localhost/environment/default@sha256:[0-9a-f]{64}", row.image)
    assert (row.warnings, row.exceptions) == ([], [])
    (act,) = recorded(point, AuditRow)
    assert set(act.detail) == {"decision", "profile", "reasons"}


def test_a_no_is_kept_with_its_reasons(point):
    decision, _ = decide(point, {"profile": "standard"}, groups=["guests"], purpose="server", object_id="")
    (row,) = recorded(point)
    assert (decision.allowed, row.allowed, row.spec) == (False, False, None)
    assert row.reasons[0]["code"] == "no-access"
    (act,) = recorded(point, AuditRow)
    assert (act.action, act.object_id, act.outcome) == ("server.decide", "amy", "denied")


def test_nothing_is_kept_of_what_is_rolled_back(point):
    with contextlib.suppress(InterruptedError), point.database.write() as session:
        point.decide(session, parse_request("amy", "run", {"profile": "standard"}), ["analysts"], "amy/rain")
        raise InterruptedError
    assert recorded(point) == recorded(point, AuditRow) == []


@pytest.mark.parametrize(
    "request_",
    [
        Request("amy", "run", "\ud800", None, {}),
        Request("amy", "run", "a\x00b", None, {}),
        Request("amy", "run", "x" * 100_000, None, {}),
        Request("amy", "run", "standard", 10**5000, {}),
        Request("amy", "run", "standard", None, {"memory": float("nan")}),
        Request("amy", "run", "standard", None, {"memory": 10**5000}),
        Request("amy", "run", "standard", None, {"\ud800": "\ud800"}),
        Request("amy", "run", "standard", None, {"memory": "x" * 100_000}),
        Request("amy", "run", "standard", None, {"memory": NESTED}),
    ],
    ids=["surrogate", "nul", "long", "version", "nan", "number", "option", "text", "nested"],
)
def test_whatever_is_asked_is_recorded_as_denied(point, request_):
    with point.database.write() as session:
        decision, _ = point.decide(session, request_, ["analysts"], "amy/rain")
    assert not decision.allowed
    (row,) = recorded(point)
    assert not row.allowed
    assert row.reasons
    assert len(str(row.request)) < 10_000


TEXT = st.text(st.characters())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OPTIONS = st.dictionaries(TEXT | st.just("memory"), ANYTHING)
BODIES = st.fixed_dictionaries(
    {}, optional={"profile": st.just("standard") | ANYTHING, "version": ANYTHING, "options": OPTIONS}
)


@pytest.fixture(scope="module")
def module_point(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    settings = HubExt(state_dir=str(state))
    # A file: in memory, the sixth thread that looks at the catalog would close the connection that is in use here.
    database = Database(f"sqlite:///{state / 'decisions.sqlite'}")
    Base.metadata.create_all(database.engine)
    yield DecisionPoint(database, CatalogStore(settings), settings)
    database.dispose()


@given(BODIES | ANYTHING)
def test_any_body_is_refused_by_field_or_decided_and_recorded(module_point, body):
    try:
        request = parse_request("amy", "server", body)
    except InvalidInput as error:
        problems, request = error.problems, None
    else:
        problems = []
    assert bool(problems) == (request is None)
    if request is not None:
        with module_point.database.write() as session:
            decision, id_ = module_point.decide(session, request, ["analysts"], "")
            assert session.get(DecisionRow, id_).allowed == decision.allowed


# --- what else it knows ----------------------------------------------------------------------------------------------


def test_the_last_options_that_were_allowed_come_back(point):
    def last(server=""):
        with point.database.read() as session:
            return point.last_allowed(session, "amy", server)

    assert last() is None
    decide(point, {"profile": "standard", "options": {"memory": "2Gi"}}, purpose="server", object_id="")
    decide(point, {"profile": "quick-look"}, purpose="server", object_id="named")
    decide(point, {"profile": "quick-look"}, purpose="run", object_id="")
    decide(point, {"profile": "machine-learning"}, purpose="server", object_id="")
    assert last() == {"profile": "standard", "version": None, "options": {"memory": "2Gi"}}
    assert last("named")["profile"] == "quick-look"


def test_the_environments_of_this_machine_are_facts(point):
    point.settings.environments = {"geo": sys.executable, "gone": "/nowhere/python"}
    assert set(point.facts(["analysts"]).environments) == {"default", "geo"}


def test_the_snapshot_is_read_once_for_all_threads(settings):
    store = CatalogStore(settings)
    found = []
    threads = [threading.Thread(target=lambda: found.append(store.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert all(one is found[0] for one in found)
