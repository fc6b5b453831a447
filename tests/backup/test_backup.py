"""A platform that was saved and put back is the same; what is not whole, or in use, is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, Column, DateTime, LargeBinary, MetaData, String, Table, create_engine, select

from hub_ext import audit
from hub_ext.backup import restoring, tables
from hub_ext.backup.archive import Writer, check
from hub_ext.backup.restoring import restore
from hub_ext.backup.saving import Saved, Sources, save
from hub_ext.db.session import Database, hold_lease
from hub_ext.db.tables import AuditRow, Base, Lease, Workflow
from hub_ext.errors import Conflict, HubExtError, InvalidInput, NotFound, StorageFull
from hub_ext.settings import HubExt
from hub_ext.store import Store
from tests.postgresql import Cluster

ODD = "a 'quote', a \\ back\nslash, 日本語 🎉"


def _fill(settings: HubExt, database: Database, store: Store) -> None:
    with database.write() as session:
        session.add(Workflow(owner="amy", name="odd", title=ODD, tags=["x", {"deep": [None, 1.5, ODD]}]))
        for number in range(3):
            audit.record(session, "amy", "workflow.publish", ("workflow", f"amy/{number}"), detail={"what": ODD})
    hold_lease(database, "sealer", 60)
    with database.write() as session:
        audit.seal(session)
    store.put("versions/abc.ipynb", b"{}")
    store.put("runs/r-1/artifacts/日本.csv", b"a,b\n" * 100_000)
    for name, content in {"keys/cookie": b"secret", "homes/amy/a b.txt": b"hers", "secrets/r-1": b"sealed"}.items():
        path = settings.state / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    (settings.state / "homes/amy/run.sh").touch(0o755)
    (settings.state / "homes/amy/empty").mkdir()
    (settings.state / "homes/amy/link").symlink_to("/etc/passwd")
    os.mkfifo(settings.state / "homes/amy/pipe")


@pytest.fixture
def filled(settings: HubExt, database: Database, store: Store) -> HubExt:
    """A platform that holds something of each kind."""
    _fill(settings, database, store)
    return settings


@pytest.fixture
def empty(tmp_path: Path, backend: str, request: pytest.FixtureRequest) -> HubExt:
    """Where nothing is yet."""
    made = HubExt(state_dir=str(tmp_path / "elsewhere"))
    if backend == "postgresql":
        clusters: Cluster = request.getfixturevalue("postgresql")
        made.database_url = clusters.make()
    return made


def _rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    database = Database(url)
    found = {}
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            if table.name != "leases":
                rows = session.execute(select(table).order_by(*table.primary_key.columns))
                found[table.name] = [tuple(row) for row in rows]
    database.dispose()
    return found


def _saved(filled: HubExt, tmp_path: Path, **more: Any) -> tuple[Path, Saved]:
    path = tmp_path / "backup.tar.gz"
    return path, save(Sources(filled, **more), path)


def test_what_is_saved_and_put_back_is_the_same(
    database: Database, filled: HubExt, empty: HubExt, tmp_path: Path
) -> None:
    path, saved = _saved(filled, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (saved.results, saved.files, saved.hub, saved.changed) == (2, 4, False, [])
    assert check(path)["enclave"] == "local"

    restored = restore(empty, path)
    assert (restored.rows, restored.results, restored.files) == (saved.rows, saved.results, saved.files)
    assert _rows(empty.database) == _rows(filled.database)
    store = Store(empty.results)
    assert store.every_key() == ["runs/r-1/artifacts/日本.csv", "versions/abc.ipynb"]
    assert store.get("runs/r-1/artifacts/日本.csv") == b"a,b\n" * 100_000
    home = empty.state / "homes/amy"
    assert (home / "a b.txt").read_bytes() == b"hers"
    assert (home / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (home / "empty").is_dir()
    assert (home / "link").readlink() == Path("/etc/passwd")
    assert not (home / "pipe").exists()
    assert (empty.state / "keys/cookie").stat().st_mode & 0o777 == 0o600
    assert not list(empty.state.glob("*partial*"))


def test_the_record_of_acts_stays_whole_and_goes_on(
    database: Database, filled: HubExt, empty: HubExt, tmp_path: Path
) -> None:
    path, _ = _saved(filled, tmp_path)
    restore(empty, path)
    other = Database(empty.database)
    with other.write() as session:
        audit.record(session, "amy", "workflow.publish", ("workflow", "amy/after"))
    with other.write() as session:
        audit.seal(session)
    with other.read() as session:
        verdict = audit.verify(session)
        leases = session.scalars(select(Lease)).all()
        last = session.scalars(select(AuditRow).order_by(AuditRow.id.desc())).first()
    other.dispose()
    assert (verdict.intact, verdict.checked, verdict.unsealed) == (True, 4, 0)
    assert leases == []  # whoever held them is gone
    assert last is not None
    assert last.object_id == "amy/after"


@pytest.mark.backends("sqlite")
def test_it_moves_from_sqlite_to_postgresql_and_back(
    database: Database, filled: HubExt, postgresql: Cluster, tmp_path: Path
) -> None:
    before = _rows(filled.database)
    path, _ = _saved(filled, tmp_path)
    server = HubExt(state_dir=str(tmp_path / "server"), database_url=postgresql.make())
    restore(server, path)
    assert _rows(server.database) == before
    again = tmp_path / "again.tar.gz"
    save(Sources(server), again)
    back = HubExt(state_dir=str(tmp_path / "back"))
    restore(back, again)
    assert _rows(back.database) == before


@pytest.mark.backends("sqlite")
def test_the_hubs_database_is_part_of_it(database: Database, filled: HubExt, empty: HubExt, tmp_path: Path) -> None:
    from jupyterhub import orm

    url = f"sqlite:///{filled.state / 'jupyterhub.sqlite'}"
    session = orm.new_session_factory(url)()
    user = orm.User(name="ämy", encrypted_auth_state=b"\x00\xff")
    session.add_all([user, orm.OAuthClient(identifier="jupyterhub")])
    session.commit()
    user.new_api_token("0123456789abcdef0123456789abcdef", note="ci")
    session.commit()
    session.get_bind().dispose()
    path, saved = _saved(filled, tmp_path)
    assert saved.hub
    assert restore(empty, path).hub
    there = orm.new_session_factory(f"sqlite:///{empty.state / 'jupyterhub.sqlite'}")()
    (found,) = there.query(orm.User).all()
    assert (found.name, found.encrypted_auth_state) == ("ämy", b"\x00\xff")
    assert orm.APIToken.find(there, "0123456789abcdef0123456789abcdef").user is found
    there.get_bind().dispose()


def test_homes_may_be_left_out(database: Database, filled: HubExt, tmp_path: Path) -> None:
    path, saved = _saved(filled, tmp_path, homes=False)
    assert saved.files == 2
    with tarfile.open(path) as found:
        assert not [name for name in found.getnames() if name.startswith("state/homes")]


# -- what is refused, and leaves nothing -------------------------------------------------------------------------------


@pytest.mark.backends("sqlite")
def test_nothing_is_overwritten(database: Database, filled: HubExt, empty: HubExt, tmp_path: Path) -> None:
    path, _ = _saved(filled, tmp_path)
    before = path.read_bytes()
    with pytest.raises(Conflict, match="is there already"):
        save(Sources(filled), path)
    assert path.read_bytes() == before
    with pytest.raises(InvalidInput, match="outside of the state folder"):
        save(Sources(filled), filled.state / "backup")
    with pytest.raises(InvalidInput, match="not there"):
        save(Sources(filled), tmp_path / "no" / "folder")
    with pytest.raises(NotFound, match="no platform"):
        save(Sources(empty), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    rows = _rows(filled.database)
    with pytest.raises(Conflict, match="in use: it has keys and secrets and homes"):
        restore(filled, path)
    for name in ("keys", "secrets", "homes"):
        shutil.rmtree(filled.state / name)
    with pytest.raises(Conflict, match="The database is not empty"):
        restore(filled, path)
    assert _rows(filled.database) == rows


def _rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Return a copy of a backup with other members."""
    with tarfile.open(path) as old:
        found = {one.name: old.extractfile(one).read() for one in old if one.isreg()}  # type: ignore[union-attr]
    change(found)
    made = path.with_name("changed.tar.gz")
    with tarfile.open(made, "w:gz") as new:
        for name, data in found.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    return made


