"""The page of a workflow: what it answers, its form, its notebook, versions, runs, and who sees it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from hub_ext.catalog.models import Profile
from hub_ext.errors import Conflict, Denied, HubExtError, InvalidInput, NotFound, Problem
from hub_ext.runs.service import Claim, Order
from hub_ext.sharing import workflows
from hub_ext.sharing.fields import Fields
from hub_ext.sharing.parameters import validate
from hub_ext.web.errors import status_of
from hub_ext.web.pages import about, forms, places
from hub_ext.web.pages.page import Page
from hub_ext.web.pages.views import WorkflowView, find_run, list_runs, load_workflow

_TABS = ("about", "notebook", "versions", "runs", "access")
_ROWS = 20
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_KEY = re.compile(r"[0-9a-f]{32}")

_ASK = "Tick this to run it; you are asked once for each version."


@dataclass(frozen=True)
class Filled:
    """What is in the form.

    Attributes:
        values: Parameters to begin with.
        profile: Name of the chosen profile.
        options: Its options.
        typed: What a browser sent, if it did.
        error: What is wrong with that.
        again: Id of the run that is repeated.
    """

    values: dict[str, Any]
    profile: str
    options: dict[str, Any]
    typed: dict[str, list[str]] | None = None
    error: HubExtError | None = None
    again: str = ""


class _OfWorkflow(Page):
    """Base of the pages below ``w/{owner}/{name}``."""

    here = "gallery"

    async def view(self, owner: str, name: str, version: str = "") -> WorkflowView:
        """Return the workflow as the person sees it.

        Raises:
            NotFound: If there is none, or she may not see it.
        """
        if version and not _NUMBER.fullmatch(version):
            raise NotFound("There is no such version.", hint="Versions are numbered from 1.")
        number = int(version) if version else None
        return await self.call(load_workflow, self.context.database, self.person, (owner, name), number)

    async def show_about(self, view: WorkflowView, filled: Filled) -> None:
        """Show the page with its form.

        Args:
            view: The workflow.
            filled: What is in the form.
        """
        facts = await self.call(self.context.decisions.facts_of, self.person.name, self.person.groups)
        problems = filled.error.problems if filled.error else []
        listed = places.places(facts, filled.profile, values=filled.options, typed=filled.typed, problems=problems)
        usable = [place for place in listed if not place.denied]
        chosen = next((place.profile for place in listed if place.chosen), None)
        typed = filled.typed
        self.show(
            "workflow.html",
            view=view,
            workflow=view.workflow,
            version=view.version,
            tab="about",
            paragraphs=[part.strip() for part in view.workflow.description.split("\n\n") if part.strip()],
            fields=forms.fields(view.version.schema, typed=typed, values=filled.values, problems=problems),
            places=listed if usable else [],
            open_place=any(problem.field.startswith(("profile", "options")) for problem in problems),
            reach=places.reaches(chosen) if chosen else [],
            problem=summary(filled.error) if filled.error else None,
            trust_error=next((one.message for one in problems if one.field == "understood"), ""),
            understood=bool(typed and typed.get("understood")),
            again=filled.again,
            published=self.text("published"),
            key=uuid4().hex,
        )


class WorkflowPage(_OfWorkflow):
    """``w/{owner}/{name}``."""

    async def get(self, owner: str, name: str) -> None:
        """Show a tab of it."""
        tab, again = self.text("tab", "about"), self.text("again")
        view = await self.view(owner, name, self.text("version"))
        if tab not in _TABS or (tab == "access" and not view.may_edit):
            tab = "about"
        if tab != "about":
            await self._show_tab(view, tab)
            return
        filled = Filled({}, view.version.profile, {})
        if again:
            run = await self.call(find_run, self.context, self.person, again)
            known = {key: value for key, value in run.parameters.items() if key in view.version.schema["properties"]}
            filled = Filled(known, run.profile, run.options, again=run.id)
        await self.show_about(view, filled)

    async def _show_tab(self, view: WorkflowView, tab: str) -> None:
        cursor = self.text("cursor") or None
        more: dict[str, Any] = {"cursor": cursor, "problem": None, "published": ""}
        if tab == "versions":
            more["versions"] = await self.call(self._versions, view, cursor)
        elif tab == "runs":
            more["runs"] = await self.call(
                list_runs, self.context, self.person, workflow_id=view.workflow.id, cursor=cursor, limit=_ROWS
            )
            more["of_one"] = True
        elif tab == "access":
            more["about_fields"] = about.about_fields(about.said_by(view), self.person, view.groups)
            more["saved"] = self.text("saved") == "1"
        self.show("workflow.html", view=view, workflow=view.workflow, version=view.version, tab=tab, **more)

    def _versions(self, view: WorkflowView, cursor: str | None) -> workflows.VersionPage:
        with self.context.database.read() as session:
            return workflows.versions(session, view.workflow, cursor=cursor, limit=_ROWS)


class NotebookAlone(_OfWorkflow):
    """``w/{owner}/{name}/notebook``."""

    async def get(self, owner: str, name: str) -> None:
        """Show the notebook in the whole window."""
        view = await self.view(owner, name, self.text("version"))
        path = f"{quote(owner, safe='')}/{quote(name, safe='')}/versions/{view.version.number}/notebook?format=html"
        source = self.link(f"api/v1/workflows/{path}")
        self.show("alone.html", title=view.workflow.title, what="The notebook", source=source)


class RunForm(_OfWorkflow):
    """``w/{owner}/{name}/run``: takes the form."""

    async def get(self, owner: str, name: str) -> None:
        """Lead to the form: somebody reloaded what a mistake had left."""
        self.redirect(self.workflow_link(owner, name))

    async def post(self, owner: str, name: str) -> None:
        """Run it, or show what is wrong, with everything as it was typed."""
        typed = self.fields()
        view = await self.view(owner, name, self.text("version"))
        person = await self.refreshed()
        profile, options = self._place(typed, view)
        values = forms.read(view.version.schema, typed)
        order = Order(values, view.version.number, profile, options, self.text("again_of") or None)
        try:
            self._check_understood(view, typed)
            made = await self.call(self.context.runs.create, person, view.workflow.id, order, claim=self._claim())
        except (InvalidInput, Denied, Conflict) as error:
            self.set_status(status_of(error))
            filled = Filled({}, profile, options, typed, error, self.text("again_of"))
            await self.show_about(view, filled)
            return
        self.redirect(self.link(f"r/{made.run.id}"), status=303)

    def _place(self, typed: dict[str, list[str]], view: WorkflowView) -> tuple[str, dict[str, Any]]:
        name = typed.get("profile", [view.version.profile])[-1]
        versions: list[Profile] = self.context.catalog.current().versions(name)
        return name, places.read_options(versions[-1], typed) if versions else {}

    def _check_understood(self, view: WorkflowView, typed: dict[str, list[str]]) -> None:
        if view.ask and not typed.get("understood"):
            error = InvalidInput.of("understood", _ASK)
            try:
                validate(view.version.schema, forms.read(view.version.schema, typed))
            except InvalidInput as other:
                error.problems += other.problems
            raise error

    def _claim(self) -> Claim | None:
        """Return what makes a form that was sent twice one run; sent again with other values, it is another."""
        key, body = self.text("key"), hashlib.sha256(self.request.body).hexdigest()
        return Claim(f"form-{key}-{body[:32]}", body) if _KEY.fullmatch(key) else None


class CheckForm(_OfWorkflow):
    """``w/{owner}/{name}/check``: says what is wrong so far, for fields that were left."""

    changes = False

    async def post(self, owner: str, name: str) -> None:
        """Check by the same schema as the order itself."""
        view = await self.view(owner, name, self.text("version"))
        errors: dict[str, str] = {}
        try:
            validate(view.version.schema, forms.read(view.version.schema, self.fields()))
        except InvalidInput as error:
            for problem in error.problems:
                errors.setdefault(problem.field.removeprefix("parameters."), problem.message)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"errors": errors}))


class FavouriteForm(_OfWorkflow):
    """``w/{owner}/{name}/favourite``: takes the star."""

    async def post(self, owner: str, name: str) -> None:
        """Keep it at hand, or no longer."""
        on = self.text("on") == "1"
        await self.call(workflows.set_favourite, self.context.database, self.person, owner, name, on)
        if self.asked_by_htmx():
            self.show("_star.html", owner=owner, name=name, on=on, label=self.text("label") == "1")
        else:
            self.redirect(self.workflow_link(owner, name), status=303)


class AccessForm(_OfWorkflow):
    """``w/{owner}/{name}/access``: takes what is said about a workflow and who sees it."""

    async def get(self, owner: str, name: str) -> None:
        """Lead to the form."""
        self.redirect(self.workflow_link(owner, name) + "?tab=access")

    async def post(self, owner: str, name: str) -> None:
        """Change it, or show what is wrong."""
        typed = self.fields()
        view = await self.view(owner, name)
        person = await self.refreshed()
        said = about.read_about(typed)
        change = Fields(said.title, said.description, said.tags, said.visibility, said.groups)
        try:
            await self.call(workflows.update, self.context.database, person, owner, name, change)
        except InvalidInput as error:
            self.set_status(status_of(error))
            self.show(
                "workflow.html",
                view=view,
                workflow=view.workflow,
                version=view.version,
                tab="access",
                published="",
                problem=summary(error),
                saved=False,
                about_fields=about.about_fields(replace(said), person, view.groups, error.problems),
            )
            return
        self.redirect(self.workflow_link(owner, name) + "?tab=access&saved=1", status=303)


def summary(error: HubExtError) -> dict[str, Any]:
    """Return an error as the note above a form: its problems linked to their fields.

    Args:
        error: What is wrong.
    """
    return {
        "title": "Please look at this again" if isinstance(error, InvalidInput) else error.title,
        "detail": error.detail,
        "hint": error.hint,
        "links": [(_target(problem), _sentence(problem)) for problem in error.problems],
    }


def _target(problem: Problem) -> str:
    kind, _, name = problem.field.partition(".")
    targets = {"parameters": forms.field_id(name), "options": "", "understood": "understood"}
    return targets.get(kind, f"a-{kind}" if kind in about.NAMES else "")


def _sentence(problem: Problem) -> str:
    name = problem.field.removeprefix("parameters.").removeprefix("options.")
    plain = name in ("", "understood", "profile") or " " in name
    return problem.message if plain else f"{name.replace('_', ' ').capitalize()}: {problem.message}"
