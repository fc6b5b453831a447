"""User content is named safely, cut where asked, and can reach nothing."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub_ext.web.content import byte_range, content_policy, disposition, type_of
from hub_ext.web.errors import RangeUnmet

ASSETS = "https://hub.example/services/workflows/static/"


def test_the_policy_of_user_content_is_the_one_of_the_design() -> None:
    assert content_policy("A") == (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' A; style-src 'unsafe-inline' A; "
        "img-src data: blob:; font-src data: A; connect-src 'none'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'self'"
    )
    assert "allow-same-origin" not in content_policy(ASSETS)


@given(st.text())
def test_any_name_makes_a_header_of_plain_characters(name: str) -> None:
    header = disposition(name, attachment=True)
    assert header.isascii()
    assert header.isprintable()
    quoted = header.split('"')
    assert len(quoted) == 3
    assert not set("\\/;") & set(quoted[1])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1))
def test_the_whole_name_is_kept(name: str) -> None:
    assert unquote(disposition(name, attachment=False).rpartition("''")[2]) == name


def test_a_path_is_named_by_its_last_part() -> None:
    assert disposition("a/b/c.csv", attachment=True) == "attachment; filename=\"c.csv\"; filename*=UTF-8''c.csv"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.ipynb", "application/x-ipynb+json"),
        ("a.png", "image/png"),
        ("a.csv", "text/csv"),
        ("a.csv.gz", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_types_go_by_name(name: str, kind: str) -> None:
    assert type_of(name) == kind


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=50-1000", (50, 100)),
        ("bytes=0-1,5-6", None),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("bytes=a-b", None),
    ],
)
def test_ranges(header: str, found: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_beyond_the_file_is_refused(header: str) -> None:
    with pytest.raises(RangeUnmet):
        byte_range(header, 100)


@given(st.binary(min_size=1), st.integers(0, 300), st.integers(0, 300))
def test_a_range_is_the_slice_it_names(data: bytes, first: int, last: int) -> None:
    assume(first <= last and first < len(data))
    found = byte_range(f"bytes={first}-{last}", len(data))
    assert found is not None
    assert data[slice(*found)] == data[first : last + 1]
