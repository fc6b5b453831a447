"""What is kept between two steps is kept for its owner, for a while, and within limits."""

from __future__ import annotations

import pytest

from hub_ext.errors import NotFound
from hub_ext.web.pages import drafts
from hub_ext.web.pages.drafts import Shelf


def test_it_is_there_for_its_owner_and_nobody_else() -> None:
    shelf = Shelf[str]()
    key = shelf.put("ann", "secret", 6)
    assert shelf.get("ann", key) == "secret"
    with pytest.raises(NotFound):
        shelf.get("ben", key)


def test_it_is_gone_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf[str](seconds=10)
    key = shelf.put("ann", "a", 1)
    at = drafts.time.monotonic()
    monkeypatch.setattr(drafts.time, "monotonic", lambda: at + 11)
    with pytest.raises(NotFound):
        shelf.get("ann", key)


def test_what_was_dropped_is_gone_and_dropping_again_is_no_matter() -> None:
    shelf = Shelf[str]()
    key = shelf.put("ann", "a", 1)
    shelf.drop(key)
    shelf.drop(key)
    with pytest.raises(NotFound):
        shelf.get("ann", key)


def test_the_oldest_goes_when_there_is_no_room() -> None:
    shelf = Shelf[str](most_bytes=10)
    first, second, third = (shelf.put(name, name, 5) for name in ("ann", "ben", "cleo"))
    with pytest.raises(NotFound):
        shelf.get("ann", first)
    assert shelf.get("ben", second) == "ben"
    assert shelf.get("cleo", third) == "cleo"


def test_one_person_cannot_fill_it() -> None:
    shelf = Shelf[int]()
    other = shelf.put("ben", -1, 1)
    keys = [shelf.put("ann", number, 1) for number in range(10)]
    with pytest.raises(NotFound):
        shelf.get("ann", keys[0])
    assert shelf.get("ann", keys[-1]) == 9
    assert shelf.get("ben", other) == -1


def test_what_is_kept_is_not_in_any_log() -> None:
    assert "hunter2" not in repr(drafts.Upload(b"hunter2", "x.ipynb"))
    assert "hunter2" not in repr(drafts.Kept("k", "ann", "hunter2", 1, 0.0))
