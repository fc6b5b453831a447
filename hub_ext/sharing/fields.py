"""What people say about a workflow (title, description, tags, who sees it): checked, and put into its row."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from hub_ext.db.tables import Workflow, WorkflowGroup, WorkflowTag
from hub_ext.errors import InvalidInput, Problem
from hub_ext.people import Person
from hub_ext.sharing.access import VISIBILITIES, publishable_owners
from hub_ext.sharing.search import fold, search_text

LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 5000
LONGEST_TAG = 32
MOST_TAGS = 10
MOST_GROUPS = 50

_TAG = re.compile(r"\w[\w .+#-]*")
_DIRECTION = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # make text read other than it is written


@dataclass(frozen=True)
class Fields:
    """What is said about a workflow; None: nothing is said, so it stays as it is.

    Attributes:
        title: At most 200 characters, on one line.
        description: At most 5000 characters.
        tags: At most 10, each of at most 32 letters, digits, spaces and ``. + # -``; kept in lower case.
        visibility: ``private``, ``groups`` or ``everyone``.
        groups: Groups that see it, for ``groups``.
    """

    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    visibility: str | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Sharing:
    """Who sees a workflow now, for the checks of what it shall be."""

    visibility: str = "private"
    groups: frozenset[str] = frozenset()


def sharing_of(workflow: Workflow | None) -> Sharing:
    """Return who sees a workflow; nobody else, for one that is not there yet."""
    if workflow is None:
        return Sharing()
    return Sharing(workflow.visibility, frozenset(row.group for row in workflow.groups))


def check_text(value: object, most: int, *, lines: bool = False) -> str:
    """Return a text that can be stored and shown.

    Args:
        value: What was sent.
        most: Most characters.
        lines: Whether it may have several lines.

    Raises:
        ValueError: Why it cannot; the message is for the sender.
    """
    if not isinstance(value, str):
        msg = "must be text"
        raise ValueError(msg)
    text = value.replace("\r\n", "\n").strip() if lines else " ".join(value.split())
    kept = "\n\t" if lines else ""
    plain = text.isascii() and text.isprintable()  # most are, and a million of them may be looked at
    bad = None if plain else next((char for char in text if char not in kept and _is_bad(char)), None)
    if bad is not None:
        msg = f"holds the character U+{ord(bad):04X}, which cannot be shown; take it out"
        raise ValueError(msg)
    if len(text) > most:
        msg = f"has {len(text)} characters; at most {most} fit"
        raise ValueError(msg)
    return text


def _is_bad(char: str) -> bool:
    return char in _DIRECTION or unicodedata.category(char) in ("Cc", "Cs")


def check_fields(fields: Fields, person: Person, sharing: Sharing) -> Fields:
    """Return the fields in the form they are stored in.

    Args:
        fields: What was sent.
        person: Who sent it.
        sharing: Who sees the workflow now.

    Raises:
        InvalidInput: If any cannot be accepted; `problems` name each.
    """
    problems: list[Problem] = []

    def checked(name: str, check: Callable[[Any], Any]) -> Any:
        value = getattr(fields, name)
        try:
            return None if value is None else check(value)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
            return None

    clean = Fields(
        title=checked("title", _title),
        description=checked("description", lambda value: check_text(value, LONGEST_DESCRIPTION, lines=True)),
        tags=checked("tags", check_tags),
        visibility=checked("visibility", _visibility),
        groups=checked("groups", lambda value: _groups(value, person, sharing)),
    )
    if not problems:
        problems += _contradictions(clean, sharing)
    if problems:
        raise refused(problems)
    wanted = clean.visibility or sharing.visibility
    return clean if wanted == "groups" else replace(clean, groups=() if sharing.groups else None)


def refused(problems: list[Problem]) -> InvalidInput:
    """Return the error for several fields."""
    text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
    return InvalidInput(text, problems=problems)


def _title(value: object) -> str:
    title = check_text(value, LONGEST_TITLE)
    if not title:
        msg = "must not be empty"
        raise ValueError(msg)
    return title


def _texts(value: object, most: int, longest: int, what: str) -> list[str]:
    if not isinstance(value, list | tuple):
        msg = f"must be a list of {what}"
        raise ValueError(msg)
    if len(value) > 10 * most:
        msg = f"has {len(value)} entries; at most {most} fit"
        raise ValueError(msg)
    found = list(dict.fromkeys(text for text in (check_text(item, longest) for item in value) if text))
    if len(found) > most:
        msg = f"has {len(found)} {what}; at most {most} fit"
        raise ValueError(msg)
    return found


def check_tags(value: object) -> tuple[str, ...]:
    """Return tags in lower case, each once.

    Args:
        value: A list of tags.

    Raises:
        ValueError: Why they cannot be; the message is for the sender.
    """
    if isinstance(value, list | tuple):
        value = [item.casefold() if isinstance(item, str) else item for item in value]
    tags = _texts(value, MOST_TAGS, LONGEST_TAG, "tags")
    for tag in tags:
        if not _TAG.fullmatch(tag):
            msg = f"{tag!r} is not a tag: letters, digits, spaces and . + # - are, with a letter or digit first"
            raise ValueError(msg)
    return tuple(tags)


def _visibility(value: object) -> str:
    if value not in VISIBILITIES:
        msg = "must be private, groups or everyone"
        raise ValueError(msg)
    return str(value)


def _groups(value: object, person: Person, sharing: Sharing) -> tuple[str, ...]:
    groups = _texts(value, MOST_GROUPS, 255, "groups")
    if person.has_role("admin"):
        return tuple(groups)
    reach = {*person.groups, *publishable_owners(person)[1:]}
    strange = [group for group in groups if group not in reach | sharing.groups]
    if strange:
        near = get_close_matches(strange[0], sorted(reach), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        msg = f"you are not in {strange[0][:80]!r}, and share with groups that you are in{hint}"
        raise ValueError(msg)
    return tuple(groups)


def _contradictions(fields: Fields, sharing: Sharing) -> list[Problem]:
    visibility = fields.visibility or sharing.visibility
    groups = fields.groups if fields.groups is not None else tuple(sharing.groups)
    if visibility == "groups" and not groups:
        return [Problem("groups", "name at least one group that shall see it")]
    if visibility != "groups" and fields.groups:
        return [Problem("visibility", "must be groups where groups are named")]
    return []


def put_fields(session: Session, workflow: Workflow, fields: Fields) -> list[str]:
    """Put checked fields into a workflow.

    Args:
        session: The transaction.
        workflow: The row, flushed.
        fields: From `check_fields`.

    Returns:
        Names of the fields that changed.
    """
    changed = []
    for name in ("title", "description", "visibility"):
        value = getattr(fields, name)
        if value is not None and value != getattr(workflow, name):
            setattr(workflow, name, value)
            changed.append(name)
    if fields.tags is not None and list(fields.tags) != workflow.tags:
        workflow.tags = list(fields.tags)
        changed.append("tags")
    if fields.groups is not None and set(fields.groups) != sharing_of(workflow).groups:
        kept = [row for row in workflow.groups if row.group in fields.groups]
        new = sorted(set(fields.groups) - {row.group for row in kept})
        workflow.groups = kept + [WorkflowGroup(workflow_id=workflow.id, group=group) for group in new]
        changed.append("groups")
    if {"tags", "visibility"}.intersection(changed):
        _put_tags(session, workflow)
    put_search(workflow)
    return changed


def _put_tags(session: Session, workflow: Workflow) -> None:
    session.execute(delete(WorkflowTag).where(WorkflowTag.workflow_id == workflow.id))
    session.add_all(
        WorkflowTag(workflow_id=workflow.id, tag=tag, visibility=workflow.visibility) for tag in workflow.tags
    )


def put_search(workflow: Workflow) -> None:
    """Fill the columns that the gallery searches and sorts by."""
    workflow.title_key = fold(workflow.title)[:LONGEST_TITLE]
    workflow.search = search_text(workflow.title, workflow.name, workflow.owner, workflow.tags, workflow.description)
