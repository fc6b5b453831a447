"""Forms of an admin on a person's page: block, let in again, hand her workflows to an heir."""

from __future__ import annotations

from hub_ext.errors import InvalidInput, NotFound
from hub_ext.web.pages.access import TOLD
from hub_ext.web.pages.who import PersonPage


class _PersonForm(PersonPage):
    """A form of a person's page."""

    async def get(self, name: str) -> None:
        """Lead to the page: somebody reloaded what a mistake had left."""
        del name
        self.back("")

    async def post(self, name: str) -> None:
        """Do it, or tell on the page why not; what was typed stays."""
        await self.refreshed()
        try:
            done = await self.act(name)
        except TOLD as error:
            await self.show_person(name, error, {field: self.text(field) for field in ("reason", "heir", "kind")})
            return
        self.back(f"?done={done}")

    async def act(self, name: str) -> str:
        """Do what the form is for, and return a key of `who.DONE`."""
        raise NotImplementedError(name)

    def back(self, query: str) -> None:
        """Lead to the page."""
        self.redirect(self.request.path.rpartition("/")[0] + query, status=303)


class BlockForm(_PersonForm):
    """Blocks."""

    async def act(self, name: str) -> str:
        """Block her."""
        await self.call(self.context.people.block, self.person, name, self.text("reason"))
        return "blocked"


class LetInForm(_PersonForm):
    """Lets in again."""

    async def act(self, name: str) -> str:
        """Let her in."""
        await self.call(self.context.people.let_in, self.person, name)
        return "let-in"


class HeirForm(_PersonForm):
    """Hands workflows over."""

    async def act(self, name: str) -> str:
        """Hand them over, if the heir exists."""
        heir, kind = self.text("heir"), self.text("kind")
        if self.person.has_role("admin"):
            try:
                await (self.context.hub.members(heir) if kind == "group" else self.context.hub.groups_of(heir))
            except NotFound:
                raise InvalidInput.of("heir", f"the Hub knows no such {kind or 'person'}") from None
        found = await self.call(self.context.people.hand_over, self.person, name, heir)
        return "handed" if found else "none"
