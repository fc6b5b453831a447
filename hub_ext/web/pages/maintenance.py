"""The page on which an admin makes the platform read-only, and ends that."""

from __future__ import annotations

from datetime import timedelta

from hub_ext.db.types import now
from hub_ext.errors import InvalidInput
from hub_ext.web.pages.page import Page

_MINUTES = (15, 30, 60, 120, 240, 480, 1440)


class MaintenancePage(Page):
    """``read-only``: for everybody to see, for admins to change."""

    here = "audit"
    changes = False  # it is what ends it

    async def get(self) -> None:
        """Show it."""
        await self._show()

    async def post(self) -> None:
        """Begin or end it."""
        person = await self.refreshed()
        try:
            if self.text("act") == "end":
                await self.call(self.context.maintenance.end, person)
            else:
                until = now() + timedelta(minutes=_minutes(self.text("minutes")))
                await self.call(self.context.maintenance.begin, person, until, self.text("why"))
        except InvalidInput as error:
            self.set_status(422)
            await self._show({problem.field: problem.message for problem in error.problems})
            return
        self.redirect(self.link("read-only"), status=303)

    async def _show(self, errors: dict[str, str] | None = None) -> None:
        await self.call(self.context.maintenance.look)
        self.show(
            "read_only.html",
            may=self.person.has_role("admin"),
            minutes=_MINUTES,
            chosen=self.text("minutes", "60"),
            why=self.text("why"),
            errors=errors or {},
        )


def _minutes(text: str) -> int:
    if text not in {str(one) for one in _MINUTES}:
        raise InvalidInput.of("minutes", "must be one of the choices")
    return int(text)
