"""The base of every page."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

from hub_ext.errors import NotFound
from hub_ext.governance.rights import reads_catalog
from hub_ext.people import Person
from hub_ext.web.api.events import TOPICS_OF_ALL, TOPICS_OF_CATALOG, TOPICS_OF_OWNERS, hears_requests
from hub_ext.web.base import BaseHandler
from hub_ext.web.errors import Malformed
from hub_ext.web.pages import rendering


class Page(BaseHandler):
    """A page: leads to the sign-in, renders templates, and tells errors as a page.

    Attributes:
        here: Key of the entry of the navigation that this page belongs to.
    """

    sign_in_page = True
    here: ClassVar[str] = ""

    def asked_by_htmx(self) -> bool:
        """Return whether htmx asks for a part of a page, and not for one of the pages it kept."""
        headers = self.request.headers
        return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"

    @property
    def hub_base(self) -> str:
        """Address of the Hub, with a slash at its end."""
        auth = self.hub_auth
        return f"{auth.hub_host}{auth.hub_prefix}"

    def show(self, template: str, **values: Any) -> None:
        """Render a page and end the response.

        Args:
            template: Its file.
            values: What it shows, beside what every page does.
        """
        self.set_page_policy()
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Vary", "HX-Request")
        self.finish(rendering.render(template, **self.common(), **values))

    def common(self) -> dict[str, Any]:
        """Return what every template needs."""
        person: Person | None = getattr(self, "person", None)
        prefix = self.context.prefix
        return {
            "base": prefix,
            "hub_base": self.hub_base,
            "here": self.here,
            "person": person,
            "navigation": self.navigation(person) if person else [],
            "settings": self.context.settings,
            "read_only": self.context.maintenance.known,
            "topics": ",".join(self._topics(person)),
            "static": lambda path: rendering.static_link(prefix, path),
            "xsrf_token": _text(self.xsrf_token) if person else "",
        }

    def _topics(self, person: Person | None) -> tuple[str, ...]:
        """Return what the page hears of."""
        catalog = TOPICS_OF_CATALOG if person and reads_catalog(person) else ()
        requests = TOPICS_OF_OWNERS if person and hears_requests(self.context, person) else ()
        return TOPICS_OF_ALL + catalog + requests

    def navigation(self, person: Person) -> list[tuple[str, str, str]]:
        """Return key, address and label of each entry of the navigation.

        Args:
            person: Who sees it.
        """
        entries = [
            ("home", self.link(""), "Home"),
            ("gallery", self.link("gallery"), "Gallery"),
            ("runs", self.link("runs"), "Runs"),
            ("publish", self.link("publish"), "Publish"),
            ("server", f"{self.hub_base}spawn", "Server"),
            ("profiles", self.link("profiles"), "Profiles"),
            ("access", self.link("access"), "Access"),
        ]
        if may_audit(person):
            entries.append(("audit", self.link("audit"), "Audit"))
        return [*entries, ("help", self.link("help"), "Help")]

    def render_problem(self, problem: dict[str, Any]) -> None:
        """Tell an error as a page, or as JSON to a script (which makes a toast of it)."""
        if self._fetched_by_script():
            super().render_problem(problem)
            return
        self.show("error.html", problem=problem, request_id=self.request_id)

    def text(self, name: str, default: str = "") -> str:
        """Return an argument of the address or the form, without spaces around it.

        Raises:
            Malformed: If it is not UTF-8.
        """
        return str(self.get_argument(name, default)).strip()

    def fields(self) -> dict[str, list[str]]:
        """Return what a form sent, as it was typed, every value of each field.

        Raises:
            Malformed: If it is not UTF-8.
        """
        try:
            return {name: [value.decode() for value in values] for name, values in self.request.body_arguments.items()}
        except UnicodeDecodeError:
            raise Malformed("The form is not UTF-8.") from None

    def workflow_link(self, owner: str, name: str) -> str:
        """Return the address of a workflow's page."""
        return self.link(f"w/{quote(owner, safe='')}/{quote(name, safe='')}")


class Nowhere(Page):
    """Nothing is at this address."""

    public = True

    async def prepare(self) -> None:
        """Refuse, but know who asks, for the navigation.

        Raises:
            NotFound: Always.
        """
        await super().prepare()
        person = await self.identify()
        if person is not None:
            self.person = person
        raise NotFound(
            "There is nothing at this address.", hint="It may have been mistyped. Search the gallery for what you need."
        )


def may_audit(person: Person) -> bool:
    """Return whether a person may read the record of acts."""
    return person.has_role("auditor") or person.has_role("admin")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
