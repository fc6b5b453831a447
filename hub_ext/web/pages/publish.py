"""Publishing: a file, or a notebook from one's own server, becomes a draft; the draft is looked at, then published."""

from __future__ import annotations

import secrets
from typing import Any

from hub_ext.catalog.decide import Facts
from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput, NotFound, Problem, TooLarge, Unsupported
from hub_ext.people import Person
from hub_ext.sharing.access import publishable_owners
from hub_ext.sharing.drafts import Upload
from hub_ext.sharing.inspecting import Inspection, inspect, usable_profiles
from hub_ext.sharing.publishing import Draft
from hub_ext.web.base import TakesNotebook
from hub_ext.web.errors import status_of
from hub_ext.web.pages import forms
from hub_ext.web.pages.about import Said, about_fields, read_about, said_by
from hub_ext.web.pages.forms import Choice, Field
from hub_ext.web.pages.page import Page
from hub_ext.web.pages.rendering import query
from hub_ext.web.pages.server_files import FilesClient, ServerFiles, public_origin, server_path
from hub_ext.web.pages.views import WorkflowView, load_workflow
from hub_ext.web.pages.workflow import summary

_COOKIE = "hub-ext-files"
_TOKEN_MINUTES = 15


class _Publish(Page):
    """Base of these pages.

    Attributes:
        client: The OAuth client for people's own servers; None where there is none.
    """

    here = "publish"

    client: FilesClient | None

    def initialize(self, **shared: Any) -> None:
        """Take the parts of the service and what these pages share."""
        super().initialize()
        self.client = shared["client"]

    async def keep(self, data: bytes, name: str, target: str) -> None:
        """Keep a notebook and lead to its preview."""
        key = await self.call(self.context.drafts.put, self.person.name, Upload(data, name[:200], target[:400]))
        self.redirect(self.link(f"publish/draft/{key}"), status=303)

    def remember(self, cookie: str, value: str) -> None:
        """Set a cookie for these pages alone, until the browser is closed."""
        secure = self.request.protocol == "https"
        path = self.context.prefix
        self.set_signed_cookie(
            cookie, value, expires_days=None, path=path, httponly=True, samesite="Lax", secure=secure
        )

    async def target(self, text: str) -> WorkflowView | None:
        """Return the workflow that a new version is for, None if there is none that the person may change.

        Args:
            text: ``owner/name``.
        """
        owner, _, name = text.partition("/")
        if not name:
            return None
        try:
            view = await self.call(load_workflow, self.context.database, self.person, (owner, name))
        except NotFound:
            return None
        return view if view.may_edit else None


class PublishPage(TakesNotebook, _Publish):
    """``publish``: three ways to begin."""

    async def get(self) -> None:
        """Show them."""
        view = await self.target(self.text("for"))
        self.show_ways(view)

    def show_ways(self, view: WorkflowView | None, error: HubExtError | None = None) -> None:
        """Show them, with what was wrong."""
        origin = self.assets.removesuffix(f"{self.context.prefix}static/")
        self.show("publish.html", target=view, error=error, files=self.client is not None, origin=origin)

    async def post(self) -> None:
        """Take a file."""
        wanted = self.text("for")
        found = self.request.files.get("notebook", [])
        if not found or not found[0]["body"]:
            self.set_status(422)
            error = InvalidInput.of("notebook", "choose a notebook file (.ipynb) first")
            self.show_ways(await self.target(wanted), error)
            return
        await self.keep(found[0]["body"], found[0]["filename"], wanted)


