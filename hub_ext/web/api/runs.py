"""Runs: ordered, shown, cancelled, and made the example of their workflow."""

from __future__ import annotations

import hashlib
import re

import structlog

from hub_ext.db import tables
from hub_ext.people import Person
from hub_ext.runs.service import Claim, Order
from hub_ext.sharing.workflows import find
from hub_ext.web.api import asked, models
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation
from hub_ext.web.api.workflows import HERE
from hub_ext.web.base import BaseHandler
from hub_ext.web.context import Context
from hub_ext.web.errors import Malformed

KEY = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}")
_KEYED = {KEY: "Makes a retry safe: the same key with the same order gives the run that it made before."}

Address = tuple[str, str]


def claim_of(handler: BaseHandler) -> Claim | None:
    """Return what makes a retry of this request safe, None when it names no key.

    Args:
        handler: Who takes the request.

    Raises:
        Malformed: If the key is none.
    """
    key = handler.request.headers.get(KEY)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Malformed.of(KEY, "must be 1 to 255 visible ASCII characters")
    request = handler.request
    said = b"\n".join([str(request.method).encode(), request.path.encode(), request.body])
    return Claim(key, hashlib.sha256(said).hexdigest())


def order_run(
    context: Context, person: Person, address: Address, order: asked.RunOrder, claim: Claim | None
) -> models.Run:
    """Run a workflow.

    Args:
        context: The parts of the service.
        person: Who asks, with her groups as they are now.
        address: Owner and name of the workflow.
        order: With what.
        claim: Makes a retry safe.

    Raises:
        HubExtError: As `RunService.create`.
    """
    with context.database.read() as session:
        workflow = find(session, person, *address)
    wanted = Order(order.parameters, order.version, order.profile, order.options, order.again_of)
    return _run(context.runs.create(person, workflow.id, wanted, claim=claim).run)


def get_run(context: Context, person: Person, run_id: str) -> models.Run:
    """Return one run.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Its id.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with context.database.read() as session:
        return _run(context.runs.get(session, person, run_id))


def list_runs(
    context: Context, person: Person, query: asked.RunQuery, address: Address | None = None
) -> models.RunList:
    """Return the caller's runs, the newest first.

    Args:
        context: The parts of the service.
        person: Who asks.
        query: Which.
        address: Owner and name of a workflow: only its runs.

    Raises:
        NotFound: If there is no such workflow, or she may not see it.
        InvalidInput: If the cursor is none of ours.
    """
    with context.database.read() as session:
        workflow_id = find(session, person, *address).id if address else None
        runs, following = context.runs.listing(
            session, person, workflow_id=workflow_id, state=query.state, cursor=query.cursor, limit=query.limit
        )
    return models.RunList(items=[models.RunItem(**_item(run)) for run in runs], next=following)


def cancel_run(context: Context, person: Person, run_id: str) -> models.Run:
    """Cancel a run.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Its id.

    Raises:
        NotFound: If there is none, or she may not see it.
        Forbidden: If it is not hers.
        Conflict: If it has ended.
    """
    return _run(context.runs.cancel(person, run_id))


def _item(run: tables.Run) -> dict[str, object]:
    workflow = run.workflow
    return {
        "id": run.id,
        "state": run.state,
        "workflow": models.RunOf(
            owner=workflow.owner, name=workflow.name, version=run.version.number, title=workflow.title
        ),
        "caller": run.caller,
        "cells_total": run.cells_total,
        "cells_done": run.cells_done,
        "reason": run.reason,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }


def _run(run: tables.Run) -> models.Run:
    return models.Run(
        **_item(run),
        parameters=run.parameters,
        secret_names=run.secret_names,
        profile=run.profile,
        profile_version=run.profile_version,
        options=run.options,
        error=run.error,
        report=run.report is not None,
        notebook=run.output_notebook is not None,
        picture=run.picture is not None,
        artifacts=len(run.artifacts),
        cancel_requested_at=run.cancel_requested_at,
        cancelled_by=run.cancelled_by,
        again_of=run.again_of,
        example=run.workflow.example_run_id == run.id,
    )


class WorkflowRuns(ApiHandler):
    """`workflows/{owner}/{name}/runs`."""

    @operation(
        "List the caller's runs of a workflow",
        {200: Answer("Her runs, the newest first", models.RunList)},
        query=asked.RunQuery,
    )
    async def get(self, owner: str, name: str, query: asked.RunQuery) -> None:
        """List runs."""
        self.answer(await self.call(list_runs, self.context, self.person, query, (owner, name)))

    @operation(
        "Run a workflow",
        {201: Answer("The run was ordered", models.Run, headers=HERE)},
        body=Body(asked.RunOrder, optional=True),
        headers=_KEYED,
        problems=(403, 409, 507),
        description="For the caller, under a profile that the caller may use.",
    )
    async def post(self, owner: str, name: str, body: asked.RunOrder) -> None:
        """Run a workflow."""
        person, claim = await self.refreshed(), claim_of(self)
        made = await self.call(order_run, self.context, person, (owner, name), body, claim)
        structlog.contextvars.bind_contextvars(run=made.id)
        self.answer(made, 201, Location=self.link(f"api/v1/runs/{made.id}"))


class Runs(ApiHandler):
    """`runs`."""

    @operation(
        "List the caller's runs",
        {200: Answer("Her runs, the newest first", models.RunList)},
        query=asked.RunQuery,
    )
    async def get(self, query: asked.RunQuery) -> None:
        """List runs."""
        self.answer(await self.call(list_runs, self.context, self.person, query))


class OneRun(ApiHandler):
    """`runs/{run_id}`."""

    @operation("Show a run", {200: Answer("The run", models.Run)})
    async def get(self, run_id: str) -> None:
        """Show a run."""
        self.answer(await self.call(get_run, self.context, self.person, run_id))


class Cancel(ApiHandler):
    """`runs/{run_id}/cancel`."""

    @operation("Cancel a run", {200: Answer("The run; it ends in a moment", models.Run)}, problems=(403, 409))
    async def post(self, run_id: str) -> None:
        """Cancel a run."""
        self.answer(await self.call(cancel_run, self.context, self.person, run_id))


class Example(ApiHandler):
    """`runs/{run_id}/example`."""

    @operation(
        "Show a run as the example of its workflow",
        {204: Answer("Everybody who may see the workflow may see this run")},
        problems=(403, 409),
    )
    async def put(self, run_id: str) -> None:
        """Make it the example."""
        await self.call(self.context.runs.set_example, await self.refreshed(), run_id, on=True)
        self.nothing()

    @operation("Show a run as the example no longer", {204: Answer("It is no example")}, problems=(403, 409))
    async def delete(self, run_id: str) -> None:
        """Make it no example."""
        await self.call(self.context.runs.set_example, await self.refreshed(), run_id, on=False)
        self.nothing()
