"""The record of acts: appended with the change it tells of, chained afterwards.

A row is written in the same transaction as the change. One sealer, by lease, then gives committed rows their place in
a hash chain: ``digest = SHA-256(previous digest, canonical JSON of the row)``. Writers never wait for each other, and a
row that is changed or taken out later breaks the chain at a place that `verify` names.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from hub_ext.db.tables import AuditRow, Change
from hub_ext.db.types import UtcDateTime

_GENESIS = "0" * 64
_APPEND = insert(AuditRow).inline()  # nobody asks for the number; made once, since each start appends some


def record(
    session: Session,
    actor: str,
    action: str,
    subject: tuple[str, str],
    *,
    outcome: str = "allowed",
    detail: dict[str, Any] | None = None,
) -> None:
    """Append an act; it is kept if and only if the transaction commits.

    Args:
        session: The transaction of the change itself.
        actor: Name of who acted (a user, or ``service:<name>``).
        action: ``<object>.<verb>``, such as ``run.create``.
        subject: Type and id of the object.
        outcome: ``allowed``, ``denied`` or ``failed``.
        detail: More, as JSON; never a secret.
    """
    kind, name = subject
    about = {"action": action, "object_type": kind, "object_id": name[:400], "outcome": outcome}
    session.connection().execute(_APPEND, {"actor": actor[:255], "detail": detail or {}, **about})


def announce(session: Session, topic: str, payload: dict[str, Any]) -> None:
    """Tell open pages of a change, once it is committed (see `Change`)."""
    session.add(Change(topic=topic, payload=payload))


def _canonical(row: AuditRow) -> bytes:
    at = UtcDateTime().process_result_value(row.at, None)  # type: ignore[arg-type]  # the dialect is not used
    content = {
        "sequence": row.sequence,
        "at": at.isoformat(timespec="microseconds") if at else "",
        "actor": row.actor,
        "action": row.action,
        "object": [row.object_type, row.object_id],
        "outcome": row.outcome,
        "detail": row.detail,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _link(previous: str, row: AuditRow) -> str:
    return hashlib.sha256(previous.encode() + b"\n" + _canonical(row)).hexdigest()


def seal(session: Session, *, limit: int = 500) -> int:
    """Give committed rows their sequence (audit and changes) and chain the audit rows.

    Only the holder of the lease `sealer` may call it.

    Args:
        session: A write transaction.
        limit: Most rows of each kind in one go.

    Returns:
        How many rows were sealed.
    """
    last = session.execute(
        select(AuditRow.sequence, AuditRow.digest)
        .where(AuditRow.sequence.is_not(None))
        .order_by(AuditRow.sequence.desc())
        .limit(1)
    ).first()
    sequence, previous = (last[0] or 0, last[1] or _GENESIS) if last else (0, _GENESIS)
    rows = session.scalars(select(AuditRow).where(AuditRow.sequence.is_(None)).order_by(AuditRow.id).limit(limit)).all()
    for row in rows:
        sequence += 1
        row.sequence = sequence
        previous = row.digest = _link(previous, row)
    newest = session.scalar(select(func.max(Change.sequence))) or 0
    changes = session.scalars(select(Change).where(Change.sequence.is_(None)).order_by(Change.id).limit(limit)).all()
    for number, change in enumerate(changes, newest + 1):
        change.sequence = number
    return len(rows) + len(changes)


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Attributes:
        checked: Sealed rows that were looked at.
        unsealed: Rows after the last sealed one (the tail, normally younger than a second).
        broken_at: Sequence of the first row that does not fit, None if all fit.
    """

    checked: int
    unsealed: int
    broken_at: int | None

    @property
    def intact(self) -> bool:
        """Whether every sealed row fits its predecessor."""
        return self.broken_at is None


def verify(session: Session) -> Verdict:
    """Walk the chain from its beginning."""
    previous, checked = _GENESIS, 0
    rows = session.scalars(
        select(AuditRow)
        .where(AuditRow.sequence.is_not(None))
        .order_by(AuditRow.sequence)
        .execution_options(yield_per=500)
    )
    broken: int | None = None
    with closing(rows):
        for row in rows:
            checked += 1
            if row.sequence != checked or row.digest != _link(previous, row):
                broken = row.sequence
                break
            previous = row.digest or _GENESIS
    tail = session.scalar(select(func.count()).select_from(AuditRow).where(AuditRow.sequence.is_(None))) or 0
    return Verdict(checked, tail, broken)
