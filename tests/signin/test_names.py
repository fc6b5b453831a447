"""Names and subjects from a provider: what differs in case or form alone is one, what cannot be a name is none."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.signin.names import LONGEST, claim_in, groups_in, same_form, subject_of, user_name


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ("ada", "ada"),
        ("Ada.Byron", "ada.byron"),
        ("ada@example.org", "ada@example.org"),
        ("José", "josé"),
        ("Jose\u0301", "josé"),  # the accent as a sign of its own
        ("ＡＤＡ", "ada"),  # full width
        ("straße", "strasse"),
        ("o'neil+lab", "o'neil+lab"),
        ("ana#EXT#@example.org", "ana#ext#@example.org"),
        ("Ärzte_2", "ärzte_2"),
        ("王小明", "王小明"),
    ],
)
def test_a_name_is_made_one_whatever_its_case_and_form(claim: str, name: str) -> None:
    assert user_name(claim) == name


@pytest.mark.parametrize(
    "claim",
    [None, 7, ["ada"], "", "   ", "a b", "a/b", "a\\b", "..", "a..b", ".ada", "-ada", "@ada", "ada\n", "ada\u202e",
     "a%2fb", "examples", "EXAMPLES", "x" * (LONGEST + 1), "x" * 100_000, "🦊", "<b>", "a\x00", "\ud800", "a?b",
     "a;b", "a:b"],
)  # fmt: skip
def test_what_cannot_be_a_name_is_refused_in_words(claim: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        user_name(claim)
    message = caught.value.problems[0].message
    assert 10 < len(message) < 300
    assert message.isprintable()


@given(st.text(max_size=140))
def test_a_name_stays_what_it_is_and_is_one_part_of_an_address(claim: str) -> None:
    try:
        name = user_name(claim)
    except InvalidInput:
        return
    assert user_name(name) == name == same_form(name)
    assert user_name(name.upper()) == user_name(name.upper().lower())
    assert unquote(quote(name, safe="")) == name
    assert not set(name) & set('/\\%?&<>" \t\n')
    assert name.isprintable()


def test_the_subject_is_the_provider_s_and_never_somebody_else_s() -> None:
    assert subject_of("https://a.example", "7") == "https://a.example 7"
    assert subject_of("https://a.example", "7") != subject_of("https://b.example", "7")
    long = subject_of("https://a.example", "x" * 255)
    assert long.startswith("sha256:")
    assert len(long) <= 255
    assert long != subject_of("https://a.example", "x" * 254 + "y")


def test_groups_are_a_list_of_names() -> None:
    assert groups_in({"groups": ["b", "a", "a", "", " x", "y\n", "z" * 256]}, "groups") == ["a", "b"]
    assert groups_in({"groups": "only"}, "groups") == ["only"]
    assert groups_in({"realm_access": {"roles": ["r"]}}, "realm_access.roles") == ["r"]
    assert groups_in({"https://x.example/groups": ["g"]}, "https://x.example/groups") == ["g"]
    assert groups_in({}, "groups") is None
    assert claim_in({"a": "text"}, "a.b") is None


@pytest.mark.parametrize("found", [{"a": 1}, [1], 7, ["g"] * 2001, [["g"]]])
def test_groups_that_are_something_else_are_refused(found: Any) -> None:
    with pytest.raises(InvalidInput):
        groups_in({"groups": found}, "groups")
