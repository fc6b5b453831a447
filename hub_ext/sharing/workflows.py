"""One workflow: found, read, changed, kept at hand; and what a person sees first."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from hub_ext import audit
from hub_ext.db.session import Database
from hub_ext.db.tables import Favourite, Run, Version, Workflow
from hub_ext.db.types import now
from hub_ext.errors import Forbidden, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.sharing.access import may_edit, visible_to
from hub_ext.sharing.cursors import read_cursor, write_cursor
from hub_ext.sharing.fields import Fields, check_fields, put_fields, sharing_of
from hub_ext.sharing.listing import MOST, Summary, favourites, is_storable

_FIRST = 3  # what the first page shows of each kind


def find(session: Session, person: Person, owner: str, name: str) -> Workflow:
    """Return a workflow that a person may see.

    Args:
        session: A transaction.
        person: Who asks.
        owner: Its owner.
        name: Its name.

    Raises:
        NotFound: If there is none, or she may not see it; the same words either way, from the same query.
    """
    found = None
    if is_storable(owner) and is_storable(name):
        query = select(Workflow).where(Workflow.owner == owner, Workflow.name == name, visible_to(person))
        found = session.scalar(query)
    if found is None:
        raise NotFound(
            "There is no such workflow, or it is not shared with you.", hint="Check the address, or ask its owner."
        )
    return found


@dataclass(frozen=True)
class VersionPage:
    """Versions of a workflow, the newest first.

    Attributes:
        items: The versions.
        next: Cursor of the next page; None on the last.
        total: How many versions there are.
    """

    items: list[Version]
    next: str | None
    total: int


def versions(session: Session, workflow: Workflow, *, cursor: str | None = None, limit: int = 25) -> VersionPage:
    """Return a page of the versions of a workflow.

    Args:
        session: A transaction.
        workflow: The workflow, from `find`.
        cursor: `next` of the page before.
        limit: Most versions, 1 to 100.

    Raises:
        InvalidInput: If the cursor or the limit cannot be.
    """
    if not 1 <= limit <= MOST:
        raise InvalidInput.of("limit", f"must be from 1 to {MOST}")
    query = select(Version).where(Version.workflow_id == workflow.id)
    if cursor is not None:
        (before,) = read_cursor("versions", cursor, (int,))
        query = query.where(Version.number < before)
    rows = list(session.scalars(query.order_by(Version.number.desc()).limit(limit + 1)))
    following = write_cursor("versions", rows[limit - 1].number) if len(rows) > limit else None
    return VersionPage(rows[:limit], following, workflow.latest)


def version(session: Session, workflow: Workflow, number: int | None = None) -> Version:
    """Return one version of a workflow.

    Args:
        session: A transaction.
        workflow: The workflow, from `find`.
        number: Its number; the latest by default.

    Raises:
        NotFound: If there is none.
    """
    wanted = workflow.latest if number is None else number
    found = None
    if 1 <= wanted < 2**31:
        query = select(Version).where(Version.workflow_id == workflow.id, Version.number == wanted)
        found = session.scalar(query)
    if found is None:
        raise NotFound(
            f"{workflow.owner}/{workflow.name} has no version {str(wanted)[:20]}.",
            hint=f"Its versions are 1 to {workflow.latest}." if workflow.latest else "It has no version yet.",
        )
    return found


def update(database: Database, person: Person, owner: str, name: str, change: Fields) -> Workflow:
    """Change what is said about a workflow and who sees it; its versions stay as they are.

    Args:
        database: The database.
        person: Who changes it.
        owner: Its owner.
        name: Its name.
        change: What shall be different; None leaves a field as it is.

    Raises:
        NotFound: If there is none, or she may not see it.
        Forbidden: If she sees it and may not change it; the attempt is audited.
        InvalidInput: If something cannot be accepted; `problems` name the fields.
    """
    with database.write() as session:
        workflow = find(session, person, owner, name)
        allowed = may_edit(person, workflow)
        if allowed:
            session.refresh(workflow, with_for_update=True)
            changed = put_fields(session, workflow, check_fields(change, person, sharing_of(workflow)))
            if changed:
                workflow.updated_at = now()
                detail = {
                    "id": workflow.id,
                    "changed": changed,
                    "visibility": workflow.visibility,
                    "groups": sorted(row.group for row in workflow.groups),
                }
                audit.record(session, person.name, "workflow.update", ("workflow", f"{owner}/{name}"), detail=detail)
                audit.announce(session, "workflows", {"id": workflow.id})
        else:
            audit.record(session, person.name, "workflow.update", ("workflow", f"{owner}/{name}"), outcome="denied")
    if not allowed:
        raise Forbidden(f"Only {owner} may change this workflow.", hint=f"Ask {owner}, or publish one of your own.")
    return workflow


def set_favourite(database: Database, person: Person, owner: str, name: str, on: bool) -> None:
    """Keep a workflow at hand, or no longer; doing so twice is the same as once.

    Args:
        database: The database.
        person: Who keeps it.
        owner: Its owner.
        name: Its name.
        on: Whether she keeps it.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with contextlib.suppress(IntegrityError), database.write() as session:  # twice at once: it is kept
        workflow = find(session, person, owner, name)
        kept = session.get(Favourite, (person.name, workflow.id))
        if on and kept is None:
            session.add(Favourite(user=person.name, workflow_id=workflow.id))
        elif kept is not None and not on:
            session.delete(kept)


@dataclass(frozen=True)
class Home:
    """What a person sees first.

    Attributes:
        runs: Her last three runs, with their workflows.
        favourites: Three workflows that she keeps at hand, the latest kept first.
    """

    runs: list[Run]
    favourites: list[Summary]


def home(session: Session, person: Person) -> Home:
    """Return what a person sees first.

    Args:
        session: A transaction.
        person: Who looks.
    """
    query = (
        select(Run)
        .where(Run.caller == person.name)
        .order_by(Run.created_at.desc(), Run.id.desc())
        .limit(_FIRST)
        .options(joinedload(Run.workflow))
    )
    return Home(list(session.scalars(query)), favourites(session, person, _FIRST))
