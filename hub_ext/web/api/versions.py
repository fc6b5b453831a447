"""The versions of a workflow."""

from __future__ import annotations

from hub_ext.db import tables
from hub_ext.people import Person
from hub_ext.sharing import workflows
from hub_ext.web import content, notebook_pages
from hub_ext.web.api import asked, models
from hub_ext.web.api.operation import Answer, ApiHandler, operation
from hub_ext.web.context import Context


def list_versions(
    context: Context, person: Person, address: tuple[str, str], query: models.PageQuery
) -> models.VersionList:
    """Return the versions of a workflow, the newest first.

    Args:
        context: The parts of the service.
        person: Who asks.
        address: Owner and name.
        query: Which part of the list.

    Raises:
        NotFound: If there is no such workflow, or she may not see it.
        InvalidInput: If the cursor is none of ours.
    """
    with context.database.read() as session:
        workflow = workflows.find(session, person, *address)
        found = workflows.versions(session, workflow, cursor=query.cursor, limit=query.limit)
    items = [models.VersionItem(**_version_item(version)) for version in found.items]
    return models.VersionList(items=items, next=found.next, total=found.total)


def _version_item(version: tables.Version) -> dict[str, object]:
    return {
        "version": version.number,
        "author": version.author,
        "message": version.message,
        "profile": version.profile,
        "digest": version.digest,
        "verified": version.verified_at is not None,
        "created_at": version.created_at,
    }


def _find(context: Context, person: Person, address: tuple[str, str], number: int) -> tables.Version:
    with context.database.read() as session:
        return workflows.version(session, workflows.find(session, person, *address), number)


def get_version(context: Context, person: Person, address: tuple[str, str], number: int) -> models.Version:
    """Return one version.

    Args:
        context: The parts of the service.
        person: Who asks.
        address: Owner and name of the workflow.
        number: Number of the version.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    version = _find(context, person, address, number)
    owner, name = address
    return models.Version(
        **_version_item(version),
        owner=owner,
        name=name,
        cells=version.cells,
        schema=version.schema,
        findings=version.findings,
    )


def notebook_file(context: Context, person: Person, address: tuple[str, str], number: int) -> content.File:
    """Return the notebook of a version, as it is sent.

    Args:
        context: The parts of the service.
        person: Who asks.
        address: Owner and name of the workflow.
        number: Number of the version.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    version = _find(context, person, address, number)
    return content.File(version.notebook, f"{address[1]}-{number}.ipynb", attachment=True)


class Versions(ApiHandler):
    """`workflows/{owner}/{name}/versions`."""

    @operation(
        "List the versions of a workflow",
        {200: Answer("Its versions, the newest first", models.VersionList)},
        query=models.PageQuery,
    )
    async def get(self, owner: str, name: str, query: models.PageQuery) -> None:
        """List versions."""
        self.answer(await self.call(list_versions, self.context, self.person, (owner, name), query))


class OneVersion(ApiHandler):
    """`workflows/{owner}/{name}/versions/{number}`."""

    @operation("Show a version", {200: Answer("The version", models.Version)})
    async def get(self, owner: str, name: str, number: str) -> None:
        """Show a version."""
        self.answer(await self.call(get_version, self.context, self.person, (owner, name), int(number)))


class VersionNotebook(ApiHandler):
    """`workflows/{owner}/{name}/versions/{number}/notebook`."""

    @operation(
        "Get the notebook of a version",
        {200: Answer("The notebook, or the page that shows it", media=("application/x-ipynb+json", "text/html"))},
        query=asked.NotebookQuery,
    )
    async def get(self, owner: str, name: str, number: str, query: asked.NotebookQuery) -> None:
        """Get the notebook."""
        file = await self.call(notebook_file, self.context, self.person, (owner, name), int(number))
        if query.format == "html":
            file = await notebook_pages.page_of(self.context, file)
        await content.send(self, file)
