"""Entitlements as CSV: a million rows in or out without holding them; a file counts as a whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.csv_text import Row, lines_of, read
from hub_ext.access.entitlements import (
    TOPIC,
    Entitlements,
    Wanted,
    holder_problem,
    profile_problem,
    profiles_known,
    until_problem,
)
from hub_ext.access.loading import PERSON, counted
from hub_ext.access.owners import may_entitle
from hub_ext.db.tables import Entitlement, EntitlementImport
from hub_ext.db.types import new_id
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput, Problem, TooLarge
from hub_ext.governance.rights import check_words
from hub_ext.governance.shapes import read_time
from hub_ext.governance.state import agreed
from hub_ext.people import Person

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

COLUMNS = ("profile", "kind", "name", "until", "reason")
_MORE = ("id", "granted_by", "granted_at")  # an export has them; an import passes over them
MOST_ROWS = 1_000_000
_BATCH = 1000  # rows of one transaction: nobody waits long for it
_TOLD = 20  # problems
_LONGEST_LINE = 1_000_000  # bytes
_ABANDONED = timedelta(hours=6)  # an import that is not done by then was killed


@dataclass(frozen=True)
class Imported:
    """What a file led to.

    Attributes:
        id: Identifier of the import; empty when nothing was new.
        rows: How many rows it has.
        added: How many of them are entitlements now.
        unchanged: How many there were already, until then or longer.
    """

    id: str
    rows: int
    added: int
    unchanged: int


class Transfer:
    """Imports and exports entitlements.

    Args:
        entitlements: Where they are, and what is allowed.
    """

    def __init__(self, entitlements: Entitlements) -> None:
        self.entitlements = entitlements
        self.database = entitlements.database
        self.catalog = entitlements.catalog

    # Out.

    def export(self, person: Person, wanted: Wanted) -> Iterator[bytes]:
        """Yield the entitlements that a person may see, as a file; no transaction is open while somebody reads slowly.

        Args:
            person: Who asks.
            wanted: Which; `cursor` and `limit` mean nothing.
        """
        yield from lines_of([[*COLUMNS, *_MORE]])
        last = ""
        while True:
            page = self.entitlements.after(person, wanted, last, _BATCH)
            yield b"".join(lines_of(_cells(row) for row in page))
            if len(page) < _BATCH:
                return
            last = page[-1].id

    # In.

    def load(self, person: Person, stream: BinaryIO) -> Imported:
        """Import a file: all of it, or nothing.

        Args:
            person: Who imports it: a curator, or an owner of every profile that it names.
            stream: The file, to be read twice.

        Raises:
            Forbidden: If she may entitle nobody; that is audited.
            InvalidInput: If a row cannot be; `problems` name line and column.
            TooLarge: If it has more than `MOST_ROWS` rows.
        """
        self._must_entitle_somebody(person)
        self.sweep()
        digest = hashlib.sha256()
        rows = self._check(person, _lines(stream, digest))
        stream.seek(0)
        with self.database.write() as session:
            made = EntitlementImport(by=person.name, digest=f"sha256:{digest.hexdigest()}", rows=rows)
            session.add(made)
        try:
            added = self._write(person, made.id, _lines(stream))
            return self._finish(person, made.id, rows, added)
        except BaseException:
            self._remove(made.id)
            raise

    def _must_entitle_somebody(self, person: Person) -> None:
        catalog = self.catalog.refresh()
        if any(may_entitle(person, catalog, name) for name in [*profiles_known(catalog), ""]):
            return
        with self.database.write() as session:
            audit.record(session, person.name, "entitlement.import", ("entitlements", "file"), outcome="denied")
        raise Forbidden("Only owners of profiles and curators import entitlements.", hint="Ask a curator.")

    def _check(self, person: Person, lines: Iterable[bytes]) -> int:
        """Look at every row; return how many there are."""
        with self.database.read() as session:
            now = self.catalog.now(agreed(session))
        check = _RowCheck(self.entitlements, person, now)
        problems: list[Problem] = []
        rows = 0
        for row in read(lines, COLUMNS, _MORE):
            rows += 1
            if rows > MOST_ROWS:
                raise TooLarge(f"The file has more than {MOST_ROWS:,} rows.", hint="Split it.")
            problems += check.problems(row)
            if len(problems) >= _TOLD:
                break
        if problems:
            told = problems[:_TOLD]
            words = "; ".join(f"line {one.line}, {one.field}: {one.message}" for one in told[:3])
            more = f" There may be more than the {_TOLD} that are named." if len(problems) >= _TOLD else ""
            raise InvalidInput(f"Nothing was imported: {words}.{more}", problems=told)
        return rows

    def _write(self, person: Person, import_id: str, lines: Iterable[bytes]) -> int:
        rows = read(lines, COLUMNS, _MORE)
        added = 0
        while batch := list(islice(rows, _BATCH)):
            with self.database.write() as session:
                now = self.catalog.now(agreed(session))
                new = _without_known(session, [_values(row, person, import_id, now) for row in batch])
                if new:
                    session.execute(insert(Entitlement), new)
            added += len(new)
        return added

    def _finish(self, person: Person, import_id: str, rows: int, added: int) -> Imported:
        with self.database.write() as session:
            made = session.get(EntitlementImport, import_id, with_for_update=True)
            if made is None:
                raise Conflict("The import took too long and was given up.", hint="Split the file.")
            if added:
                made.done_at = self.catalog.now(agreed(session))
                detail = {"import": import_id, "file": made.digest, "rows": rows, "added": added}
                audit.record(session, person.name, "entitlement.import", ("entitlements", import_id), detail=detail)
                audit.announce(session, TOPIC, {"import": import_id})
            else:
                session.delete(made)
        return Imported(import_id if added else "", rows, added, rows - added)

    # What a crash leaves.

    def sweep(self) -> int:
        """Remove what imports left that were killed; return how many of them there were."""
        before = datetime.now(UTC) - _ABANDONED
        with self.database.read() as session:
            query = select(EntitlementImport.id).where(
                EntitlementImport.done_at.is_(None), EntitlementImport.started_at < before
            )
            left = list(session.scalars(query))
        for import_id in left:
            self._remove(import_id)
        return len(left)

    def _remove(self, import_id: str) -> None:
        """Remove an import that is not done: the row last, so that the next sweep goes on where this one ended."""
        some = select(Entitlement.id).where(Entitlement.import_id == import_id).limit(_BATCH)
        while True:
            with self.database.write() as session:
                made = session.get(EntitlementImport, import_id, with_for_update=True)
                if made is None or made.done_at is not None:
                    return
                ids = list(session.scalars(some))
                session.execute(delete(Entitlement).where(Entitlement.id.in_(ids)))
                if len(ids) < _BATCH:
                    session.delete(made)
                    return


class _RowCheck:
    """Checks rows; what is the same in many is looked at once."""

    def __init__(self, entitlements: Entitlements, person: Person, now: datetime) -> None:
        catalog = entitlements.catalog.current()
        self._known = profiles_known(catalog)
        self._may = {name for name in self._known if may_entitle(person, catalog, name)}
        self._person, self._now, self._longest = person, now, entitlements.longest
        self._ends: dict[str, str] = {}
        self._seen: set[int] = set()  # hashes: a million names would take ten times as much

    def problems(self, row: Row) -> list[Problem]:
        """Return what is wrong with a row."""
        found = [self._profile(row), self._holder(row), self._until(row), _reason(row)]
        if not any(found):
            key = hash((row.cells["profile"], row.cells["kind"], row.cells["name"]))
            if key in self._seen:
                found.append(Problem("name", "has a row above for the same profile already"))
            self._seen.add(key)
        return [Problem(one.field, one.message, row.line) for one in found if one is not None]

    def _profile(self, row: Row) -> Problem | None:
        name = row.cells["profile"]
        if name in self._may:
            return None
        return profile_problem(name, self._known) or Problem("profile", "is for its owner and curators to entitle to")

    def _holder(self, row: Row) -> Problem | None:
        kind, name = row.cells["kind"], row.cells["name"]
        if (kind, name) == (PERSON, self._person.name):
            return Problem("name", "must not be your own: ask another owner or a curator")
        return holder_problem(kind, name)

    def _until(self, row: Row) -> Problem | None:
        text = row.cells["until"]
        if text not in self._ends:
            if len(self._ends) > _BATCH:
                self._ends.clear()
            self._ends[text] = self._wrong_end(text)
        return Problem("until", self._ends[text]) if self._ends[text] else None

    def _wrong_end(self, text: str) -> str:
        try:
            problem = until_problem(read_time("until", text), self._now, self._longest)
        except InvalidInput as error:
            problem = error.problems[0]
        return problem.message if problem else ""


def _lines(stream: BinaryIO, digest: Hash | None = None) -> Iterator[bytes]:
    """Yield the lines of a file, and put them into a digest."""
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InvalidInput.of("file", f"has more than {_LONGEST_LINE:,} bytes in one line", line=number)
        if digest is not None:
            digest.update(line)
        yield line


def _reason(row: Row) -> Problem | None:
    try:
        check_words("reason", row.cells["reason"], needed=True)
    except HubExtError as error:
        return Problem("reason", error.problems[0].message)
    return None


def _cells(row: Entitlement) -> list[str]:
    times = (row.until.isoformat(), row.granted_at.isoformat())
    return [row.profile, row.kind, row.name, times[0], row.reason, row.id, row.granted_by, times[1]]


def _values(row: Row, person: Person, import_id: str, now: datetime) -> dict[str, Any]:
    until = read_time("until", row.cells["until"]).astimezone(UTC)
    return {
        "id": new_id("n"),
        "profile": row.cells["profile"],
        "kind": row.cells["kind"],
        "name": row.cells["name"],
        "until": until,
        "granted_until": until,
        "reason": check_words("reason", row.cells["reason"]),
        "granted_by": person.name,
        "granted_at": now,
        "import_id": import_id,
    }


def _without_known(session: Session, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that say something new: a file that is imported again changes nothing."""
    rows = list(rows)
    query = counted().where(
        Entitlement.kind.in_({row["kind"] for row in rows}), Entitlement.name.in_({row["name"] for row in rows})
    )
    columns = (Entitlement.profile, Entitlement.kind, Entitlement.name, Entitlement.until)
    known: dict[tuple[str, str, str], datetime] = {}
    for profile, kind, name, until in session.execute(query.with_only_columns(*columns)):
        key = (profile, kind, name)
        known[key] = max(until, known.get(key, until))
    return [
        row
        for row in rows
        if (key := (row["profile"], row["kind"], row["name"])) not in known or known[key] < row["until"]
    ]