class DraftPage(_Publish):
    """``publish/draft/{key}``: what others will see, before they do."""

    async def get(self, key: str) -> None:
        """Show it."""
        upload = await self.call(self.context.drafts.get, self.person.name, key)
        try:
            inspection = await self.call(self._inspect, upload, self.person)
        except (InvalidInput, TooLarge, Unsupported) as error:
            self.set_status(status_of(error))
            self.show("publish_refused.html", upload=upload, error=error, target=await self.target(upload.target))
            return
        view = await self.target(upload.target) or await self.target(f"{self.person.name}/{inspection.name}")
        said = Said(
            inspection.title or inspection.name.replace("-", " ").capitalize(), inspection.description, inspection.tags
        )
        begun = {"name": inspection.name, "profile": inspection.profile or "", "owner": self.person.name, "message": ""}
        if view is not None:
            said = said_by(view)
            begun |= {"name": view.workflow.name, "owner": view.workflow.owner}
        await self._show(key, inspection, said, begun, view=view)

    async def post(self, key: str) -> None:
        """Publish it."""
        upload = await self.call(self.context.drafts.get, self.person.name, key)
        typed = self.fields()
        said = read_about(typed)
        begun = {name: self.text(name) for name in ("name", "profile", "owner", "message")}
        person = await self.refreshed()
        draft = Draft(
            data=upload.data,
            title=said.title,
            description=said.description,
            tags=said.tags,
            visibility=said.visibility,
            groups=said.groups,
            name=begun["name"],
            profile=begun["profile"] or None,
            owner=begun["owner"] or None,
            message=begun["message"],
        )
        try:
            made = await self.call(self.context.publisher.publish, person, draft)
        except (InvalidInput, Conflict, Forbidden) as error:
            self.set_status(status_of(error))
            inspection = await self.call(self._inspect, upload, person)
            await self._show(key, inspection, said, begun, error=error)
            return
        await self.call(self.context.drafts.drop, self.person.name, key)
        where = self.workflow_link(made.owner, made.name)
        self.redirect(where + query({"published": "new" if made.created else "same"}), status=303)

    def _inspect(self, upload: Upload, person: Person) -> Inspection:
        facts = self.context.decisions.facts_of(person.name, person.groups)
        return inspect(
            upload.data,
            settings=self.context.settings,
            catalog=facts.catalog,
            person=person,
            entitlements=facts.entitlements,
        )

    async def _show(
        self,
        key: str,
        inspection: Inspection,
        said: Said,
        begun: dict[str, str],
        *,
        view: WorkflowView | None = None,
        error: HubExtError | None = None,
    ) -> None:
        problems = error.problems if error else []
        facts = await self.call(self.context.decisions.facts_of, self.person.name, self.person.groups)
        self.show(
            "publish_draft.html",
            key=key,
            inspection=inspection,
            view=view,
            fields=forms.fields(inspection.schema),
            first_fields=_first_fields(begun, self.person, problems),
            about_fields=about_fields(said, self.person, view.groups if view else (), problems),
            last_fields=_last_fields(begun, facts, problems),
            problem=summary(error) if error else None,
        )


def _first_fields(begun: dict[str, str], person: Person, problems: list[Problem]) -> list[Field]:
    errors = {problem.field: problem.message for problem in problems}
    name = Field(
        "name",
        "a-name",
        "Name",
        value=begun["name"],
        required=True,
        error=errors.get("name", ""),
        attributes={"maxlength": 64, "spellcheck": "false", "autocapitalize": "off"},
        hints=(
            "Its address: small letters, digits and hyphens. The name of one that is there makes its next version.",
        ),
    )
    owners = publishable_owners(person)
    if len(owners) == 1:
        return [name]
    choices = tuple(Choice(one, one, one == begun["owner"]) for one in owners)
    owner = Field("owner", "a-owner", "Published by", widget="select", choices=choices, error=errors.get("owner", ""))
    return [owner, name]


def _last_fields(begun: dict[str, str], facts: Facts, problems: list[Problem]) -> list[Field]:
    errors = {problem.field: problem.message for problem in problems}
    usable = usable_profiles(facts)
    listed = [(one.name, one.metadata.title) for one in usable]
    if begun["profile"] and begun["profile"] not in dict(listed):
        listed.append((begun["profile"], f"{begun['profile']} (not for you)"))
    profile = Field(
        "profile",
        "a-profile",
        "Profile",
        widget="select",
        choices=tuple(Choice(name, title, name == begun["profile"]) for name, title in listed),
        hints=("What its runs get. Whoever runs it may choose another.",),
        error=errors.get("profile", ""),
    )
    message = Field(
        "message",
        "a-message",
        "What is new",
        value=begun["message"],
        mark="optional",
        error=errors.get("message", ""),
        attributes={"maxlength": 1000},
        hints=("Shown with this version.",),
    )
    return [profile, message]


