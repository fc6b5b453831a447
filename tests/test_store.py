"""Files by key: whole or not at all, and nowhere but below the root."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.errors import InvalidInput, NotFound, StorageFull, StoreAway, Unavailable
from hub_ext.store import Store, safe_path


@pytest.fixture(params=["file", "memory"])
def any_store(request, tmp_path):
    """The same promises, wherever the files lie."""
    url = f"file://{tmp_path}/results" if request.param == "file" else f"memory://{tmp_path.name}"
    return Store(url)


def files(store):
    return sorted(store.fs.find(store.root)) if store.fs.exists(store.root) else []


# --- putting and getting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 3000])
def test_what_is_put_comes_back(any_store, data):
    any_store.put("runs/r-1/report.html", data)
    assert any_store.get("runs/r-1/report.html") == data
    assert any_store.size("runs/r-1/report.html") == len(data)
    assert any_store.exists("runs/r-1/report.html")


def test_putting_again_replaces_and_leaves_nothing_beside_it(any_store):
    any_store.put("a/b", b"one")
    any_store.put("a/b", b"two")
    assert any_store.get("a/b") == b"two"
    assert len(files(any_store)) == 1


def test_a_file_is_put_as_it_is(any_store, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(b"0123456789" * 100_000)
    any_store.put_file("a/large", source)
    assert any_store.get("a/large") == source.read_bytes()


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (5, None), (0, 5), (300_000, 600_001), (999_999, None), (10**7, None), (5, 5), (0, 10**7)],
)
def test_a_part_of_a_file_can_be_asked_for(any_store, start, end):
    data = b"0123456789" * 100_000
    any_store.put("a", data)
    assert b"".join(any_store.chunks("a", start, end)) == data[start:end]


def test_a_large_file_comes_in_pieces(any_store):
    any_store.put("a", b"x" * 10**6)
    assert max(len(chunk) for chunk in any_store.chunks("a")) <= 256 * 1024


def test_deleting_takes_a_key_or_all_below_it_and_twice_is_once(any_store):
    for key in ("runs/r-1/a", "runs/r-1/b/c", "runs/r-2/a", "one"):
        any_store.put(key, b"x")
    for _ in range(2):
        any_store.delete("runs/r-1")
        any_store.delete("one")
    assert [Path(path).parent.name for path in files(any_store)] == ["r-2"]


@pytest.mark.parametrize("key", ["nothing", "a/nothing"])
def test_what_is_not_there_is_not_found(any_store, key):
    any_store.put("a/b", b"x")
    assert not any_store.exists(key)
    for read in (any_store.get, any_store.size):
        with pytest.raises(NotFound, match="not there any more"):
            read(key)


def test_a_folder_is_no_file(store):
    store.put("a/b", b"x")
    with pytest.raises(NotFound):
        store.get("a")


# --- a store that fails ----------------------------------------------------------------------------------------------


def read_by(name, store, key):
    reads = {"get": store.get, "size": store.size, "open": store.open, "chunks": lambda key: list(store.chunks(key))}
    return reads[name](key)


@pytest.mark.parametrize("name", ["get", "size", "open", "chunks"])
@pytest.mark.parametrize("instead", ["nothing", "a file"])
def test_a_folder_that_is_not_mounted_is_away_and_nothing_in_it_is_gone(tmp_path, name, instead):
    store = Store(f"file://{tmp_path}/results")
    store.put("a/b", b"x")
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    if instead == "a file":
        (tmp_path / "results").touch()
    with pytest.raises(StoreAway):
        read_by(name, store, "a/b")


@pytest.mark.parametrize("name", ["get", "size", "open", "chunks"])
def test_a_folder_that_is_mounted_while_it_is_asked_had_it_all_the_time(tmp_path, name, monkeypatch):
    store = Store(f"file://{tmp_path}/results")
    store.put("a/b", b"x")
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    is_dir = Path.is_dir

    def mounted(path):
        (tmp_path / "elsewhere").rename(path)
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", mounted)
    read_by(name, store, "a/b")


def test_half_a_file_is_never_seen_and_not_left_behind(any_store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x")

    class Interrupted(Exception):
        pass

    def fail(target):
        target.write(b"half")
        raise Interrupted

    with pytest.raises(Interrupted):
        any_store._write("a/b", fail)
    assert not any_store.exists("a/b")
    assert files(any_store) == []


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, Unavailable)]
)
def test_a_disk_that_fails_is_told_and_the_old_file_stays(store, number, told):
    store.put("a/b", b"old")

    def fail(target):
        target.write(b"new")
        raise OSError(number, "of the disk")

    with pytest.raises(told) as caught:
        store._write("a/b", fail)
    assert "of the disk" not in caught.value.detail
    assert store.get("a/b") == b"old"
    assert len(files(store)) == 1


def test_a_disk_that_is_full_indeed(store):
    """/dev/full is a disk that is always full."""

    def fill(_target):
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(StorageFull):
        store._write("a", fill)
    assert files(store) == []


def test_a_root_that_is_a_file_does_not_answer(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    store = Store(f"file://{tmp_path}/results")
    with pytest.raises(Unavailable):
        store.put("a", b"x")


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a", "a/b.csv", "ä/名前.txt", "a b/c", "..a", "a..", "-rf", "a\nb", "x" * 255])
def test_a_relative_path_is_kept(path):
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "a/", "a//b", ".", "..", "a/../b", "../a", "a/..", "./a", "a\\b", "a\x00b", "\ud800",
     "x" * 256, "ä" * 128, "a/" * 600 + "a"],
)  # fmt: skip
def test_any_other_is_refused_by_name(store, path):
    with pytest.raises(InvalidInput, match="relative path") as caught:
        safe_path(path)
    assert caught.value.problems[0].field == "path"
    for act in (store.get, store.exists, store.size, store.delete):
        with pytest.raises(InvalidInput):
            act(path)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "/", "\\", "~", "%2e%2e", "\x00"]), max_size=6).map("/".join))
def test_no_path_leads_out_of_the_root(path):
    try:
        inside = (Path("/root-of-store") / safe_path(path)).resolve()
    except InvalidInput:
        return
    assert inside.is_relative_to("/root-of-store")
    assert inside != Path("/root-of-store")
