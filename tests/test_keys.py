"""Keys last, and are private."""

from __future__ import annotations

from pathlib import Path

from hub_ext.keys import secret_key


def test_a_secret_lasts_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    first = secret_key(path)
    assert len(first) == 32
    assert secret_key(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["secret"]
