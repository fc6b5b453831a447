"""Entitlements as files: as a whole or not at all, whatever happens; each fault with its line and its column."""

from __future__ import annotations

import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from hub_ext.access import transfer as module
from hub_ext.access.entitlements import Entitlements, Grant, Wanted
from hub_ext.access.transfer import Transfer
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, Entitlement, EntitlementImport
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Forbidden, InvalidInput, TooLarge
from tests.access.conftest import ANN, AUDE, BEN, CLEO, GIS, OLA
from tests.access.test_entitlements import start
from tests.governance.conftest import Clock

HEADER = "profile,kind,name,until,reason\n"


@pytest.fixture
def transfer(entitlements: Entitlements) -> Transfer:
    return Transfer(entitlements)


@pytest.fixture
def day(clock: Clock) -> str:
    return (clock.at + timedelta(days=30)).date().isoformat()


def file(*lines: str) -> io.BytesIO:
    return io.BytesIO((HEADER + "".join(f"{line}\n" for line in lines)).encode())


def count(database: Database, table: Any = Entitlement) -> int:
    with database.read() as session:
        return len(session.scalars(select(table)).all())


# --- in --------------------------------------------------------------------------------------------------------------


def test_a_file_entitles_whom_it_names(
    transfer: Transfer, decisions: DecisionPoint, database: Database, day: str
) -> None:
    found = transfer.load(CLEO, file(f"maps,person,ann,{day},Floods.", f"models,group,students,{day}T12:00Z,A course."))
    assert (found.rows, found.added, found.unchanged) == (2, 2, 0)
    assert start(decisions, ANN).allowed
    assert start(decisions, BEN, "models").allowed
    assert not start(decisions, BEN).allowed
    with database.read() as session:
        (act,) = session.scalars(select(AuditRow).where(AuditRow.action == "entitlement.import"))
        rows = session.scalars(select(Entitlement)).all()
    assert act.detail["added"] == 2
    assert act.detail["file"].startswith("sha256:")
    assert {row.import_id for row in rows} == {found.id}


def test_the_same_file_again_changes_nothing_and_a_later_end_is_a_new_entitlement(
    transfer: Transfer, database: Database, clock: Clock, day: str
) -> None:
    line = f"maps,person,ann,{day},Floods."
    transfer.load(CLEO, file(line))
    again = transfer.load(CLEO, file(line))
    assert (again.id, again.rows, again.added, again.unchanged) == ("", 1, 0, 1)
    assert count(database) == count(database, EntitlementImport) == 1
    later = (clock.at + timedelta(days=60)).date().isoformat()
    assert transfer.load(CLEO, file(f"maps,person,ann,{later},Floods.")).added == 1


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("mops,person,ann,{day},Why.", "profile"),
        ("maps,people,ann,{day},Why.", "kind"),
        ("maps,person,,{day},Why.", "name"),
        ("maps,person,cleo,{day},Why.", "name"),
        ("maps,person," + "x" * 256 + ",{day},Why.", "name"),
        ("maps,person,ann,2020-01-01,Why.", "until"),
        ("maps,person,ann,31.12.2030,Why.", "until"),
        ("maps,person,ann,9999-12-31,Why.", "until"),
        ("maps,person,ann,,Why.", "until"),
        ("maps,person,ann,{day},", "reason"),
        ("maps,person,ann,{day}," + "x" * 2001, "reason"),
        ("maps,person,ben,{day},Twice.", "name"),
    ],
)
def test_one_row_that_cannot_be_is_named_and_nothing_is_imported(
    transfer: Transfer, database: Database, day: str, line: str, field: str
) -> None:
    good = f"maps,person,ben,{day},Why."
    with pytest.raises(InvalidInput) as caught:
        transfer.load(CLEO, file(good, line.format(day=day), f"maps,person,dan,{day},Why."))
    assert [(one.field, one.line) for one in caught.value.problems] == [(field, 3)]
    assert "Nothing was imported" in caught.value.detail
    assert count(database) == count(database, EntitlementImport) == 0


def test_a_file_full_of_faults_is_told_in_part(transfer: Transfer) -> None:
    with pytest.raises(InvalidInput, match="may be more") as caught:
        transfer.load(CLEO, file(*(f"mops,person,p{number},2020-01-01,x" for number in range(500))))
    assert len(caught.value.problems) == 20


def test_formulas_are_text(transfer: Transfer, entitlements: Entitlements, day: str) -> None:
    """A cell that an export made neutral, and one that was typed so, are both the text that they show."""
    transfer.load(CLEO, file(f"maps,person,'=cmd,{day},=1+1", f"maps,person,@ben,{day},'+1"))
    found, _ = entitlements.listing(CLEO, Wanted())
    assert sorted((one.name, one.reason) for one in found) == [("=cmd", "=1+1"), ("@ben", "+1")]
    out = b"".join(transfer.export(CLEO, Wanted())).decode()
    for cell in ("'=cmd", "'@ben", "'=1+1", "'+1"):
        assert f",{cell}," in out


def test_an_empty_file_with_a_header_is_nothing(transfer: Transfer, database: Database) -> None:
    assert transfer.load(CLEO, file()).rows == 0
    assert count(database, EntitlementImport) == 0


def test_owners_import_for_their_own_profiles_and_others_not_at_all(
    transfer: Transfer, database: Database, day: str
) -> None:
    assert transfer.load(GIS, file(f"maps,person,ann,{day},Floods.")).added == 1
    with pytest.raises(InvalidInput, match="owner and curators") as caught:
        transfer.load(OLA, file(f"models,person,ann,{day},Mine.", f"maps,person,ben,{day},Not mine."))
    assert (caught.value.problems[0].field, caught.value.problems[0].line) == ("profile", 3)
    for person in (ANN, AUDE):
        with pytest.raises(Forbidden):
            transfer.load(person, file(f"maps,person,ben,{day},Mine?"))
    assert count(database) == 1