def _change(found: dict[str, bytes]) -> None:
    found["database/audit.jsonl"] = found["database/audit.jsonl"].replace(b"amy", b"eve")


def _older_format(found: dict[str, bytes]) -> None:
    found["manifest.json"] = b'{"format": "hub-ext-backup/0"}'


def _stranger(found: dict[str, bytes]) -> None:
    found["results/../../x"] = b"out"


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_change, "was changed: 'database/audit.jsonl'"),
        (_older_format, "that this release can read"),
        (_stranger, "no name of a backup"),
        (lambda found: found.pop("checksums.json"), "may have been cut"),
        (lambda found: found.pop("versions", None) or found.pop("results/versions/abc.ipynb"), "was changed"),
        (lambda found: found.clear(), "may have been cut"),
    ],
)
def test_a_file_that_is_not_what_was_written_changes_nothing(
    database: Database,
    filled: HubExt,
    empty: HubExt,
    tmp_path: Path,
    change: Callable[[dict[str, bytes]], None],
    words: str,
) -> None:
    path, _ = _saved(filled, tmp_path)
    with pytest.raises(InvalidInput, match=words):
        restore(empty, _rewrite(path, change))
    assert not empty.state.exists()


@pytest.mark.backends("sqlite")
def test_a_newer_release_and_a_file_of_something_else_are_told(
    database: Database, filled: HubExt, empty: HubExt, tmp_path: Path
) -> None:
    path, _ = _saved(filled, tmp_path)

    def newer(found: dict[str, bytes]) -> None:
        about = json.loads(found["manifest.json"]) | {"revision": "9999", "release": "99.0"}
        sums = json.loads(found["checksums.json"])
        import hashlib

        found["manifest.json"] = json.dumps(about).encode()
        sums["manifest.json"] = hashlib.sha256(found["manifest.json"]).hexdigest()
        found["checksums.json"] = json.dumps({name: value for name, value in sums.items() if name in found}).encode()

    with pytest.raises(InvalidInput, match=r"release 99\.0, which is newer"):
        restore(empty, _rewrite(path, newer))
    for content in (b"", b"not a tar", gzip.compress(b"not a tar"), path.read_bytes()[:-200]):
        broken = tmp_path / "broken"
        broken.write_bytes(content)
        with pytest.raises(InvalidInput, match=r"is no whole backup"):
            restore(empty, broken)
    with pytest.raises(InvalidInput, match="is not there"):
        restore(empty, tmp_path / "nowhere")
    assert not empty.state.exists()


