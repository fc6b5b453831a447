"""People and groups: who there is, what she may use and why. For curators, auditors and admins."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from hub_ext.access.entitlements import Wanted as WantedEntitlements
from hub_ext.access.looking import Look, look
from hub_ext.access.owners import READERS, may_read_all
from hub_ext.access.requests import Wanted
from hub_ext.access.usage import Usage
from hub_ext.db.tables import AccessRequest, Account, Entitlement, ServerStart
from hub_ext.errors import Forbidden, HubExtError, NotFound
from hub_ext.people import Person, groups_of_roles, roles_of
from hub_ext.web.pages.access import AccessPage, bars_of, rows_of
from hub_ext.web.pages.page import may_audit
from hub_ext.web.pages.plots import plot
from hub_ext.web.pages.rendering import query

_ROWS = 50
DONE = {
    "blocked": "Blocked: sessions, tokens, servers and runs end within a minute.",
    "let-in": "She may sign in again.",
    "handed": "The workflows have another owner now.",
    "none": "There was no workflow to hand over.",
}
_MOST = 200


class _WhoPage(AccessPage):
    """Base of the pages of who there is."""

    def must_look(self) -> None:
        """Refuse who may not see everybody.

        Raises:
            Forbidden: If she is neither curator, auditor nor admin.
        """
        if not may_read_all(self.person):
            raise Forbidden(f"People and groups are seen by {', '.join(f'{role}s' for role in READERS)}.")

    def role_of(self, group: str) -> str:
        """Return the role that a group carries, empty where it carries none."""
        carrying = groups_of_roles(self.context.settings.role_groups)
        return ", ".join(role for role, groups in carrying.items() if group in groups)

    def first(self) -> int:
        """Return the number of the first row of the page that is asked for."""
        text = self.text("page")
        return (int(text) - 1) * _ROWS if text.isascii() and text.isdigit() and 0 < int(text) < 10**6 else 0


class PeoplePage(_WhoPage):
    """Everybody whom the Hub knows."""

    tab = "people"

    async def get(self) -> None:
        """Show them, by name."""
        self.must_look()
        q, first = self.text("q")[:255], self.first()
        found, total = await self.context.hub.people(q, first, _ROWS)
        given = self.context.settings.role_groups
        rows = [
            (one, sorted(roles_of(frozenset(one.get("groups", ())), admin=bool(one.get("admin")), given=given)))
            for one in found
        ]
        self.show_access("people.html", rows=rows, **_paging(self, "access/people", q, first, total, len(found)))


class GroupsPage(_WhoPage):
    """Every group that the Hub knows."""

    tab = "groups"

    async def get(self) -> None:
        """Show them, by name."""
        self.must_look()
        first = self.first()
        found, total = await self.context.hub.group_names(first, _ROWS)
        named: dict[str, list[str]] = {}
        for profile in self.context.catalog.current().newest():
            for group in profile.spec.access.groups:
                named.setdefault(group, []).append(profile.metadata.title)
        rows = [(name, self.role_of(name), named.get(name, [])) for name in found]
        self.show_access("groups.html", rows=rows, **_paging(self, "access/groups", "", first, total, len(found)))


def _paging(page: AccessPage, path: str, q: str, first: int, total: int, count: int) -> dict[str, Any]:
    number = first // _ROWS + 1
    return {
        "q": q,
        "first": first,
        "total": total,
        "previous": page.link(path) + query({"q": q, "page": number - 1}) if number > 1 else "",
        "following": page.link(path) + query({"q": q, "page": number + 1}) if first + count < total else "",
    }


class PersonPage(_WhoPage):
    """One person: her groups, what she may use and why, what she asked for, what she uses."""

    tab = "people"

    async def get(self, name: str) -> None:
        """Show it."""
        await self.show_person(name)

    async def show_person(
        self, name: str, error: HubExtError | None = None, typed: Mapping[str, str] | None = None
    ) -> None:
        """Show somebody, maybe with what went wrong.

        Args:
            name: Who.
            error: What is wrong with what was typed.
            typed: What was typed.
        """
        self.must_look()
        known = True
        try:
            groups, admin = await self.context.hub.all_of(name)
        except NotFound:
            known, groups, admin = False, frozenset(), False
        found, entitlements, requests, history, servers = await self.call(self._load, name, groups)
        account = await self.call(self._account, name)
        if not known and not (entitlements or requests or servers or account):
            raise NotFound("Nobody of this name is known here.", hint="Whoever has never signed in is not known.")
        hours = [(one.month, one.cpu_hours) for one in history]
        self.show_access(
            "person.html",
            name=name,
            known=known,
            groups=sorted(groups),
            roles=sorted(roles_of(groups, admin=admin, given=self.context.settings.role_groups)),
            rows=rows_of(found, {one.id: one for one in entitlements}, self.remind),
            standings=[(one, bars_of(one)) for one in found.standings],
            requests=requests,
            servers=servers,
            picture=plot(f"Core hours of {name} by month", hours, "core hours"),
            audits=may_audit(self.person),
            curator=self.person.has_role("curator"),
            quoted=quote(name, safe=""),
            typed=typed or {},
            done=DONE.get(self.text("done"), ""),
            **await self._signing_in(name, account),
            **self.problems(error),
        )

    async def _signing_in(self, name: str, account: Account | None) -> dict[str, object]:
        """Return what is told of how somebody signs in, and whether one may end that."""
        return {
            "account": account,
            "provider": self.context.settings.sign_in_issuer,
            "asked": await self.call(self.context.accounts.others_are_asked),
            "oldest": f"{self.context.settings.groups_age_hours:g}",
            "manages": self.person.has_role("admin") and name != self.person.name,
        }

    def _account(self, name: str) -> Account | None:
        with contextlib.suppress(NotFound):
            return self.context.people.account(self.person, name)
        return None

    def _load(
        self, name: str, groups: frozenset[str]
    ) -> tuple[Look, list[Entitlement], list[AccessRequest], list[Usage], list[ServerStart]]:
        found = look(self.context.decisions, name, groups)
        seen = Person(name, groups)  # whose entitlements these are; that she may be looked at was checked
        held, _ = self.context.entitlements.listing(seen, WantedEntitlements(own=True, limit=_MOST))
        requests, _ = self.context.access_requests.listing(self.person, Wanted(user=name, limit=20))
        history = self.context.usage.history(self.person, "person", name)
        with self.context.database.read() as session:
            query_ = select(ServerStart).where(ServerStart.user == name, ServerStart.outcome.in_(("starting", "ready")))
            servers = list(session.scalars(query_.order_by(ServerStart.asked_at)))
        return found, held, requests, history, servers


class GroupPage(_WhoPage):
    """One group: its members, what they may use by it, and what they used together."""

    tab = "groups"

    async def get(self, name: str) -> None:
        """Show it."""
        self.must_look()
        members = await self.context.hub.members(name)
        wanted = WantedEntitlements(kind="group", name=name, limit=_MOST)
        held, _ = await self.call(self.context.entitlements.listing, self.person, wanted)
        history = await self.call(self.context.usage.history, self.person, "group", name)
        profiles = [one for one in self.context.catalog.current().newest() if name in one.spec.access.groups]
        self.show_access(
            "group.html",
            name=name,
            members=members,
            role=self.role_of(name),
            profiles=profiles,
            entitlements=held,
            picture=plot(
                f"Core hours of {name} by month", [(one.month, one.cpu_hours) for one in history], "core hours"
            ),
            curator=self.person.has_role("curator"),
        )