def test_more_rows_than_can_be_are_refused(
    transfer: Transfer, database: Database, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    with pytest.raises(TooLarge, match="more than 3 rows"):
        transfer.load(CLEO, file(*(f"maps,person,p{number},{day},x" for number in range(4))))
    assert count(database) == 0


# --- in the middle ---------------------------------------------------------------------------------------------------


def test_nothing_counts_until_all_of_it_is_there(
    transfer: Transfer, decisions: DecisionPoint, database: Database, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    seen: list[tuple[int, bool, int]] = []
    real = transfer._write

    def write(*arguments: Any) -> int:
        added = real(*arguments)
        listed = transfer.entitlements.listing(CLEO, Wanted())[0]
        seen.append((count(database), start(decisions, ANN).allowed, len(listed)))
        return added

    monkeypatch.setattr(transfer, "_write", write)
    transfer.load(CLEO, file(*(f"maps,person,{name},{day},x" for name in ("ann", "b", "c", "d", "e"))))
    assert seen == [(5, False, 0)]
    assert start(decisions, ANN).allowed


def test_a_failure_in_the_middle_leaves_nothing(
    transfer: Transfer, database: Database, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    real, calls = module._without_known, []

    def fails(*arguments: Any) -> list[dict[str, Any]]:
        calls.append(1)
        if len(calls) == 3:
            raise OSError
        return real(*arguments)

    monkeypatch.setattr(module, "_without_known", fails)
    with pytest.raises(OSError):
        transfer.load(CLEO, file(*(f"maps,person,p{number},{day},x" for number in range(9))))
    assert count(database) == count(database, EntitlementImport) == 0


def test_what_a_killed_import_left_is_swept(
    transfer: Transfer, decisions: DecisionPoint, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    with database.write() as session:
        session.add(EntitlementImport(id="i-killed", by="cleo", digest="", rows=9))
        for name in ("ann", "b", "c", "d", "e"):
            row = Entitlement(profile="maps", kind="person", name=name, import_id="i-killed", reason="x")
            row.until = row.granted_until = clock.at + timedelta(days=9)
            row.granted_by = "cleo"
            session.add(row)
    assert not start(decisions, ANN).allowed
    assert transfer.sweep() == 0, "it may still be at work"
    with database.write() as session:
        session.execute(update(EntitlementImport).values(started_at=clock.at - timedelta(hours=7)))
    assert transfer.sweep() == 1
    assert count(database) == count(database, EntitlementImport) == 0


def test_two_files_at_once_are_both_there(transfer: Transfer, database: Database, day: str) -> None:
    files = [file(*(f"maps,person,{who}{number},{day},x" for number in range(50))) for who in "ab"]
    threads = [threading.Thread(target=transfer.load, args=(CLEO, one)) for one in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert count(database) == 100


# --- out -------------------------------------------------------------------------------------------------------------


def test_what_goes_out_can_come_in(
    transfer: Transfer, entitlements: Entitlements, clock: Clock, database: Database
) -> None:
    end = clock.at + timedelta(days=30)
    for name, reason in (("ann", "Two\nlines, and a comma."), ("o'neill", '"quoted"'), ("-dash", "@x")):
        entitlements.grant(CLEO, Grant("maps", "person", name, end, reason))
    out = b"".join(transfer.export(CLEO, Wanted()))
    assert transfer.load(CLEO, io.BytesIO(b"\xef\xbb\xbf" + out)).unchanged == 3


def test_each_gets_out_what_she_may_see(transfer: Transfer, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    transfer.load(CLEO, file(*(f"maps,person,p{number},{day},x" for number in range(5)), f"models,person,ann,{day},x"))

    def lines(*arguments: Any) -> int:
        return b"".join(transfer.export(*arguments)).count(b"\r\n") - 1

    assert lines(CLEO, Wanted()) == lines(AUDE, Wanted()) == 6
    assert lines(GIS, Wanted()) == 5
    assert lines(OLA, Wanted()) == lines(ANN, Wanted()) == 1
    assert lines(CLEO, Wanted(profile="models")) == 1
    assert lines(CLEO, Wanted(ended=True)) == 0


class Long(io.RawIOBase):
    """A file of many rows that is made while it is read."""

    def __init__(self, rows: int, line: Callable[[int], str]) -> None:
        self.rows, self.line = rows, line
        self._lines: Iterator[bytes] = iter(())
        self.seek(0)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._lines = self._made()
        return 0

    def _made(self) -> Iterator[bytes]:
        yield HEADER.encode()
        for number in range(self.rows):
            yield self.line(number).encode()

    def readline(self, size: int | None = -1) -> bytes:
        return next(self._lines, b"")


@pytest.mark.backends("sqlite")
def test_a_large_file_is_read_in_pieces(
    transfer: Transfer, database: Database, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it takes is bounded by a batch, and by some bytes for each row (that no row comes twice)."""
    monkeypatch.setattr(module, "_BATCH", 100)
    stream: Any = Long(5000, lambda number: f"maps,person,person-{number},{day},{'x' * 1900}\n")
    tracemalloc.start()
    try:
        found = transfer.load(CLEO, stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.added == 5000
    assert peak < 5 * 2**20, f"{peak / 2**20:.1f} MiB, where the file has 10"
