"""Cookies of two platforms on one host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.embedded.cookies import incoming, outgoing

SUFFIX = "-1a2b3c4d"


def test_a_cookie_that_is_set_gets_the_name_of_the_platform() -> None:
    header = 'jupyterhub-hub-login="2|1:0"; expires=Wed, 23 Dec 2026 18:16:32 GMT; HttpOnly; Path=/hub/'
    assert outgoing(header, SUFFIX) == f"jupyterhub-hub-login{SUFFIX}{header.removeprefix('jupyterhub-hub-login')}"


def test_a_cookie_that_is_cleared_does_so_under_the_same_name() -> None:
    assert outgoing('_xsrf=""; Max-Age=0', SUFFIX) == f'_xsrf{SUFFIX}=""; Max-Age=0'


def test_the_session_id_is_shared() -> None:
    assert outgoing("jupyterhub-session-id=abc; Path=/", SUFFIX) == "jupyterhub-session-id=abc; Path=/"
    assert incoming("jupyterhub-session-id=abc", SUFFIX) == "jupyterhub-session-id=abc"


def test_only_cookies_of_this_platform_come_in() -> None:
    sent = f"_xsrf=plain; _xsrf-ffffffff=other; _xsrf{SUFFIX}=mine; jupyterhub-hub-login=x; a{SUFFIX}=1=2"
    assert incoming(sent, SUFFIX) == "_xsrf=mine; a=1=2"


@pytest.mark.parametrize("header", ["", ";", " ; ;", "novalue"])
def test_a_header_without_ours_comes_in_empty(header: str) -> None:
    assert incoming(header, SUFFIX) == ""


names = st.text(st.sampled_from("abcdefghij-_0123456789"), min_size=1, max_size=20)
values = st.text(st.sampled_from("abcdef0123456789|:="), max_size=20)


@given(names, values)
def test_what_goes_out_comes_in_again(name: str, value: str) -> None:
    set_cookie = outgoing(f"{name}={value}; Path=/hub/", SUFFIX)
    assert incoming(set_cookie.split(";")[0], SUFFIX) == f"{name}={value}"
    assert incoming(set_cookie.split(";")[0], "-ffffffff") == ""
