"""Names that people type become addresses, folders and keys only in a form that harms nobody."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput
from hub_ext.sharing.names import LONGEST, RESERVED, check_name, safe_slug, suggest_name

ANY_TEXT = st.text(st.characters())  # lone surrogates too
NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?\Z")


@pytest.mark.parametrize("name", ["a", "7", "rain", "rain-2026", "a--b", "x" * 64])
def test_a_plain_name_is_kept(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "Rain", "rain fall", "a/b", "..", "../etc/passwd", ".", "-a", "a-", "a_b", "a.b", "rain\n", "rain\x00",
        "💧", "überlauf", "ｒａｉｎ", "x" * 65, "x" * 300, "<script>", "a%2fb", "\ud800", None, 7, ["a"],
    ],
)  # fmt: skip
def test_any_other_name_is_refused_with_what_is_allowed_and_one_that_would_do(name):
    with pytest.raises(InvalidInput) as caught:
        check_name(name)
    (problem,) = caught.value.problems
    assert problem.field == "name"
    assert "lower-case letters a-z, digits and hyphens" in problem.message
    suggestion = re.search(r"; (\S+) would do$", problem.message)
    assert check_name(suggestion[1]) == suggestion[1]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_address_of_the_platform_is_no_name(name):
    with pytest.raises(InvalidInput, match=f"{name}-workflow would do"):
        check_name(name)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Was this season unusual?", "was-this-season-unusual"),
        ("  Über—Größe 3 ", "uber-grosse-3"),
        ("What's left, Amy’s?", "whats-left-amys"),
        ("API", "api-workflow"),
        ("💧", "workflow"),
        ("", "workflow"),
        ("a" * 63 + " b", "a" * 63),
    ],
)
def test_a_title_suggests_a_name(title, name):
    assert suggest_name(title) == name


@given(ANY_TEXT)
def test_every_suggestion_is_a_name(title):
    assert check_name(suggest_name(title))
    assert len(suggest_name(title)) <= LONGEST


@given(ANY_TEXT, st.integers(28, 80))
def test_every_slug_is_safe_and_short(text, limit):
    slug = safe_slug(text, limit)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug)
    assert len(slug) <= limit


@given(ANY_TEXT, ANY_TEXT)
def test_two_texts_never_meet_in_one_slug(one, other):
    assert (safe_slug(one) == safe_slug(other)) == (one == other)


@given(ANY_TEXT)
def test_nobody_can_take_the_slug_of_somebody_else_by_being_called_like_it(text):
    taken = safe_slug(text)
    if taken != text:
        assert safe_slug(taken) != taken


@pytest.mark.parametrize("pair", [("Amy", "amy"), ("a.b", "a-b"), ("a/b", "a b"), ("é", "e"), ("x" * 70, "x" * 71)])
def test_texts_that_look_alike_get_slugs_of_their_own(pair):
    assert safe_slug(pair[0]) != safe_slug(pair[1])


def test_a_slug_without_room_for_its_hash_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="at least 28"):
        safe_slug("x", 20)
