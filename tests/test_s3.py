"""The result store in a bucket, on a real server that speaks S3: whole or not at all, and told in our own words."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hub_ext.backup.restoring import restore
from hub_ext.backup.saving import Sources, save
from hub_ext.db.session import Database
from hub_ext.doctor import platform as doctor
from hub_ext.errors import InvalidInput, NotFound, StorageFull, Unavailable
from hub_ext.settings import HubExt
from hub_ext.store import Store
from tests.cluster.certificates import make_authority, serving
from tests.s3 import ENVIRONMENT, SECRET, S3Server, s3_server

AWAY_WITHIN = 20.0  # seconds until a store that is away is told, on a busy machine
LARGE = 20 * 2**20 + 7
HUGE = 160 * 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for the tests of this module."""
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of its account."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def at(server: S3Server, tmp_path: Path) -> HubExt:
    """Settings with a bucket of this test's own."""
    return server.settings(server.bucket(f"results-{uuid4().hex[:8]}"), tmp_path / "state")


@pytest.fixture
def store(at: HubExt) -> Store:
    """The store of these settings."""
    return Store.of(at)


# --- the same promises as of a folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 3000], ids=len)
def test_what_is_put_comes_back(store: Store, data: bytes) -> None:
    store.put("runs/r-1/名前 & co.html", data)
    assert store.get("runs/r-1/名前 & co.html") == data
    assert store.size("runs/r-1/名前 & co.html") == len(data)
    assert store.exists("runs/r-1/名前 & co.html")
    assert store.every_key() == ["runs/r-1/名前 & co.html"]


def test_putting_again_replaces(store: Store) -> None:
    store.put("a/b", b"one")
    store.put("a/b", b"two")
    assert store.get("a/b") == b"two"
    assert store.every_key() == ["a/b"]


