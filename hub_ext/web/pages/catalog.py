"""The catalog's pages: the table, one version, what a start would make, the rules, and why somebody may not start."""

from __future__ import annotations

from typing import Any

from hub_ext.catalog.check import denying
from hub_ext.catalog.decide import may_use
from hub_ext.errors import HubExtError, InvalidInput, NotFound, Problem
from hub_ext.governance.desk import Desk
from hub_ext.governance.overview import SOON, Entry
from hub_ext.governance.preview import Preview, Wanted
from hub_ext.governance.rights import reads_catalog
from hub_ext.governance.views import VersionInfo
from hub_ext.kubernetes.yaml_text import lines_of
from hub_ext.web.api.curating import groups_of
from hub_ext.web.errors import status_of
from hub_ext.web.pages import catalog_rows, places
from hub_ext.web.pages.page import Page

_DONE = {
    "proposed": "It is proposed, and waits for approval.",
    "same": "This content was proposed before; nothing is new.",
    "approved": "Your approval counts.",
    "refused": "Your refusal stands until you approve it, or its author withdraws it.",
    "withdrawn": "The proposal is taken back.",
    "deprecated": "It ends, and starts say so from now on.",
}


class CatalogPage(Page):
    """Base of the pages of who looks after the catalog."""

    here = "profiles"

    @property
    def desk(self) -> Desk:
        """What the person may do in the catalog."""
        return self.context.desk(self.person)

    async def acting_desk(self) -> Desk:
        """Return the desk of the person with the roles that the Hub says she has now.

        Raises:
            NotSignedIn: If the Hub does not know her any more.
            Unavailable: If the Hub does not answer.
        """
        return self.context.desk(await self.refreshed())

    def show_catalog(self, template: str, tab: str, **values: Any) -> None:
        """Render a page of the catalog with its tabs.

        Args:
            template: Its file.
            tab: Key of the tab.
            values: What it shows.
        """
        reads = reads_catalog(self.person)
        self.show(
            template,
            tab=tab,
            reads=reads,
            curator=self.person.has_role("curator"),
            words_of_states=catalog_rows.STATES,
            required=int(self.context.settings.approvals_required),
            **values,
        )

    async def show_cards(self) -> None:
        """Show every profile as it is for the person; those that she may use first."""
        facts = await self.call(self.context.decisions.facts_of, self.person.name, self.person.groups)
        cards = [
            {
                "profile": profile,
                "denied": may_use(profile, facts),
                "gives": places.gives(profile),
                "reaches": places.reaches(profile),
                "versions": len(facts.catalog.versions(profile.name)),
                "badge": facts.catalog.standing(profile).badge(facts.now),
                "ends": facts.catalog.standing(profile).state == "deprecated",
            }
            for profile in facts.catalog.newest()
        ]
        cards.sort(key=lambda card: card["denied"] is not None)
        self.show_catalog("profiles.html", "cards", cards=cards)


class ProfilesPage(CatalogPage):
    """What a server or run may be: a table for who looks after the catalog, cards for everybody else."""

    async def get(self) -> None:
        """Show the one or the other."""
        if not reads_catalog(self.person):
            await self.show_cards()
            return
        filters = catalog_rows.Filters.read(*(self.text(name) for name in ("q", "state", "sort", "page")))
        found = await self.call(self.context.catalog.recent)
        desk = self.desk
        entries, ending = await self.call(lambda: (desk.overview.entries(), desk.overview.ending_exceptions()))
        source, unreadable = await self.call(lambda: (self.context.repository.state(), desk.overview.unreadable()))
        self.context.checking.wake()
        every = catalog_rows.rows(entries, self.person)
        fitting = filters.choose(every)
        first = (filters.page - 1) * catalog_rows.ROWS
        self.show_catalog(
            "catalog.html",
            "catalog",
            filters=filters,
            rows=fitting[first : first + catalog_rows.ROWS],
            total=len(fitting),
            first=first,
            more=len(fitting) > first + catalog_rows.ROWS,
            unfinished=any(row.entry.findings is None for row in every),
            waiting=sorted((row for row in every if row.version.state == "proposed"), key=lambda row: not row.mine),
            deprecated=[row for row in every if row.version.state == "deprecated" and row.entry.use.people],
            ending=ending,
            soon=SOON.days,
            catalog=found,
            source=source,
            unreadable=unreadable,
            done="The repository was asked: this is its newest commit." if self.text("done") == "synced" else "",
            sorts=catalog_rows.SORTS,
            address=lambda **changes: filters.address(self.link("profiles"), **changes),
        )


class CardsPage(CatalogPage):
    """Every profile as it is for the person: what it gives, and whether she may use it."""

    async def get(self) -> None:
        """Show them; those that she may use first."""
        await self.show_cards()


