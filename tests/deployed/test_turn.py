"""One Hub at a time: the second says that it is ready, waits, and takes over when the first is gone."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from hub_ext.deployed import turn as turns
from hub_ext.deployed.turn import HEALTH, take_turn
from hub_ext.embedded.processes import free_port
from hub_ext.errors import Unavailable
from tests.postgresql import Cluster


def status(url: str) -> int:
    """Return what an address answers; 0 for nobody there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_first_has_its_turn_at_once(postgresql: Cluster) -> None:
    turn = take_turn(postgresql.make(), free_port(), 0)
    assert turn is not None
    turn.close()


def test_the_second_waits_says_so_and_takes_over(postgresql: Cluster) -> None:
    url, port, taken = postgresql.make(), free_port(), []
    first = take_turn(url, port, 0)
    assert first is not None
    second = threading.Thread(target=lambda: taken.append(take_turn(url, port, 60)))
    second.start()
    deadline = time.monotonic() + 30
    while status(f"http://127.0.0.1:{port}{HEALTH}") != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert status(f"http://127.0.0.1:{port}/hub/login") == 503
    assert taken == []
    first.close()
    second.join(30)
    assert taken[0] is not None
    assert status(f"http://127.0.0.1:{port}{HEALTH}") == 0  # the port is the Hub's own from here on
    taken[0].close()


def test_one_that_never_ends_is_told(postgresql: Cluster) -> None:
    url = postgresql.make()
    first = take_turn(url, free_port(), 0)
    with pytest.raises(Unavailable, match="Another Hub"):
        take_turn(url, free_port(), 0.2)
    assert first is not None
    first.close()


def test_a_database_that_was_away_gives_the_turn_back_to_the_same_hub(postgresql: Cluster) -> None:
    url = postgresql.make()
    turn = take_turn(url, free_port(), 0)
    assert turn is not None
    with postgresql.away(url):
        assert turn.is_ours()  # nobody else can act
    assert turn.is_ours()
    with pytest.raises(Unavailable, match="Another Hub"):
        take_turn(url, free_port(), 0.2)
    turn.close()


def test_where_another_hub_was_faster_the_first_ends(postgresql: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LOOK_EVERY", 0.05)
    told = threading.Event()
    monkeypatch.setattr(turns.os, "kill", lambda *_: told.set())
    url = postgresql.make()
    first = take_turn(url, free_port(), 0)
    assert first is not None
    with postgresql.away(url):
        pass
    second = take_turn(url, free_port(), 5)
    assert second is not None
    assert not first.is_ours()
    first.keep()
    assert told.wait(30)
    second.close()


def test_two_hubs_of_two_databases_do_not_wait_for_each_other(postgresql: Cluster) -> None:
    turns = [take_turn(postgresql.make(), free_port(), 0) for _ in range(2)]
    for turn in turns:
        assert turn is not None
        turn.close()


def test_a_file_is_nobody_elses(tmp_path: Path) -> None:
    assert take_turn(f"sqlite:///{tmp_path}/hub.sqlite", 0) is None