def test_a_large_file_goes_in_parts_and_comes_in_pieces(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(os.urandom(LARGE))
    store.put_file("a/large", source)
    pieces = list(store.chunks("a/large"))
    assert max(map(len, pieces)) <= 256 * 1024
    assert b"".join(pieces) == source.read_bytes()
    size, stream = store.open("a/large")
    with stream:
        assert (size, stream.read(5)) == (LARGE, source.read_bytes()[:5])


@pytest.mark.parametrize(("start", "end"), [(0, None), (5, None), (0, 5), (5, 5), (300_000, 600_001), (9, 10**7)])
def test_a_part_of_a_file_can_be_asked_for(store: Store, start: int, end: int | None) -> None:
    data = b"0123456789" * 100_000
    store.put("a", data)
    assert b"".join(store.chunks("a", start, end)) == data[start:end]


def test_deleting_takes_a_key_or_all_below_it_and_twice_is_once(store: Store) -> None:
    for key in ("runs/r-1/a", "runs/r-1/b/c", "runs/r-10/a", "one"):
        store.put(key, b"x")
    for _ in range(2):
        store.delete("runs/r-1")
        store.delete("one")
    assert store.every_key() == ["runs/r-10/a"]


def test_keys_of_one_folder_alone(store: Store) -> None:
    for key in ("drafts/a/1", "drafts/a/2", "drafts/ab/1"):
        store.put(key, b"x")
    assert store.every_key("drafts/a") == ["drafts/a/1", "drafts/a/2"]
    assert store.every_key("nothing") == []


@pytest.mark.parametrize("key", ["nothing", "a/nothing", "a"])
def test_what_is_not_there_is_not_found(store: Store, key: str) -> None:
    store.put("a/b", b"x")
    assert not store.exists(key)
    for read in (store.get, store.size, store.open):
        with pytest.raises(NotFound, match="not there any more"):
            read(key)


@pytest.mark.parametrize("key", ["../x", "/x", "a//b", ""])
def test_no_key_leads_out_of_its_place(store: Store, key: str) -> None:
    for act in (store.get, store.exists, store.size, store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(InvalidInput):
            act(key)


def test_two_platforms_in_one_bucket_see_their_own(server: S3Server, tmp_path: Path) -> None:
    url = server.bucket(f"shared-{uuid4().hex[:8]}")
    one, two = (Store.of(server.settings(f"{url}/{name}/", tmp_path)) for name in ("one", "one-more"))
    one.put("a", b"1")
    two.put("a", b"2")
    assert (one.get("a"), one.every_key(), two.get("a")) == (b"1", ["a"], b"2")
    one.delete("a")
    assert (one.every_key(), two.every_key()) == ([], ["a"])


# --- a store that fails ----------------------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_told_and_not_made(server: S3Server, tmp_path: Path) -> None:
    store = Store.of(server.settings("s3://nowhere-at-all", tmp_path))
    for act in (lambda: store.put("a", b"x"), lambda: store.put_file("a", Path(__file__)), store.every_key):
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            act()
    assert not (server.root / "nowhere-at-all").exists()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another-secret", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "nobody", "refuses this platform"),
    ],
)
def test_a_wrong_key_is_told_without_it(
    at: HubExt, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    store = Store.of(at)
    with pytest.raises(Unavailable, match=told) as caught:
        store.put("a", b"x")
    assert value not in str(caught.value) + str(caught.value.detail) + str(caught.value.hint)


def test_with_a_wrong_key_nothing_is_taken_for_missing(at: HubExt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    store = Store.of(at)
    for act in (store.exists, store.get, store.delete):
        with pytest.raises(Unavailable, match="refuses this platform"):
            act("a")


def test_a_server_that_is_away_is_told_in_time_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    with s3_server(tmp_path) as server:
        store = Store.of(server.settings(server.bucket("mine"), tmp_path))
        store.put("a", b"old")
        server.kill()
        for act in (lambda: store.put("a", b"new"), lambda: store.get("a"), store.every_key):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="does not answer"):
                act()
            assert time.monotonic() - began < AWAY_WITHIN
        server.start()
        assert store.get("a") == b"old"
        store.put("a", b"new")
        assert store.get("a") == b"new"


def test_half_a_file_is_never_seen(tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as stream:
        stream.truncate(HUGE)  # so many parts that the first one is noticed long before the last one
    with s3_server(tmp_path / "s3") as server:
        store = Store.of(server.settings(server.bucket("mine"), tmp_path))
        store.put("a", b"old")

        def kill_it_in_the_middle() -> None:
            while not list(server.root.rglob("*multipart*/*/*/*")):  # a part that has come
                time.sleep(0.001)
            server.kill()

        killer = threading.Thread(target=kill_it_in_the_middle)
        killer.start()
        with pytest.raises(Unavailable):
            store.put_file("a", source)
        killer.join()
        server.start()
        assert store.get("a") == b"old"
        assert store.every_key() == ["a"]
        store.put_file("a", source)
        assert store.size("a") == HUGE


def test_a_server_whose_disk_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "hub-ext-test", disk], check=True)
    try:
        with s3_server(disk) as server:
            store = Store.of(server.settings(server.bucket("mine"), tmp_path))
            store.put("a", b"old")
            with pytest.raises(StorageFull):
                store.put("a", bytes(8 * 2**20))
            assert store.get("a") == b"old"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_behind_tls_by_an_authority_of_ones_own(tmp_path: Path) -> None:
    make_authority(tmp_path)
    with s3_server(tmp_path / "s3", tls=serving(tmp_path, "s3", "127.0.0.1", tmp_path)) as server:
        settings = server.settings(server.bucket("mine"), tmp_path)
        with pytest.raises(Unavailable, match="does not answer"):
            Store.of(settings).put("a", b"x")
        settings.results_ca_file = str(tmp_path / "ca.crt")
        store = Store.of(settings)
        store.put("a", b"x")
        assert store.get("a") == b"x"


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"results_url": "s3://"}, "results_url"),
        ({"results_url": "s3://key:secret@bucket"}, "results_url"),
        ({"results_url": "s3://Bucket_Of_Mine"}, "results_url"),
        ({"results_url": "s3://bucket/../other"}, "path"),
        ({"results_endpoint": "s3.example.org"}, "results_endpoint"),
        ({"results_endpoint": "https://key:secret@s3.example.org"}, "results_endpoint"),
        ({"results_ca_file": "/nowhere"}, "results_ca_file"),
    ],
)
def test_a_wrong_setting_is_named(at: HubExt, changes: dict[str, str], named: str) -> None:
    for name, value in changes.items():
        setattr(at, name, value)
    with pytest.raises(InvalidInput) as caught:
        Store.of(at)
    assert caught.value.problems[0].field == named
    assert "secret" not in str(caught.value)


# --- what uses it ----------------------------------------------------------------------------------------------------


def test_the_doctor_tries_it(server: S3Server, at: HubExt) -> None:
    assert [one.state for one in doctor._store(at)] == ["ok"]
    assert Store.of(at).every_key() == []


def test_a_backup_moves_results_from_one_bucket_to_another(
    server: S3Server, at: HubExt, database: Database, settings: HubExt, tmp_path: Path
) -> None:
    settings.results_url, settings.results_endpoint = at.results_url, at.results_endpoint
    Store.of(at).put("runs/r-1/artifacts/日本.csv", b"a,b\n" * 100_000)
    path = tmp_path / "backup.tar.gz"
    assert save(Sources(settings), path).results == 1
    other = server.settings(server.bucket(f"other-{uuid4().hex[:8]}"), tmp_path / "elsewhere")
    assert restore(other, path).results == 1
    assert Store.of(other).get("runs/r-1/artifacts/日本.csv") == b"a,b\n" * 100_000
    assert SECRET.encode() not in path.read_bytes()
