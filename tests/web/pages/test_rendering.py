"""Templates: no word of anybody becomes markup, and what is empty says what to do."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import DictLoader, Environment

from hub_ext.db.types import now
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.health import Health
from hub_ext.sharing.listing import Listing, Summary
from hub_ext.web.errors import describe
from hub_ext.web.pages import rendering
from hub_ext.web.pages.about import Said, about_fields, read_about
from hub_ext.web.pages.gallery import Filters
from hub_ext.web.pages.page import may_audit

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
BASE = "/services/workflows/"


def page(template: str, **values: Any) -> str:
    """Return a page as ann sees it."""
    common = {
        "base": BASE,
        "hub_base": "/hub/",
        "here": "gallery",
        "person": Person("ann"),
        "navigation": [("gallery", f"{BASE}gallery", "Gallery")],
        "settings": HubExt(),
        "static": lambda path: f"{BASE}static/{path}",
        "xsrf_token": "token",
        "topics": "runs",
        "read_only": None,
    }
    return rendering.render(template, **(common | values))


def summary(**changes: Any) -> Summary:
    """Return a row of the gallery."""
    values: dict[str, Any] = {
        "id": "w-1",
        "owner": "ann",
        "name": "rainfall",
        "title": "Rainfall",
        "description": "",
        "tags": (),
        "visibility": "everyone",
        "version": 1,
        "verified": False,
        "health": Health(),
        "last_run_at": None,
        "picture": None,
        "favourite": False,
        "updated_at": now(),
    }
    return Summary(**(values | changes))


def gallery(listing: Listing, **filters: Any) -> str:
    """Return the gallery with some rows."""
    found = Filters(**filters)
    return page(
        "gallery.html",
        page=listing,
        filters=found,
        filtered=bool(filters),
        address=lambda **changes: found.address(f"{BASE}gallery", **changes),
    )


def assert_plain(text: str) -> None:
    """Assert that the hostile words are words."""
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert "alert(1)" in text
    assert re.search(r'\sonerror=(?![^"]*&gt;)', re.sub(r'="[^"]*"', "", re.sub(r">[^<]*<", "><", text))) is None


def test_a_hostile_workflow_in_the_gallery_is_words() -> None:
    row = summary(title=HOSTILE, description=HOSTILE, owner=HOSTILE, name=HOSTILE, tags=(HOSTILE,))
    text = gallery(Listing([row], "next", 1, [(HOSTILE, 1)]), q=HOSTILE, tag=HOSTILE, owner=HOSTILE)
    assert_plain(text)


def test_a_hostile_owner_stays_one_part_of_the_address() -> None:
    text = gallery(Listing([summary(owner="../../hub/a?b#c")], None, 1))
    assert 'href="/services/workflows/w/..%2F..%2Fhub%2Fa%3Fb%23c/rainfall"' in text


def test_a_hostile_error_is_words() -> None:
    problem = describe(ValueError(HOSTILE), "q-1") | {"detail": HOSTILE, "hint": HOSTILE, "title": HOSTILE}
    assert_plain(page("error.html", problem=problem, request_id="q-1"))


def test_a_person_with_a_hostile_name_and_a_hostile_banner_are_words() -> None:
    problem = describe(None, "q-1")
    text = page(
        "error.html", problem=problem, request_id="q-1", person=Person(HOSTILE), settings=HubExt(banner=HOSTILE)
    )
    assert_plain(text)


def test_an_error_tells_what_happened_what_to_do_and_an_id() -> None:
    problem = {"title": "Not found", "detail": "No such run.", "hint": "Look again.", "status": 404}
    text = page("error.html", problem=problem, request_id="q-123")
    assert all(word in text for word in ("Not found", "No such run.", "Look again.", "q-123", "404"))


def test_an_empty_gallery_says_what_to_do() -> None:
    assert "Publish a notebook" in gallery(Listing())
    assert "Show all workflows" in gallery(Listing(), q="zzz")


def test_paging_keeps_the_filter() -> None:
    text = gallery(Listing([summary()], "abc", 30), q="rain fall", tag="weather", sort="title")
    assert f"{BASE}gallery?q=rain+fall&amp;tag=weather&amp;sort=title&amp;cursor=abc" in text


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "/g?q=a&tag=b&favourites=1"),
        ({"tag": None}, "/g?q=a&favourites=1"),
        ({"favourites": None, "tag": "c d"}, "/g?q=a&tag=c+d"),
        ({"cursor": "x/y"}, "/g?q=a&tag=b&favourites=1&cursor=x%2Fy"),
    ],
)
def test_the_address_holds_the_filter(changes: dict[str, Any], address: str) -> None:
    assert Filters(q="a", tag="b", favourites=True, cursor="old").address("/g", **changes) == address


@pytest.mark.parametrize(
    ("health", "word"),
    [
        (Health(2, 2), "No runs yet"),
        (Health(3, 3), "Works"),
        (Health(6, 10), "Sometimes fails"),
        (Health(0, 5), "Often fails"),
    ],
)
def test_health_is_a_word_with_both_counts(health: Health, word: str) -> None:
    text = gallery(Listing([summary(health=health)], None, 1))
    assert word in text
    assert not health.known or f"{health.succeeded} of {health.ended} succeeded" in text


def test_the_record_is_offered_to_those_who_may_read_it() -> None:
    assert may_audit(Person("aude", roles=frozenset({"auditor"})))
    assert not may_audit(Person("ann"))
    assert not may_audit(Person("aude", roles=frozenset({"auditor"}), may_administer=False))


def test_what_is_said_about_a_workflow_comes_back_from_its_form() -> None:
    said = Said("Title", "About\nit", ("a b", "c"), "groups", ("analysts",))
    fields = about_fields(said, Person("ann", frozenset({"analysts", "others"})))
    typed = {field.name: [field.value] for field in fields if not field.choices}
    typed |= {field.name: [one.value for one in field.choices if one.chosen] for field in fields if field.choices}
    assert read_about(typed) == said


def test_groups_are_dropped_when_the_workflow_is_for_everyone() -> None:
    assert read_about({"visibility": ["everyone"], "groups": ["analysts"]}).groups is None


def test_times_of_runs_are_told_with_the_exact_one_beside() -> None:
    at = now()
    run = SimpleNamespace(
        id="r-1",
        state="failed",
        reason=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        created_at=at,
        started_at=at,
        ended_at=at,
        workflow=SimpleNamespace(title=HOSTILE, owner="ann", name="rainfall"),
        version=SimpleNamespace(number=1),
    )
    runs = SimpleNamespace(items=[run], next=None)
    text = page(
        "runs.html",
        runs=runs,
        state="",
        cursor="",
        address=lambda **_: "",
        all_states=["failed"],
        of_one=False,
    )
    assert_plain(text)
    assert f'datetime="{at.isoformat(timespec="seconds")}"' in text


def compiled_in(folder: Path, text: str) -> str:
    """Return a page of a template, compiled by an environment of its own."""
    found = Environment(loader=DictLoader({"one.html": text}), bytecode_cache=rendering.Compiled(folder))
    return found.get_template("one.html").render()


def test_what_was_compiled_is_kept_and_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = tmp_path / "__pycache__"
    assert compiled_in(folder, "{{ 6 * 7 }}") == "42"
    assert len([*folder.iterdir()]) == 1

    def compiles(*_: Any, **__: Any) -> str:
        raise AssertionError("it is compiled again")

    monkeypatch.setattr(Environment, "compile", compiles)
    assert compiled_in(folder, "{{ 6 * 7 }}") == "42"


@pytest.mark.parametrize("spoilt", [b"", b"\x00" * 10, None], ids=["empty", "not compiled", "half"])
def test_what_is_kept_is_no_more_than_a_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: bytes | None
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert compiled_in(tmp_path, "{{ 6 * 7 }}") == "42"
    assert compiled_in(tmp_path, "{{ 6 * 8 }}") == "48"  # the text is another one now
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-9] if spoilt is None else spoilt)
    assert compiled_in(tmp_path, "{{ 6 * 8 }}") == "48"


def test_where_nothing_can_be_kept_pages_are_shown_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    taken = tmp_path / "file"
    taken.touch()
    assert compiled_in(taken / "folder", "{{ 6 * 7 }}") == "42"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert compiled_in(tmp_path / "asked not to", "{{ 6 * 7 }}") == "42"
    assert not [*(tmp_path / "asked not to").iterdir()]
