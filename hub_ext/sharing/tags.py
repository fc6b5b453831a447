"""The tags of what a person may see, the most used first.

Those of what everybody sees are the same for all, and counting them grows with the number of workflows. So they are
counted when something has changed: each change of a workflow moves its `updated_at`, or there are more workflows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub_ext.db.tables import Workflow, WorkflowTag
from hub_ext.people import Person
from hub_ext.sharing.access import VISIBILITIES, reached_by

MOST_TAGS = 40
# Two changes may be committed in another order than they are dated, and then the later commit leaves no trace: for so
# long it may go unseen.
_AT_MOST = 30.0  # seconds

_Mark = tuple[datetime | None, ...]


@dataclass(frozen=True)
class _Counted:
    mark: tuple[int, _Mark]
    at: float
    tags: Mapping[str, int]


_counted: WeakKeyDictionary[Any, _Counted] = WeakKeyDictionary()  # by pool of connections


def tags_of(session: Session, person: Person, everyones: int) -> list[tuple[str, int]]:
    """Return the most used tags of what a person may see, and how many workflows bear each; the most used first.

    Args:
        session: A transaction.
        person: Who looks.
        everyones: How many workflows everybody sees.
    """
    counts = Counter(_of_everybody(session, everyones))
    reached = select(Workflow.id).where(Workflow.visibility != "everyone", reached_by(person))
    hers = select(WorkflowTag.tag, func.count()).where(WorkflowTag.workflow_id.in_(reached)).group_by(WorkflowTag.tag)
    for tag, number in session.execute(hers):
        counts[tag] += number
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_TAGS]


def _of_everybody(session: Session, everyones: int) -> Mapping[str, int]:
    pool = session.get_bind().engine.pool  # the engine itself is another one for each session
    mark = (everyones, _last_changes(session))
    known = _counted.get(pool)
    if known is not None and known.mark == mark and time.monotonic() - known.at < _AT_MOST:
        return known.tags
    query = select(WorkflowTag.tag, func.count()).where(WorkflowTag.visibility == "everyone").group_by(WorkflowTag.tag)
    tags = {tag: int(number) for tag, number in session.execute(query)}
    _counted[pool] = _Counted(mark, time.monotonic(), tags)
    return tags


def _last_changes(session: Session) -> _Mark:
    """Return when a workflow of each visibility last changed: three looks at the end of an index."""
    last = [
        select(func.max(Workflow.updated_at)).where(Workflow.visibility == visibility).scalar_subquery()
        for visibility in VISIBILITIES
    ]
    return tuple(session.execute(select(*last)).one())
