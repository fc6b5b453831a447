"""What runs made. All of it is user content (`hub_ext/web/content.py`)."""

from __future__ import annotations

from hub_ext.db import tables
from hub_ext.errors import NotFound
from hub_ext.people import Person
from hub_ext.runs.results import keys
from hub_ext.store import safe_path
from hub_ext.web import content
from hub_ext.web.api import models
from hub_ext.web.api.operation import Answer, ApiHandler, operation
from hub_ext.web.context import Context

_PIECES = {206: Answer("The bytes that `Range` asks for", media=("*/*",))}


def _seen(context: Context, person: Person, run_id: str) -> tables.Run:
    with context.database.read() as session:
        return context.runs.get(session, person, run_id)


def _stem(run: tables.Run) -> str:
    return f"{run.workflow.name}-{run.id}"


def _there(key: str | None, what: str, run: tables.Run) -> str:
    if key is None:
        raise NotFound(f"This run has no {what}.", hint=f"It is {run.state}.")
    return key


def report_file(context: Context, person: Person, run_id: str) -> content.File:
    """Return the report of a run, as it is sent.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Id of the run.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    run = _seen(context, person, run_id)
    return content.File(_there(run.report, "report", run), f"{_stem(run)}.html", "text/html")


def notebook_file(context: Context, person: Person, run_id: str) -> content.File:
    """Return the notebook of a run with its outputs, as it is sent.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Id of the run.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    run = _seen(context, person, run_id)
    return content.File(_there(run.output_notebook, "notebook", run), f"{_stem(run)}.ipynb", attachment=True)


def picture_file(context: Context, person: Person, run_id: str) -> content.File:
    """Return the picture of a run, as it is sent.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Id of the run.

    Raises:
        NotFound: If there is none, or she may not see it.
    """
    run = _seen(context, person, run_id)
    key = _there(run.picture, "picture", run)
    return content.File(key, f"{_stem(run)}.{key.rpartition('.')[2]}")


def list_artifacts(context: Context, person: Person, run_id: str) -> models.ArtifactList:
    """Return the files that a run left.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Id of the run.

    Raises:
        NotFound: If there is no such run, or she may not see it.
    """
    run = _seen(context, person, run_id)
    return models.ArtifactList(items=[models.Artifact(**item) for item in run.artifacts])


def artifact_file(context: Context, person: Person, run_id: str, path: str) -> content.File:
    """Return a file that a run left, as it is sent.

    Args:
        context: The parts of the service.
        person: Who asks.
        run_id: Id of the run.
        path: Path of the file, as the list has it.

    Raises:
        InvalidInput: If it is no path.
        NotFound: If there is no such file, or she may not see it.
    """
    wanted = safe_path(path)
    run = _seen(context, person, run_id)
    if wanted not in {item["path"] for item in run.artifacts}:
        raise NotFound("This run left no file of this name.")
    return content.File(f"{keys(run.id)}/artifacts/{wanted}", wanted)


class Report(ApiHandler):
    """`runs/{run_id}/report`."""

    @operation("Get the report of a run", {200: Answer("The report", media=("text/html",)), **_PIECES})
    async def get(self, run_id: str) -> None:
        """Get the report."""
        await content.send(self, await self.call(report_file, self.context, self.person, run_id))


class RunNotebook(ApiHandler):
    """`runs/{run_id}/notebook`."""

    @operation(
        "Get the notebook of a run",
        {200: Answer("The notebook with its outputs", media=("application/x-ipynb+json",)), **_PIECES},
    )
    async def get(self, run_id: str) -> None:
        """Get the notebook."""
        await content.send(self, await self.call(notebook_file, self.context, self.person, run_id))


class RunPicture(ApiHandler):
    """`runs/{run_id}/picture`."""

    @operation("Get the picture of a run", {200: Answer("Its first picture", media=("image/*",)), **_PIECES})
    async def get(self, run_id: str) -> None:
        """Get the picture."""
        await content.send(self, await self.call(picture_file, self.context, self.person, run_id))


class Artifacts(ApiHandler):
    """`runs/{run_id}/artifacts`."""

    @operation("List the files that a run left", {200: Answer("The files", models.ArtifactList)})
    async def get(self, run_id: str) -> None:
        """List the files."""
        self.answer(await self.call(list_artifacts, self.context, self.person, run_id))


class OneArtifact(ApiHandler):
    """`runs/{run_id}/artifacts/{path}`."""

    @operation("Get a file that a run left", {200: Answer("The file", media=("*/*",)), **_PIECES})
    async def get(self, run_id: str, path: str) -> None:
        """Get a file."""
        await content.send(self, await self.call(artifact_file, self.context, self.person, run_id, path))
