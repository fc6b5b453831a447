"""Logs that do not grow for ever."""

from __future__ import annotations

from pathlib import Path

from hub_ext.embedded.logs import keep_small


def test_a_log_that_is_too_large_is_emptied_and_its_content_kept_once(tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()
    large, small = tmp_path / "servers" / "ana.log", tmp_path / "hub.log"
    large.write_text("x" * 101)
    small.write_text("y" * 100)
    assert keep_small(tmp_path, largest=100) == [large]
    assert large.read_text() == ""
    assert large.with_suffix(".log.1").read_text() == "x" * 101
    assert small.read_text() == "y" * 100


def test_who_has_a_log_open_goes_on_at_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old" * 50)
        keep_small(tmp_path, largest=100)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