@pytest.mark.backends("sqlite")
def test_nothing_is_written_behind_a_link(empty: HubExt, database: Database, tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    with Writer(path) as writer:
        about = {"format": "hub-ext-backup/1", "release": "0", "revision": "0001", "hub_revision": ""}
        writer.add_bytes("manifest.json", json.dumps(about).encode())
        writer.add_entry("state/homes/amy", 0o777, str(tmp_path))
        writer.add_bytes("state/homes/amy/owned", b"gotcha")
    with pytest.raises(InvalidInput, match="behind a link"):
        restore(empty, path)
    assert not (tmp_path / "owned").exists()
    assert not list(empty.state.iterdir())


@pytest.mark.backends("sqlite")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_leaves_no_half_of_a_backup(
    database: Database, filled: HubExt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: Any, *args: Any, **more: Any) -> int:
        return (
            real("/dev/full" if str(path).endswith(".partial") else path, os.O_WRONLY)
            if str(path).endswith(".partial")
            else real(path, *args, **more)
        )

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StorageFull, match="no space left"):
        save(Sources(filled), tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))


@pytest.mark.backends("sqlite")
def test_a_restore_that_breaks_off_is_told_and_may_be_done_again(
    database: Database, filled: HubExt, empty: HubExt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = _saved(filled, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(tables, "load", lambda *_: (_ for _ in ()).throw(ValueError("broken")))
        with pytest.raises(HubExtError):
            restore(empty, path)
    with pytest.raises(Conflict, match="in use"):
        restore(empty, path)
    shutil.rmtree(empty.state)
    restore(empty, path)
    assert _rows(empty.database) == _rows(filled.database)
    assert restoring.PASSING == ("leases", "platform_state")


# -- rows as lines -----------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), inner, max_size=3)
    ),
    max_leaves=6,
)
_FIRST, _LAST = (datetime(year, 1, 2) for year in (1970, 2200))  # noqa: DTZ001  # the zone is drawn
_TIMES = st.datetimes(_FIRST, _LAST, timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))]))
_ROWS = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), _JSON, st.binary(), _TIMES), max_size=5
)


@given(_ROWS)
def test_any_row_comes_back(rows: list[tuple[str, Any, bytes, datetime]]) -> None:
    engine = create_engine("sqlite://")
    about = MetaData()
    columns = [
        Column("id", String, primary_key=True),
        Column("text", String),
        Column("json", JSON),
        Column("data", LargeBinary),
        Column("at", DateTime),
    ]
    Table("things", about, *columns)
    about.create_all(engine)
    with engine.begin() as connection:
        (table,) = tables.reflected(connection)
        for number, (text, value, data, at) in enumerate(rows):
            naive = at.astimezone(UTC).replace(tzinfo=None)
            connection.execute(
                table.insert(), {"id": f"{number:03}", "text": text, "json": value, "data": data, "at": naive}
            )
        before = connection.execute(select(table).order_by(table.c.id)).all()
        lines = b"".join(tables.dump(connection, table))
        tables.clear(connection, [table])
        assert tables.load(connection, table, io.BytesIO(lines)) == len(rows)
        assert connection.execute(select(table).order_by(table.c.id)).all() == before
    engine.dispose()
