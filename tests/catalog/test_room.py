"""The most that somebody may have at once."""

from __future__ import annotations

from hub_ext.catalog.check import extremes
from hub_ext.catalog.loading import load
from hub_ext.catalog.options import apply, choose_all
from hub_ext.catalog.room import Room, largest, room_of
from hub_ext.settings import shipped

GI = 2**30
CATALOG = load(shipped("profiles"))


def test_options_count_with_the_most_that_they_allow() -> None:
    found = {name: largest(CATALOG.versions(name)[-1]) for name in ("quick-look", "standard", "machine-learning")}
    assert found == {
        "quick-look": Room(1, 1 * GI, 0, 10 * GI),
        "standard": Room(2, 8 * GI, 0, 10 * GI),
        "machine-learning": Room(4, 24 * GI, 0, 20 * GI),
    }


def test_no_choice_of_options_takes_more() -> None:
    for profile in CATALOG.profiles:
        most = largest(profile)
        for chosen in extremes(profile):
            values, misfits = choose_all(profile, chosen)
            assert misfits == []
            assert room_of(apply(profile, values)) | most == most


def test_room_for_either_is_the_larger_of_each() -> None:
    assert Room(1, 2, 3, 4) | Room(4, 3, 2, 1) == Room(4, 3, 3, 4)
    assert Room() | Room(1, 1, 1, 1) == Room(1, 1, 1, 1)


def test_a_snapshot_knows_the_room_of_each_version() -> None:
    rooms = {profile.name: room for profile, _, room in CATALOG.startable}
    assert rooms["standard"] == Room(2, 8 * GI, 0, 10 * GI)
    assert set(rooms) == {profile.name for profile in CATALOG.profiles}