class FilesPage(_Publish):
    """``publish/files``: the notebooks on one's own server."""

    async def get(self) -> None:
        """Show a folder of it, or how to connect."""
        path, wanted = self.text("path"), self.text("for")
        token = self._token()
        if token is None:
            self.show("publish_files.html", connected=False, target=wanted, path="", entries=[], running=True)
            return
        files = await self._files(token)
        entries = await files.folder(path) if files else []
        self.show(
            "publish_files.html", connected=True, target=wanted, path=path, entries=entries, running=files is not None
        )

    async def post(self) -> None:
        """Take a notebook from there."""
        path = self.text("path")
        token = self._token()
        files = await self._files(token) if token else None
        if files is None:
            self.redirect(self.link("publish/files") + query({"for": self.text("for")}), status=303)
            return
        data = await files.notebook(path)
        self.clear_cookie(_COOKIE, path=self.context.prefix)
        await self.keep(data, path.rpartition("/")[2], self.text("for"))

    def _token(self) -> str | None:
        if self.client is None:
            raise NotFound("Files of servers cannot be read here.", hint="Download the notebook, and upload it.")
        value = self.get_signed_cookie(_COOKIE, max_age_days=1)
        kept = self.context.sealed.open(value.decode(), _TOKEN_MINUTES * 60) if value else {}
        return str(kept["token"]) if kept.get("owner") == self.person.name else None

    async def _files(self, token: str) -> ServerFiles | None:
        try:
            path = await server_path(str(self.hub_auth.api_url), token, self.person.name)
        except Forbidden:
            self.clear_cookie(_COOKIE, path=self.context.prefix)
            raise
        if path is None:
            return None
        settings = self.context.settings
        asked = self.assets.removesuffix(f"{self.context.prefix}static/")
        origin = public_origin(asked, embedded=bool(settings.embedded))
        return ServerFiles(origin, path, token, int(settings.upload_limit))


class Connect(_Publish):
    """``files/connect``: leads to the Hub, which asks the person."""

    async def get(self) -> None:
        """Go there."""
        if self.client is None:
            raise NotFound("Files of servers cannot be read here.", hint="Download the notebook, and upload it.")
        state = secrets.token_urlsafe(18)
        self.remember(f"{_COOKIE}-state", f"{state} {self.text('for')[:400]}")
        self.redirect(self.client.authorize_link(self.hub_base, state))


class Connected(_Publish):
    """``files/oauth_callback``: the Hub leads back here."""

    async def get(self) -> None:
        """Take the token, for a quarter of an hour at most: her browser carries it, sealed."""
        value = self.get_signed_cookie(f"{_COOKIE}-state", max_age_days=1)
        state, _, wanted = value.decode().partition(" ") if value else ("", "", "")
        self.clear_cookie(f"{_COOKIE}-state", path=self.context.prefix)
        if self.client is None or not state or not secrets.compare_digest(state, self.text("state")):
            raise Forbidden("This does not come from a question that was asked here.", hint="Begin at Publish.")
        if not self.text("code"):
            self.redirect(self.link("publish"))
            return
        token = await self.client.token(str(self.hub_auth.api_url), self.text("code"))
        self.remember(_COOKIE, self.context.sealed.seal({"owner": self.person.name, "token": token}))
        self.redirect(self.link("publish/files") + query({"for": wanted}))


def shared_parts(prefix: str) -> dict[str, Any]:
    """Return what all of these pages share.

    Args:
        prefix: Path of the service, with a slash at both ends.
    """
    return {"client": FilesClient.from_environment(prefix)}
