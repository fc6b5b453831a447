"""Routes of names that need escaping, as traefik compares them."""

from __future__ import annotations

import pytest

from hub_ext.embedded.proxy import as_matched


@pytest.mark.parametrize(
    ("path", "matched"),
    [
        ("/user/ada/", "/user/ada/"),
        ("/user/o%27neil%2Bb%C3%BCro@example.org/", "/user/o%27neil%2Bbüro@example.org/"),
        ("/user/ana%23ext%23@example.org/x/", "/user/ana%23ext%23@example.org/x/"),
        ("/user/%E7%8E%8B/", "/user/王/"),
    ],
)
def test_what_means_something_in_addresses_stays_escaped(path: str, matched: str) -> None:
    assert as_matched(path) == matched
