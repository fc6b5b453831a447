"""The record of acts, for auditors."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow
from hub_ext.errors import Forbidden, InvalidInput
from hub_ext.people import Person
from hub_ext.web.api import models
from hub_ext.web.api.operation import Answer, ApiHandler, operation


def check_auditor(person: Person) -> None:
    """Refuse who may not read the record.

    Args:
        person: Who asks.

    Raises:
        Forbidden: If she is no auditor and no admin, or this session or token may not act in roles.
    """
    if not (person.has_role("auditor") or person.has_role("admin")):
        raise Forbidden(
            "The record of acts is for auditors and admins.",
            hint="A notebook server's own token never acts in roles: sign in, or use a token made for it.",
        )


def list_acts(database: Database, person: Person, query: models.AuditQuery) -> models.ActList:
    """Return acts, the newest first.

    Args:
        database: The database.
        person: Who asks.
        query: Which.

    Raises:
        Forbidden: If she may not.
        InvalidInput: If the cursor is none of ours.
    """
    check_auditor(person)
    wanted = select(AuditRow).where(*_conditions(query)).order_by(AuditRow.id.desc()).limit(query.limit + 1)
    with database.read() as session:
        rows = list(session.scalars(wanted))
    more = len(rows) > query.limit
    acts = [_act(row) for row in rows[: query.limit]]
    return models.ActList(items=acts, next=str(acts[-1].id) if more else None)


def _conditions(query: models.AuditQuery) -> list[ColumnElement[bool]]:
    kind, _, name = (query.object or "").partition(":")
    equal = {
        AuditRow.actor: query.actor,
        AuditRow.outcome: query.outcome,
        AuditRow.object_type: kind,
        AuditRow.object_id: name,
    }
    found = [column == value for column, value in equal.items() if value]
    if query.action:
        found.append(_action(query.action))
    if query.since is not None:
        found.append(AuditRow.at >= query.since)
    if query.until is not None:
        found.append(AuditRow.at < query.until)
    if query.cursor is not None:
        found.append(AuditRow.id < _before(query.cursor))
    return found


def _before(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise InvalidInput.of("cursor", "must be the value of `next` in the list before")
    return int(cursor)


def _action(action: str) -> ColumnElement[bool]:
    return AuditRow.action == action if "." in action else AuditRow.action.startswith(f"{action}.", autoescape=True)


def _act(row: AuditRow) -> models.Act:
    return models.Act(
        id=row.id,
        sequence=row.sequence,
        at=row.at,
        actor=row.actor,
        action=row.action,
        object=models.Subject(type=row.object_type, id=row.object_id),
        outcome=row.outcome,
        detail=row.detail,
        digest=row.digest,
    )


def verify(database: Database, person: Person) -> models.Verdict:
    """Walk the whole chain.

    Args:
        database: The database.
        person: Who asks.

    Raises:
        Forbidden: If she may not.
    """
    check_auditor(person)
    with database.read() as session:
        found = audit.verify(session)
    return models.Verdict(
        intact=found.intact, checked=found.checked, unsealed=found.unsealed, broken_at=found.broken_at
    )


class Audit(ApiHandler):
    """`audit`."""

    @operation(
        "List acts",
        {200: Answer("Acts, the newest first", models.ActList)},
        query=models.AuditQuery,
        description="For auditors and admins.",
    )
    async def get(self, query: models.AuditQuery) -> None:
        """List acts."""
        self.answer(await self.call(list_acts, self.context.database, self.person, query))


class Verification(ApiHandler):
    """`audit/verification`."""

    @operation(
        "Verify the record of acts",
        {200: Answer("Whether it is as it was written", models.Verdict)},
        description="For auditors and admins. Walks the whole chain.",
    )
    async def get(self) -> None:
        """Verify the record."""
        self.answer(await self.call(verify, self.context.database, self.person))
