"""Workflows."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy.orm import Session

from hub_ext.db import tables
from hub_ext.db.types import now
from hub_ext.errors import NotFound
from hub_ext.people import Person
from hub_ext.sharing import publishing, workflows
from hub_ext.sharing.access import may_edit
from hub_ext.sharing.fields import Fields
from hub_ext.sharing.health import Health, health
from hub_ext.sharing.listing import Query, Summary, listing
from hub_ext.web import content
from hub_ext.web.api import asked, models
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation
from hub_ext.web.base import TakesNotebook
from hub_ext.web.context import Context

HERE = {"Location": "Where it is."}


def list_workflows(context: Context, person: Person, query: asked.WorkflowQuery) -> models.WorkflowList:
    """Return workflows that a person may see.

    Args:
        context: The parts of the service.
        person: Who asks.
        query: Which.

    Raises:
        InvalidInput: If the query cannot be.
    """
    with context.database.read() as session:
        found = listing(session, person, Query(**query.model_dump()))
    return models.WorkflowList(
        items=[_item(summary) for summary in found.items],
        next=found.next,
        total=found.total,
        tags=[models.Tag(tag=tag, count=count) for tag, count in found.tags],
    )


def _item(summary: Summary) -> models.WorkflowItem:
    return models.WorkflowItem(
        owner=summary.owner,
        name=summary.name,
        version=summary.version,
        title=summary.title,
        description=summary.description,
        tags=list(summary.tags),
        visibility=summary.visibility,
        verified=summary.verified,
        favourite=summary.favourite,
        health=_health(summary.health),
        picture=summary.picture is not None,
        updated_at=summary.updated_at,
        last_run_at=summary.last_run_at,
    )


def _health(found: Health) -> models.Health:
    return models.Health(succeeded=found.succeeded, ended=found.ended)


def get_workflow(context: Context, person: Person, owner: str, name: str) -> models.Workflow:
    """Return one workflow with its newest version.

    Args:
        context: The parts of the service.
        person: Who asks.
        owner: Its owner.
        name: Its name.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with context.database.read() as session:
        return _workflow(session, person, workflows.find(session, person, owner, name))


def _workflow(session: Session, person: Person, workflow: tables.Workflow) -> models.Workflow:
    version = workflows.version(session, workflow)
    editor = may_edit(person, workflow)
    return models.Workflow(
        owner=workflow.owner,
        name=workflow.name,
        version=version.number,
        title=workflow.title,
        description=workflow.description,
        tags=workflow.tags,
        visibility=workflow.visibility,
        verified=version.verified_at is not None,
        favourite=session.get(tables.Favourite, (person.name, workflow.id)) is not None,
        health=_health(health(session, [workflow.id], now())[workflow.id]),
        picture=workflow.picture is not None,
        updated_at=workflow.updated_at,
        last_run_at=workflow.last_run_at,
        groups=sorted(row.group for row in workflow.groups) if editor else [],
        may_edit=editor,
        example_run=workflow.example_run_id,
        author=version.author,
        message=version.message,
        profile=version.profile,
        cells=version.cells,
        schema=version.schema,
        findings=version.findings,
        created_at=workflow.created_at,
    )


def publish(context: Context, person: Person, draft: asked.Draft) -> models.Published:
    """Publish a notebook.

    Args:
        context: The parts of the service.
        person: Who publishes, with her groups as they are now.
        draft: What.

    Raises:
        HubExtError: As `Publisher.publish`.
    """
    fields = draft.model_dump(exclude={"notebook", "tags", "groups"})
    tags, groups = (None if texts is None else tuple(texts) for texts in (draft.tags, draft.groups))
    found = context.publisher.publish(person, publishing.Draft(data=draft.notebook, tags=tags, groups=groups, **fields))
    return models.Published(
        id=found.workflow_id, owner=found.owner, name=found.name, version=found.version, created=found.created
    )


def inspect(context: Context, person: Person, upload: asked.Upload) -> models.Inspection:
    """Say what a notebook would be as a workflow.

    Args:
        context: The parts of the service.
        person: Who asks.
        upload: The notebook.

    Raises:
        HubExtError: As `publishing.inspect`.
    """
    facts = context.decisions.facts_of(person.name, person.groups)
    found = publishing.inspect(
        upload.notebook,
        settings=context.settings,
        catalog=facts.catalog,
        person=person,
        entitlements=facts.entitlements,
    )
    return models.Inspection(
        name=found.name,
        title=found.title,
        description=found.description,
        tags=list(found.tags),
        profile=found.profile,
        schema=found.schema,
        findings=found.findings,
    )


