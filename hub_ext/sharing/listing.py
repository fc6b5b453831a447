"""The gallery: pages of the workflows that a person may see.

What everybody sees and what is for this person alone are two disjoint parts. The first, large one is read in order from
an index and counted from an index; the second is small. So a page costs the same among 100 workflows and 10,000.
Only a search for words has to look at every row, and does so once, for the page and its total together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, Subquery, and_, case, func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from hub_ext.db.tables import Favourite, Version, Workflow, WorkflowTag
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput
from hub_ext.people import Person
from hub_ext.sharing.access import reached_by, visible_to
from hub_ext.sharing.cursors import read_cursor, write_cursor
from hub_ext.sharing.health import Health, health
from hub_ext.sharing.search import words
from hub_ext.sharing.tags import tags_of

MOST = 100
SHORT = 300  # characters of a description in a row


@dataclass(frozen=True)
class Query:
    """Which page of the gallery.

    Attributes:
        q: Words that all have to be found, whatever their case and accents.
        tag: A tag.
        owner: An owner.
        favourite: Only what the person keeps at hand.
        sort: ``updated``, ``used`` (the latest first) or ``title``. In a search, what has the words in its title comes
            before what has them elsewhere.
        cursor: `next` of the page before.
        limit: Most rows, 1 to 100.
    """

    q: str = ""
    tag: str | None = None
    owner: str | None = None
    favourite: bool = False
    sort: str = "updated"
    cursor: str | None = None
    limit: int = 25


@dataclass(frozen=True)
class Summary:
    """A workflow, as a row of the gallery.

    Attributes:
        id: Its id.
        owner: Its owner.
        name: Its name.
        title: Its title.
        description: At most 300 characters of it.
        tags: Its tags.
        visibility: ``private``, ``groups`` or ``everyone``.
        version: Number of the latest version.
        verified: Whether that version was approved in review.
        health: How its runs ended.
        last_run_at: When it was last run by anybody.
        picture: Key of its picture in the result store.
        favourite: Whether the person keeps it at hand.
        updated_at: When it last changed.
    """

    id: str
    owner: str
    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    visibility: str
    version: int
    verified: bool
    health: Health
    last_run_at: datetime | None
    picture: str | None
    favourite: bool
    updated_at: datetime


@dataclass(frozen=True)
class Listing:
    """One page.

    Attributes:
        items: Its rows.
        next: Cursor of the next page; None on the last.
        total: How many workflows fit the query, on all pages.
        tags: The most used tags of all that the person may see, and how many workflows bear each.
    """

    items: list[Summary] = field(default_factory=list)
    next: str | None = None
    total: int = 0
    tags: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Order:
    """An order: one column, then the id."""

    column: Any
    kind: type
    down: bool

    def clauses(self, key: Any, id_: Any) -> list[Any]:
        return [key.desc().nulls_last(), id_.desc()] if self.down else [key.asc(), id_.asc()]

    def after(self, key: Any, id_: Any, at: Any, after_id: str) -> ColumnElement[bool]:
        if at is None:
            return and_(key.is_(None), id_ < after_id)
        if not self.down:
            return or_(key > at, and_(key == at, id_ > after_id))
        later = or_(key < at, and_(key == at, id_ < after_id))
        return or_(later, key.is_(None)) if self.kind is datetime else later


@dataclass(frozen=True)
class _Filter:
    """Conditions, and the words whose place in a title decides the rank."""

    conditions: list[ColumnElement[bool]]
    words: list[str]

    def rank(self) -> ColumnElement[int]:
        """How many of the words are not in the title."""
        missing = [case((Workflow.title_key.contains(word, autoescape=True), 0), else_=1) for word in self.words]
        return reduce(add, missing, literal(0))


_ORDERS = {
    "updated": _Order(Workflow.updated_at, datetime, down=True),
    "used": _Order(Workflow.last_run_at, datetime, down=True),
    "title": _Order(Workflow.title_key, str, down=False),
}


def listing(session: Session, person: Person, query: Query) -> Listing:
    """Return a page of the gallery.

    Args:
        session: A transaction.
        person: Who looks.
        query: Which page.

    Raises:
        InvalidInput: If a part of the query cannot be; names the field.
    """
    order = _check(query)
    found = words(query.q)
    filters = _filters(person, query, found)
    if filters is None:
        return Listing(tags=tags_of(session, person, _everyones(session)))
    if filters:
        rows, total = _filtered(session, person, query, order, _Filter(filters, found))
        everyones = _everyones(session)
    else:
        rows, everyones, hers = _all(session, person, query, order)
        total = everyones + hers
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    following = write_cursor(query.sort, rows[-1].rank, rows[-1].key, rows[-1].id) if more else None
    return Listing(_summaries(session, rows), following, total, tags_of(session, person, everyones))


def _check(query: Query) -> _Order:
    if query.sort not in _ORDERS:
        raise InvalidInput.of("sort", f"must be {', '.join(_ORDERS)}")
    if not 1 <= query.limit <= MOST:
        raise InvalidInput.of("limit", f"must be from 1 to {MOST}")
    return _ORDERS[query.sort]


def _filters(person: Person, query: Query, found: Sequence[str]) -> list[ColumnElement[bool]] | None:
    """Return what a query asks for beyond the order; None if it names what no database could hold."""
    if not all(is_storable(text) for text in (query.tag, query.owner) if text is not None):
        return None
    filters: list[ColumnElement[bool]] = []
    if query.owner is not None:
        filters.append(Workflow.owner == query.owner)
    if query.tag is not None:
        tag = query.tag.strip().casefold()
        filters.append(Workflow.id.in_(select(WorkflowTag.workflow_id).where(WorkflowTag.tag == tag)))
    if query.favourite:
        filters.append(Workflow.id.in_(select(Favourite.workflow_id).where(Favourite.user == person.name)))
    return filters + [Workflow.search.contains(word, autoescape=True) for word in found]


def is_storable(text: str) -> bool:
    """Return whether a database could hold a text at all, and so be asked for it."""
    return len(text) <= 400 and not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in text)


def _everyones(session: Session) -> int:
    return int(session.scalar(select(func.count()).select_from(Workflow).where(Workflow.visibility == "everyone")) or 0)


def _all(session: Session, person: Person, query: Query, order: _Order) -> tuple[Sequence[Row[Any]], int, int]:
    """Everything that a person may see: the head of each of the two parts, merged; and their counts."""
    parts = [
        [Workflow.visibility == "everyone"],
        [Workflow.visibility != "everyone", reached_by(person)],
    ]
    begin: list[ColumnElement[bool]] = []
    if query.cursor is not None:
        _, at, after_id = read_cursor(query.sort, query.cursor, (int, order.kind, str))
        begin.append(order.after(order.column, Workflow.id, at, after_id))
    heads = [
        select(
            select(Workflow.id.label("id"), order.column.label("key"), literal(0).label("rank"))
            .where(*part, *begin)
            .order_by(*order.clauses(order.column, Workflow.id))
            .limit(query.limit + 1)
            .subquery()
        )
        for part in parts
    ]
    page = union_all(*heads).subquery("page")
    rows = _rows(person, page).order_by(*order.clauses(page.c.key, page.c.id)).limit(query.limit + 1)
    counts = [select(func.count()).select_from(Workflow).where(*part).scalar_subquery() for part in parts]
    found = session.execute(rows).all()
    everyones, hers = session.execute(select(*counts)).one()
    return found, int(everyones), int(hers)


def _filtered(
    session: Session, person: Person, query: Query, order: _Order, wanted: _Filter
) -> tuple[Sequence[Row[Any]], int]:
    """What fits some filters: looked for once, for the page and its total together."""
    found = (
        select(Workflow.id.label("id"), order.column.label("key"), wanted.rank().label("rank"))
        .where(visible_to(person), *wanted.conditions)
        .cte("found")
    )
    by = [found.c.rank, *order.clauses(found.c.key, found.c.id)]
    page = select(found)
    if query.cursor is not None:
        after_rank, at, after_id = read_cursor(query.sort, query.cursor, (int, order.kind, str))
        same = and_(found.c.rank == after_rank, order.after(found.c.key, found.c.id, at, after_id))
        page = page.where(or_(found.c.rank > after_rank, same))
    shown = page.order_by(*by).limit(query.limit + 1).subquery("page")
    count = select(func.count()).select_from(found)
    statement = _rows(person, shown).add_columns(count.scalar_subquery().label("total"))
    rows = session.execute(statement.order_by(shown.c.rank, *order.clauses(shown.c.key, shown.c.id))).all()
    if rows:
        return rows, int(rows[0].total)
    return rows, int(session.scalar(count) or 0) if query.cursor else 0


def _rows(person: Person, page: Subquery | CTE) -> Select[Any]:
    """Return the query for the rows of some workflows, as `_summaries` reads them."""
    return (
        select(
            page.c.rank,
            page.c.key,
            Workflow.id,
            Workflow.owner,
            Workflow.name,
            Workflow.title,
            func.substr(Workflow.description, 1, SHORT + 1).label("description"),
            Workflow.tags,
            Workflow.visibility,
            Workflow.latest,
            Workflow.last_run_at,
            Workflow.picture,
            Workflow.updated_at,
            Version.verified_at,
            Favourite.user.label("kept_by"),
        )
        .join(page, page.c.id == Workflow.id)
        .outerjoin(Version, and_(Version.workflow_id == Workflow.id, Version.number == Workflow.latest))
        .outerjoin(Favourite, and_(Favourite.workflow_id == Workflow.id, Favourite.user == person.name))
    )


def _summaries(session: Session, rows: Sequence[Row[Any]]) -> list[Summary]:
    states = health(session, [row.id for row in rows], now())
    return [
        Summary(
            id=row.id,
            owner=row.owner,
            name=row.name,
            title=row.title,
            description=_short(row.description),
            tags=tuple(row.tags),
            visibility=row.visibility,
            version=row.latest,
            verified=row.verified_at is not None,
            health=states[row.id],
            last_run_at=row.last_run_at,
            picture=row.picture,
            favourite=row.kept_by is not None,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


def _short(description: str) -> str:
    text = " ".join(description.split())
    return text if len(description) <= SHORT else text[: SHORT - 1].rsplit(" ", 1)[0] + "…"


def favourites(session: Session, person: Person, limit: int) -> list[Summary]:
    """Return what a person keeps at hand and may see, the latest kept first.

    Args:
        session: A transaction.
        person: Who looks.
        limit: Most of them.
    """
    kept = (
        select(Workflow.id.label("id"), Favourite.created_at.label("key"), literal(0).label("rank"))
        .join(Favourite, Favourite.workflow_id == Workflow.id)
        .where(Favourite.user == person.name, visible_to(person))
        .order_by(Favourite.created_at.desc(), Workflow.id)
        .limit(limit)
        .subquery("page")
    )
    rows = session.execute(_rows(person, kept).order_by(kept.c.key.desc(), kept.c.id)).all()
    return _summaries(session, rows)
