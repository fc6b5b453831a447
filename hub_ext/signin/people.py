"""What admins do with people: block, let in again, and hand the workflows of somebody who left to an heir."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.owners import may_read_all
from hub_ext.db.session import Database
from hub_ext.db.tables import Account, Workflow
from hub_ext.db.types import now
from hub_ext.errors import Conflict, Forbidden, InvalidInput, NotFound
from hub_ext.governance.rights import check_words, must_be
from hub_ext.people import EXAMPLES, Person
from hub_ext.sharing.access import can_own
from hub_ext.sharing.names import LONGEST

_ADMIN = "admin"


@dataclass(frozen=True)
class Handed:
    """A workflow that has another owner now.

    Attributes:
        before: Its name until now.
        name: Its name now: the heir may have had one of the old name.
    """

    before: str
    name: str


class People:
    """What admins do with people.

    Args:
        database: Where accounts and workflows are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def account(self, person: Person, name: str) -> Account:
        """Return what is known of somebody's sign-in.

        Raises:
            Forbidden: If the caller is neither curator, auditor nor admin.
            NotFound: If she never signed in by a provider, and is not blocked.
        """
        if not may_read_all(person):
            raise Forbidden("You may not do this.", hint="Ask a curator, an auditor or an admin.")
        with self.database.read() as session:
            row = session.get(Account, name) if _plain(name) else None
        if row is None:
            raise NotFound("Nothing is known of a sign-in under this name.")
        return row

    def block(self, person: Person, name: str, reason: str) -> Account:
        """Block somebody: what she holds is taken within a minute, and she cannot come back.

        Args:
            person: Who acts.
            name: Whom.
            reason: Why; others read it.

        Raises:
            Forbidden: If the caller is no admin; that is audited.
            InvalidInput: If there is no reason, or the name cannot be.
            Conflict: If it is the caller herself.
        """
        must_be(self.database, person, _ADMIN, "person.block", ("person", name))
        words = check_words("reason", reason, needed=True)
        _must_be_plain(name)
        if name == person.name:
            raise Conflict("You cannot block yourself.", hint="Another admin can.")
        for last in (False, True):
            try:
                return self._block(person, name, words)
            except IntegrityError:  # somebody signed in, or was blocked, at the same time
                if last:
                    raise
        raise AssertionError

    def _block(self, person: Person, name: str, words: str) -> Account:
        with self.database.write() as session:
            row = session.get(Account, name, with_for_update=True)
            if row is None:
                row = Account(name=name, issuer="", sub=name, subject=name, groups=[])
                session.add(row)
            if row.blocked_at is None:
                row.blocked_at, row.blocked_by, row.blocked_why = now(), person.name, words
                audit.record(session, person.name, "person.block", ("person", name), detail={"reason": words})
            session.flush()
            return row

    def let_in(self, person: Person, name: str) -> None:
        """Let somebody in again who was blocked; she has to sign in anew.

        Raises:
            Forbidden: If the caller is no admin; that is audited.
            NotFound: If she is not blocked.
        """
        must_be(self.database, person, _ADMIN, "person.let_in", ("person", name))
        with self.database.write() as session:
            row = session.get(Account, name, with_for_update=True) if _plain(name) else None
            if row is None or row.blocked_at is None:
                raise NotFound("Nobody of this name is blocked.")
            row.blocked_at, row.blocked_by, row.blocked_why = None, "", ""
            if not row.issuer:
                session.delete(row)
            audit.record(session, person.name, "person.let_in", ("person", name))

    def hand_over(self, person: Person, name: str, heir: str) -> list[Handed]:
        """Give all workflows of somebody to an heir: a person, or a group whose publishers keep them.

        Args:
            person: Who acts.
            name: Whose they are.
            heir: Whose they will be. That she or the group exists has been checked.

        Returns:
            What was handed over.

        Raises:
            Forbidden: If the caller is no admin; that is audited.
            InvalidInput: If the heir cannot own workflows.
        """
        must_be(self.database, person, _ADMIN, "person.hand_over", ("person", name))
        if name == EXAMPLES or not _plain(name):
            raise InvalidInput.of("name", "is nobody whose workflows can be handed over")
        if heir == name or not _plain(heir) or not can_own(heir):
            raise InvalidInput.of("heir", "must be another person, or a group, that can own workflows")
        with self.database.write() as session:
            owned = or_(Workflow.owner == name, Workflow.owner == heir)
            rows = list(session.scalars(select(Workflow).where(owned).order_by(Workflow.name).with_for_update()))
            taken = {row.name for row in rows if row.owner == heir}
            found = [self._hand(row, heir, taken) for row in rows if row.owner == name]
            self._record(session, person, name, heir, found)
        return found

    def _hand(self, row: Workflow, heir: str, taken: set[str]) -> Handed:
        before = row.name
        row.name = _free(before, taken)
        row.owner = heir
        taken.add(row.name)
        return Handed(before, row.name)

    def _record(self, session: Session, person: Person, name: str, heir: str, found: list[Handed]) -> None:
        detail = {"heir": heir, "workflows": [[one.before, one.name] for one in found[:200]]}
        audit.record(session, person.name, "person.hand_over", ("person", name), detail=detail)
        for one in found:
            subject = ("workflow", f"{name}/{one.before}")
            audit.record(session, person.name, "workflow.hand_over", subject, detail={"to": f"{heir}/{one.name}"})
        if found:
            audit.announce(session, "workflows", {"owner": heir})


def _free(name: str, taken: set[str]) -> str:
    """Return a name that the heir has not: the same, or with a number."""
    number, found = 1, name
    while found in taken:
        number += 1
        end = f"-{number}"
        found = name[: LONGEST - len(end)].rstrip("-") + end
    return found


def _plain(name: str) -> bool:
    return name.isprintable() and 0 < len(name) <= 255


def _must_be_plain(name: str) -> None:
    if not _plain(name) or name == EXAMPLES:
        raise InvalidInput.of("name", "is nobody's who can be blocked")
