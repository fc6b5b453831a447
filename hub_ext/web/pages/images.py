"""The page of the enclave's images: what their names mean, who signed them, what is wrong, and verifying them now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hub_ext.errors import HubExtError, InvalidInput
from hub_ext.web.errors import status_of
from hub_ext.web.pages.catalog import CatalogPage, problem_of

# State of an image → its word, look and icon.
_STATES = {
    "verified": ("Verified", "ok", "fa-circle-check"),
    "refused": ("Refused", "bad", "fa-circle-xmark"),
    "waiting": ("Not verified yet", "warn", "fa-hourglass-half"),
    "off": ("Not asked for", "quiet", "fa-minus"),
}
_MOST_PROFILES = 5


class ImagesPage(CatalogPage):
    """The images of the enclave."""

    async def get(self) -> None:
        """Show them."""
        await self.show_images()

    async def show_images(self, error: HubExtError | None = None) -> None:
        """Show them, maybe with what went wrong.

        Args:
            error: What went wrong.
        """
        if error is not None:
            self.set_status(status_of(error))
        found = await self.call(self.desk.images)
        self.show_catalog(
            "images.html",
            "images",
            found=found,
            images=[_shown(one) for one in found["items"]],
            states=_STATES,
            most=_MOST_PROFILES,
            lists=found["sbom"] != "off",
            done="The registries were asked: this is how the images stand now." if self.text("done") else "",
            problem=problem_of(error) if error is not None else None,
        )


class VerifyImagesForm(ImagesPage):
    """Verifies them now."""

    async def get(self) -> None:
        """Lead to the page: somebody reloaded what a mistake had left."""
        self.redirect(self.link("profiles/images"))

    async def post(self) -> None:
        """Verify them; what keeps all of them from being looked at is told on the page."""
        desk = await self.acting_desk()
        try:
            await self.call(desk.verify_images)
        except InvalidInput as error:
            await self.show_images(error)
            return
        self.redirect(self.link("profiles/images?done=verified"), status=303)


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    """Return an image as the table shows it: its digest apart, times as times, and all that is wrong in one list."""
    place, _, digest = one["image"].partition("@")
    wrong = [doubt["message"] for doubt in one["doubts"]]
    wrong += [problem for problem in one["problems"] if not any(problem in text for text in wrong)]
    wrong += [f"It could not be looked at last: {one['hindered']}"] if one["hindered"] else []
    times = {name: datetime.fromisoformat(one[name]) if one[name] else None for name in ("since", "last")}
    denies = any(doubt["denies"] for doubt in one["doubts"])
    return one | times | {"place": place, "digest": digest, "wrong": wrong, "denies": denies}