def change(context: Context, person: Person, owner: str, name: str, wanted: asked.WorkflowChange) -> models.Workflow:
    """Change what is said about a workflow.

    Args:
        context: The parts of the service.
        person: Who changes it, with her groups as they are now.
        owner: Its owner.
        name: Its name.
        wanted: What shall be different.

    Raises:
        HubExtError: As `workflows.update`.
    """
    tags, groups = (None if texts is None else tuple(texts) for texts in (wanted.tags, wanted.groups))
    fields = Fields(wanted.title, wanted.description, tags, wanted.visibility, groups)
    workflows.update(context.database, person, owner, name, fields)
    return get_workflow(context, person, owner, name)


def picture_file(context: Context, person: Person, owner: str, name: str) -> content.File:
    """Return the picture of a workflow, as it is sent.

    Args:
        context: The parts of the service.
        person: Who asks.
        owner: Its owner.
        name: Its name.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    with context.database.read() as session:
        picture = workflows.find(session, person, owner, name).picture
    if picture is None:
        raise NotFound("This workflow has no picture.")
    return content.File(picture, f"{name}.{picture.rpartition('.')[2]}")


class Workflows(TakesNotebook, ApiHandler):
    """`workflows`."""

    @operation(
        "List workflows",
        {200: Answer("Workflows that the caller may see", models.WorkflowList)},
        query=asked.WorkflowQuery,
    )
    async def get(self, query: asked.WorkflowQuery) -> None:
        """List workflows."""
        self.answer(await self.call(list_workflows, self.context, self.person, query))

    @operation(
        "Publish a notebook",
        {
            201: Answer("A new version was made", models.Published, headers=HERE),
            200: Answer("The workflow has this notebook already", models.Published, headers=HERE),
        },
        body=Body(asked.Draft, files=("notebook",)),
        problems=(403, 409, 507),
        description="A name that the owner has already gets its next version.",
    )
    async def post(self, body: asked.Draft) -> None:
        """Publish a notebook."""
        made = await self.call(publish, self.context, await self.refreshed(), body)
        where = self.link(f"api/v1/workflows/{quote(made.owner, safe='')}/{made.name}")
        self.answer(made, 201 if made.created else 200, Location=where)


class Inspect(TakesNotebook, ApiHandler):
    """`workflows/inspect`."""

    changes = False

    @operation(
        "Look at a notebook",
        {200: Answer("What it would be as a workflow; nothing was stored", models.Inspection)},
        body=Body(asked.Upload, files=("notebook",)),
    )
    async def post(self, body: asked.Upload) -> None:
        """Look at a notebook."""
        self.answer(await self.call(inspect, self.context, self.person, body))


class OneWorkflow(ApiHandler):
    """`workflows/{owner}/{name}`."""

    @operation("Show a workflow", {200: Answer("The workflow, with its newest version", models.Workflow)})
    async def get(self, owner: str, name: str) -> None:
        """Show a workflow."""
        self.answer(await self.call(get_workflow, self.context, self.person, owner, name))

    @operation(
        "Change a workflow",
        {200: Answer("The workflow as it is now", models.Workflow)},
        body=Body(asked.WorkflowChange),
        problems=(403,),
        description="Its versions never change.",
    )
    async def patch(self, owner: str, name: str, body: asked.WorkflowChange) -> None:
        """Change a workflow."""
        self.answer(await self.call(change, self.context, await self.refreshed(), owner, name, body))


class WorkflowPicture(ApiHandler):
    """`workflows/{owner}/{name}/picture`."""

    @operation("Get the picture of a workflow", {200: Answer("The picture", media=("image/*",))})
    async def get(self, owner: str, name: str) -> None:
        """Get the picture."""
        await content.send(self, await self.call(picture_file, self.context, self.person, owner, name))


class Favourite(ApiHandler):
    """`workflows/{owner}/{name}/favourite`."""

    @operation("Keep a workflow at hand", {204: Answer("It is kept")})
    async def put(self, owner: str, name: str) -> None:
        """Keep it."""
        await self.call(workflows.set_favourite, self.context.database, self.person, owner, name, on=True)
        self.nothing()

    @operation("Keep a workflow at hand no longer", {204: Answer("It is not kept")})
    async def delete(self, owner: str, name: str) -> None:
        """Keep it no longer."""
        await self.call(workflows.set_favourite, self.context.database, self.person, owner, name, on=False)
        self.nothing()
