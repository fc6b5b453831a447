"""Homes of people who left: the list, the question that names what is lost, and the answer."""

from __future__ import annotations

from hub_ext.errors import HubExtError, InvalidInput, NotFound
from hub_ext.homes.records import Kept
from hub_ext.web.pages.access import TOLD, AccessPage
from hub_ext.web.pages.page import may_audit


class HomesPage(AccessPage):
    """The list. Nothing in it is chosen at first."""

    tab = "homes"

    async def get(self) -> None:
        """Show it."""
        await self.show_homes()

    async def show_homes(self, error: HubExtError | None = None) -> None:
        """Show the list, maybe with what went wrong.

        Args:
            error: What is wrong with what was chosen.
        """
        found = await self.call(self.context.homes.listing, self.person)
        there = [one for one in found if one.row.state != "removed"]
        self.show_access(
            "homes.html",
            there=there,
            removed=[one for one in found if one.row.state == "removed"],
            chosen=frozenset(self.chosen()) if error is not None else frozenset(),
            manages=self.person.has_role("admin"),
            some=any(one.removable for one in there),
            days=f"{self.context.settings.home_kept_days:g}",
            done="Confirmed. They are removed within a minute." if self.text("done") else "",
            **self.problems(error),
        )

    def chosen(self) -> list[str]:
        """Return the names that were ticked."""
        return self.fields().get("names", []) if self.request.method == "POST" else self.get_arguments("names")


class ConfirmHomesPage(HomesPage):
    """Names what would be lost, before anything is."""

    async def get(self) -> None:
        """Ask."""
        names, found = self.chosen(), await self.call(self.context.homes.listing, self.person)
        homes = {one.row.name: one for one in found if one.removable}
        try:
            asked = [self._asked(homes, name) for name in dict.fromkeys(names)]
            if not asked:
                raise InvalidInput.of("names", "choose at least one home")
        except (InvalidInput, NotFound) as error:
            await self.show_homes(error)
            return
        self.show_access("homes_confirm.html", asked=asked, total=sum(one.row.size or 0 for one in asked))

    def _asked(self, homes: dict[str, Kept], name: str) -> Kept:
        if name not in homes:
            raise NotFound(f"The home of {name[:80]!r} cannot be removed now.", hint="Choose again.")
        return homes[name]


class RemoveHomesForm(HomesPage):
    """Lets them be removed."""

    async def get(self) -> None:
        """Lead to the list: somebody reloaded what a mistake had left."""
        self.redirect(self.link("access/homes"))

    async def post(self) -> None:
        """Confirm it, or tell on the list why not."""
        person = await self.refreshed()
        try:
            await self.call(self.context.homes.confirm, person, self.chosen())
        except (*TOLD, NotFound) as error:
            if not may_audit(person):
                raise
            await self.show_homes(error)
            return
        self.redirect(self.link("access/homes?done=1"), status=303)