class VersionPage(CatalogPage):
    """One version: what servers would become, what its checks find, who is affected, and what can be done with it."""

    async def get(self, name: str, number: str) -> None:
        """Show it."""
        await self.show_version(name, int(number), done=_DONE.get(self.text("done"), ""))

    async def show_version(self, name: str, number: int, *, done: str = "", error: HubExtError | None = None) -> None:
        """Show it, maybe with what went wrong.

        Args:
            name: Name of the profile.
            number: Number of the version.
            done: What was just done, as a sentence.
            error: What went wrong with that.
        """
        against = self.text("against")
        other = int(against) if against.isascii() and against.isdigit() and len(against) < 10 else None
        desk = self.desk

        def load() -> tuple[Entry, Any, list[Entry], Any]:
            entry = desk.entry(name, number)
            every = desk.overview.entries(name=name)
            return entry, desk.change(entry, other), every, desk.overview.affected(name)

        entry, change, every, affected = await self.call(load)
        if error is not None:
            self.set_status(status_of(error))
        version = entry.version
        self.show_catalog(
            "version.html",
            "catalog",
            entry=entry,
            version=version,
            change=change,
            groups=catalog_rows.change_groups(change) if change and change.before else [],
            gives=places.gives(version.profile),
            reaches=places.reaches(version.profile),
            denied=denying(entry.findings or []),
            checks=catalog_rows.checks_words(entry),
            every=every,
            affected=affected,
            **self._what_next(version),
            typed={key: values[-1] for key, values in self.fields().items()} if error is not None else {},
            done=done,
            problem=problem_of(error) if error is not None else None,
        )

    def _what_next(self, version: VersionInfo) -> dict[str, object]:
        """Return who has what to do about a version, and what may take its place."""
        catalog = self.context.catalog.current()
        return {
            "waiting": catalog_rows.waits_for(version, self.person),
            "own": catalog_rows.is_author(version, self.person),
            "judges": catalog_rows.may_judge(version, self.person),
            "others": catalog_rows.other_curators(max(1, version.missing)),
            "successors": [
                f"{one.name}@{one.version}" for one in catalog.profiles if _may_follow(catalog, one, version)
            ],
        }


def _may_follow(catalog: Any, one: Any, version: Any) -> bool:
    own = (one.name, one.version) == (version.name, version.number)
    return not own and catalog.standing(one).state in ("approved", "trusted")


def problem_of(error: HubExtError) -> dict[str, Any]:
    """Return an error as the note above a form.

    Args:
        error: What is wrong.
    """
    lines = [
        one.message if not one.field or one.field in one.message else f"{one.field}: {one.message}"
        for one in error.problems
    ]
    return {
        "title": "Please look at this again" if isinstance(error, InvalidInput) else error.title,
        "detail": error.detail,
        "hint": error.hint,
        "links": [("", line) for line in lines] if len(lines) > 1 else [],
    }


def _sentence(problem: Problem) -> str:
    told = not problem.field or problem.field in problem.message
    return problem.message if told else f"{problem.field}: {problem.message}"


class PreviewPage(CatalogPage):
    """Exactly what a start would make, each line with its reason."""

    async def get(self, name: str, number: str) -> None:
        """Show it; to htmx, what would be made alone."""
        desk, typed = self.desk, {key: self.get_arguments(key) for key in self.request.query_arguments}
        entry = await self.call(desk.entry, name, int(number))
        profile = entry.version.profile
        purpose = "run" if self.text("purpose") == "run" else "server"
        user = self.text("user")[:255] or "somebody"
        asked = "purpose" in typed  # a box that is not ticked is not sent: without the rest, nothing was
        wanted = Wanted(places.read_all_options(profile, typed) if asked else {}, user, purpose)  # type: ignore[arg-type]  # one of two
        made: Preview | None = None
        error: InvalidInput | None = None
        try:
            made = await self.call(desk.preview, name, int(number), wanted)
        except InvalidInput as wrong:
            error = wrong
            self.set_status(status_of(wrong))
        part = self.asked_by_htmx()
        self.show_catalog(
            "_rendering.html" if part else "preview.html",
            "catalog",
            version=entry.version,
            fields=places.option_fields(profile, typed if asked else None, error.problems if error else ()),
            purpose=purpose,
            user=user,
            made=made,
            documents=_documents(made) if made else [],
            problem=problem_of(error) if error else None,
        )


def _documents(made: Preview) -> list[dict[str, Any]]:
    return [
        {"kind": one["kind"], "name": one["metadata"]["name"], "lines": lines_of(one, reasons)}
        for one, reasons in zip(made.objects, made.reasons, strict=True)
    ]


class RulesPage(CatalogPage):
    """The rules that everything must meet."""

    async def get(self) -> None:
        """Show them."""
        rules = await self.call(self.desk.rules)
        words = self.text("q").casefold().split()
        fitting = [one for one in rules if all(word in _text_of(one) for word in words)]
        catalog = self.context.catalog.current()
        self.show_catalog("rules.html", "rules", rules=fitting, total=len(rules), q=self.text("q"), catalog=catalog)


def _text_of(rule: dict[str, Any]) -> str:
    return " ".join((rule["id"], rule["title"], rule["message"], *rule["controls"])).casefold()


class ExplainPage(CatalogPage):
    """What a person may start, and why not the rest."""

    async def get(self) -> None:
        """Show it; about the person herself, if nobody is named."""
        desk = await self.acting_desk()
        user = self.text("user")[:255] or self.person.name
        profile = self.text("profile")
        found: list[catalog_rows.Explained] = []
        error: HubExtError | None = None
        try:
            groups = await groups_of(self, desk, user)
            explanations = await self.call(desk.explanations, user, groups, profile or None)
            found = [catalog_rows.explained(one) for one in explanations]
        except NotFound as wrong:
            error, groups = wrong, frozenset()
            self.set_status(status_of(wrong))
        names = [one.name for one in self.context.catalog.current().newest()]
        self.show_catalog(
            "explain.html",
            "explain",
            user=user,
            profile=profile,
            profiles=names,
            groups=sorted(groups),
            found=found,
            problem=problem_of(error) if error else None,
        )
