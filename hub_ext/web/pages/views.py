"""What the pages of a workflow and of a run show, loaded in one transaction each."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub_ext.db.session import Database
from hub_ext.db.tables import Favourite, Run, Version, Workflow
from hub_ext.db.types import now
from hub_ext.people import EXAMPLES, Person
from hub_ext.sharing import workflows
from hub_ext.sharing.access import may_edit, visible_to
from hub_ext.sharing.health import Health, health
from hub_ext.web.context import Context

_RECENT = 20  # runs that an estimate is made from


@dataclass(frozen=True)
class WorkflowView:
    """A workflow as one person sees it.

    Attributes:
        workflow: The workflow.
        version: The version that is shown.
        health: How its runs ended.
        favourite: Whether she keeps it at hand.
        may_edit: Whether she may change it.
        groups: Groups that see it.
        example: The run that its author shows.
        runs_total: How many runs of it she has.
        usual: Seconds that a run usually takes; None when nobody knows yet.
        own: Whether she wrote this version herself.
        ask: Whether she is asked before she runs this version: nobody reviewed it, and she never ran it.
    """

    workflow: Workflow
    version: Version
    health: Health
    favourite: bool
    may_edit: bool
    groups: list[str]
    example: Run | None
    runs_total: int
    usual: float | None
    own: bool
    ask: bool


def load_workflow(
    database: Database, person: Person, address: tuple[str, str], number: int | None = None
) -> WorkflowView:
    """Return a workflow as a person sees it.

    Args:
        database: The database.
        person: Who looks.
        address: Owner and name.
        number: The version to show; the newest by default.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with database.read() as session:
        workflow = workflows.find(session, person, *address)
        version = workflows.version(session, workflow, number)
        hers = (Run.caller == person.name, Run.workflow_id == workflow.id)
        own = version.author == person.name
        trusted = own or version.author == EXAMPLES or version.verified_at is not None
        ran = select(Run.id).where(*hers, Run.version_id == version.id).limit(1)
        return WorkflowView(
            workflow=workflow,
            version=version,
            health=health(session, [workflow.id], now())[workflow.id],
            favourite=session.get(Favourite, (person.name, workflow.id)) is not None,
            may_edit=may_edit(person, workflow),
            groups=sorted(row.group for row in workflow.groups),
            example=session.get(Run, workflow.example_run_id) if workflow.example_run_id else None,
            runs_total=session.scalar(select(func.count()).select_from(Run).where(*hers)) or 0,
            usual=usual_seconds(session, workflow.id),
            own=own,
            ask=not trusted and session.scalar(ran) is None,
        )


@dataclass(frozen=True)
class RunPage:
    """A page of a person's runs, the newest first.

    Attributes:
        items: The runs, with workflow and version.
        next: Cursor of the next page.
    """

    items: list[Run]
    next: str | None


def list_runs(
    context: Context,
    person: Person,
    *,
    workflow_id: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 25,
) -> RunPage:
    """Return a page of a person's runs.

    Args:
        context: The parts of the service.
        person: Whose.
        workflow_id: Of this workflow alone.
        state: In this state alone.
        cursor: As the page before gave it.
        limit: Most runs.

    Raises:
        InvalidInput: If the state or the cursor is none.
    """
    with context.database.read() as session:
        return RunPage(
            *context.runs.listing(session, person, workflow_id=workflow_id, state=state, cursor=cursor, limit=limit)
        )


def find_run(context: Context, person: Person, run_id: str) -> Run:
    """Return a run that a person may see, with workflow and version.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Its id.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with context.database.read() as session:
        return context.runs.get(session, person, run_id)


@dataclass(frozen=True)
class RunView:
    """A run as one person sees it.

    Attributes:
        run: The run, with workflow and version.
        usual: Seconds that a run of its workflow usually takes; None when nobody knows yet.
        own: Whether it is hers.
        visible: Whether she may (still) see its workflow.
        may_show: Whether she may make it the example of its workflow.
        is_example: Whether it is the example.
        waiting: How many runs wait before it, while it waits itself.
    """

    run: Run
    usual: float | None
    own: bool
    visible: bool
    may_show: bool
    is_example: bool
    waiting: int


def load_run(context: Context, person: Person, run_id: str) -> RunView:
    """Return a run as a person sees it.

    Args:
        context: The parts of the service.
        person: Who looks.
        run_id: Its id.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with context.database.read() as session:
        run = context.runs.get(session, person, run_id)
        own = run.caller == person.name
        seen = select(Workflow.id).where(Workflow.id == run.workflow_id, visible_to(person))
        before = select(func.count()).select_from(Run).where(Run.state == "queued", Run.created_at < run.created_at)
        return RunView(
            run=run,
            usual=usual_seconds(session, run.workflow_id),
            own=own,
            visible=session.scalar(seen) is not None,
            may_show=own and may_edit(person, run.workflow) and run.state == "succeeded",
            is_example=run.workflow.example_run_id == run.id,
            waiting=(session.scalar(before) or 0) if run.state == "queued" else 0,
        )


def usual_seconds(session: Session, workflow_id: str) -> float | None:
    """Return how long the runs of a workflow usually take, in seconds; None when none succeeded yet.

    Args:
        session: A transaction.
        workflow_id: The workflow.
    """
    recent = (
        select(Run.started_at, Run.ended_at)
        .where(Run.workflow_id == workflow_id, Run.state == "succeeded", Run.ended_at.is_not(None))
        .order_by(Run.ended_at.desc())
        .limit(_RECENT)
    )
    took = [(ended - began).total_seconds() for began, ended in session.execute(recent) if began and ended]
    return statistics.median(took) if took else None
