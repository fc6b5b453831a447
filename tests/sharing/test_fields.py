"""What people say about a workflow is checked field by field, and every problem is named at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.people import Person
from hub_ext.sharing.fields import Fields, Sharing, check_fields

AMY = Person("amy", frozenset({"rivers", "coast-publishers"}))
NOBODY = Sharing()


def checked(person=AMY, sharing=NOBODY, **fields):
    return check_fields(Fields(**fields), person, sharing)


def refused(person=AMY, sharing=NOBODY, **fields):
    with pytest.raises(InvalidInput) as caught:
        checked(person, sharing, **fields)
    return {problem.field: problem.message for problem in caught.value.problems}


def test_what_is_not_said_stays_unsaid():
    assert checked() == Fields()


def test_text_is_kept_without_what_surrounds_it():
    found = checked(title="  Rain \t by\nmonth ", description=" First.\r\n\r\nSecond. ", tags=["Rain", " rain ", "Q 3"])
    assert found == Fields("Rain by month", "First.\n\nSecond.", ("rain", "q 3"))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("title", "", "must not be empty"),
        ("title", "  \n ", "must not be empty"),
        ("title", "x" * 201, "has 201 characters; at most 200"),
        ("title", 7, "must be text"),
        ("title", "rain\x00", "U+0000"),
        ("title", "abc\u202egnp.exe", "U+202E"),
        ("title", "lone \ud800", "U+D800"),
        ("description", "x" * 5001, "has 5001 characters; at most 5000"),
        ("description", "bell\x07", "U+0007"),
        ("tags", ["x" * 33], "has 33 characters; at most 32"),
        ("tags", [str(number) for number in range(11)], "has 11 tags; at most 10"),
        ("tags", ["a"] * 101, "has 101 entries"),
        ("tags", "rain", "must be a list of tags"),
        ("tags", [None], "must be text"),
        ("tags", ["a,b"], "is not a tag"),
        ("tags", ["<b>"], "is not a tag"),
        ("visibility", "public", "must be private, groups or everyone"),
        ("visibility", ["everyone"], "must be private, groups or everyone"),
        ("groups", "rivers", "must be a list of groups"),
        ("groups", [str(number) for number in range(51)], "at most 50"),
        ("groups", ["lakes"], "you are not in 'lakes'"),
        ("groups", ["river"], "did you mean rivers?"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_be_right(field, value, told):
    assert told in refused(**{field: value})[field]


def test_all_problems_are_told_at_once():
    assert set(refused(title="", tags=["x" * 40], visibility="public")) == {"title", "tags", "visibility"}


def test_visibility_groups_needs_a_group_and_groups_need_it():
    assert "name at least one group" in refused(visibility="groups")["groups"]
    assert "name at least one group" in refused(visibility="groups", groups=[])["groups"]
    assert "must be groups" in refused(groups=["rivers"])["visibility"]
    assert "must be groups" in refused(visibility="everyone", groups=["rivers"])["visibility"]
    assert checked(visibility="groups", groups=["rivers"]).groups == ("rivers",)


def test_groups_that_are_there_already_may_stay_and_others_may_not_come():
    sharing = Sharing("groups", frozenset({"lakes"}))
    assert checked(sharing=sharing, groups=["lakes", "rivers"]).groups == ("lakes", "rivers")
    assert checked(sharing=sharing, title="New").groups is None
    assert "not in 'hills'" in refused(sharing=sharing, groups=["hills"])["groups"]


def test_a_publisher_shares_with_the_group_she_publishes_for_and_an_admin_with_any():
    assert checked(visibility="groups", groups=["coast"]).groups == ("coast",)
    admin = Person("root", frozenset(), frozenset({"admin"}))
    assert checked(admin, visibility="groups", groups=["lakes"]).groups == ("lakes",)
    weak = Person("root", frozenset(), frozenset({"admin"}), may_administer=False)
    assert "not in 'lakes'" in refused(weak, visibility="groups", groups=["lakes"])["groups"]


def test_groups_leave_with_the_visibility_that_needed_them():
    sharing = Sharing("groups", frozenset({"lakes"}))
    assert checked(sharing=sharing, visibility="everyone").groups == ()
    assert checked(sharing=sharing, visibility="private").groups == ()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Fields.__dataclass_fields__, ANYTHING)))
def test_whatever_comes_is_accepted_in_normal_form_or_refused_by_field(fields):
    once, problems = None, []
    try:
        once = checked(**fields)
    except InvalidInput as error:
        problems = error.problems
    if once is None:
        assert {problem.field for problem in problems} <= set(Fields.__dataclass_fields__)
        assert problems
    else:
        assert check_fields(once, AMY, NOBODY) == once
