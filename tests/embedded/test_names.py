"""Names that one may sign in with, roles from the environment, and how often a password may be tried."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.embedded.names import LONGEST_NAME, Limiter, check_name, check_roles, parse_roles
from hub_ext.errors import InvalidInput, RateLimited


@pytest.mark.parametrize("name", ["a", "ana", "ana.b", "ana-b_c.d", "7", "a" * LONGEST_NAME, "admin"])
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "type a name"),
        ("a" * 65, "65 characters"),
        ("x" * 300, "300 characters"),
        ("🦊", "lower-case"),
        ("admin/../x", "lower-case"),
        ("../etc", "lower-case"),
        ("a..b", "lower-case"),
        ("Ana", "lower-case"),
        ("ana ", "lower-case"),
        ("ana\n", "lower-case"),
        ("ana\x00", "lower-case"),
        ("-ana", "lower-case"),
        ("ana-", "lower-case"),
        (".", "lower-case"),
        ("аna", "lower-case"),  # a Cyrillic a
        ("%61na", "lower-case"),
        ("examples", "ship"),
    ],
)
def test_any_other_name_is_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        check_name(name)
    assert caught.value.problems[0].field == "username"


@given(st.text(max_size=80))
def test_a_name_that_passes_is_one_path_element_and_one_cookie_word(name: str) -> None:
    try:
        check_name(name)
    except InvalidInput:
        return
    assert set(name) <= set(string.ascii_lowercase + string.digits + "-_.")
    assert name not in (".", "..")


def test_roles_are_read_from_names_and_roles() -> None:
    assert parse_roles("clara=curator, rene=reviewer,clara=auditor,") == {
        "clara": ["curator", "auditor"],
        "rene": ["reviewer"],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clara=king", "no role 'king'; there are curator, reviewer, auditor, admin"),
        ("clara", "'clara' is not name=role"),
        ("Clara=curator", "'Clara'"),
        ("=curator", "type a name"),
    ],
)
def test_roles_that_cannot_be_name_the_variable(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        parse_roles(text)
    assert caught.value.problems[0].field == "HUB_EXT_ROLES"


def test_roles_of_the_settings_are_checked_alike() -> None:
    with pytest.raises(InvalidInput, match="no role 'boss'"):
        check_roles({"clara": ["boss"]}, "HubExt.roles")


def test_five_failures_in_a_minute_make_a_name_wait_and_no_other() -> None:
    limiter = Limiter(each=5, together=30, window=60)
    for second in range(5):
        limiter.check("ana", now=second)
        limiter.failed("ana", now=second)
    with pytest.raises(RateLimited) as caught:
        limiter.check("ana", now=10.5)
    assert caught.value.retry_after == 50
    assert "Wait 50 seconds" in caught.value.hint
    limiter.check("bob", now=10.5)
    limiter.check("ana", now=60.1)


def test_failures_of_many_names_make_all_wait() -> None:
    limiter = Limiter(each=5, together=3, window=60)
    for number in range(3):
        limiter.failed(f"name{number}", now=0)
    with pytest.raises(RateLimited):
        limiter.check("somebody", now=1)
    limiter.check("somebody", now=61)


def test_a_success_forgets_the_failures_of_that_name() -> None:
    limiter = Limiter(each=2)
    limiter.failed("ana", now=0)
    limiter.succeeded("ana")
    limiter.failed("ana", now=1)
    limiter.check("ana", now=2)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60))
def test_no_more_than_the_limit_passes_in_any_window(moments: list[float]) -> None:
    limiter = Limiter(each=3, together=1000, window=10)
    passed = []
    for at in sorted(moments):
        try:
            limiter.check("ana", now=at)
        except RateLimited:
            continue
        passed.append(at)
        limiter.failed("ana", now=at)
    assert all(later - earlier >= 10 for earlier, later in zip(passed, passed[3:], strict=False))
