"""Who may see and change a workflow.

A workflow belongs to a person or to a group. People in the group ``<group>-publishers`` at the Hub publish for
``<group>``; being a member of ``<group>`` alone is not enough. A group should therefore never bear the name of a
person. Nobody publishes for `people.EXAMPLES`, the owner of what ships.
"""

from __future__ import annotations

import unicodedata

from sqlalchemy import ColumnElement, or_, select, union
from sqlalchemy.orm import aliased

from hub_ext.db.tables import Workflow, WorkflowGroup
from hub_ext.people import EXAMPLES, Person

VISIBILITIES = ("private", "groups", "everyone")

_PUBLISHERS = "-publishers"
_Reached = aliased(Workflow)


def publishable_owners(person: Person) -> list[str]:
    """Return the owners under whose name a person may publish: herself first, then groups by name.

    Args:
        person: Who asks.
    """
    groups = {group.removesuffix(_PUBLISHERS) for group in person.groups if group.endswith(_PUBLISHERS)}
    return [person.name, *sorted(group for group in groups if can_own(group) and group != person.name)]


def can_own(group: str) -> bool:
    """Return whether a group may own workflows: an owner is one part of an address."""
    plain = all(unicodedata.category(char)[0] not in "CZ" and char not in "/\\" for char in group)
    return plain and group not in ("", ".", "..", EXAMPLES)


def visible_to(person: Person) -> ColumnElement[bool]:
    """Return the condition on `Workflow` that a person may see it.

    It is for everyone, or hers (or of a group that she publishes for), or shared with one of her groups.

    Args:
        person: Who asks.
    """
    return or_(Workflow.visibility == "everyone", reached_by(person))


def reached_by(person: Person) -> ColumnElement[bool]:
    """Return the condition on `Workflow` that a person sees it for who she is, whoever else may see it.

    It is written so that a database begins with the few workflows that she owns or that are shared with her.

    Args:
        person: Who asks.
    """
    hers = select(_Reached.id).where(_Reached.owner.in_(publishable_owners(person)))
    if not person.groups:
        return Workflow.id.in_(hers)
    shared = (
        select(WorkflowGroup.workflow_id)
        .join(_Reached, _Reached.id == WorkflowGroup.workflow_id)
        .where(WorkflowGroup.group.in_(sorted(person.groups)), _Reached.visibility.not_in(("private", "everyone")))
    )
    return Workflow.id.in_(union(hers, shared))


def may_edit(person: Person, workflow: Workflow) -> bool:
    """Return whether a person may change a workflow and publish its next version.

    Args:
        person: Who asks.
        workflow: The workflow.
    """
    return workflow.owner in publishable_owners(person)
