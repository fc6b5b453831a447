"""Pages about the platform itself: the record of acts, help, the colour of the banner."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from hub_ext.errors import InvalidInput
from hub_ext.web.api import models
from hub_ext.web.api.audit import check_auditor, list_acts, verify
from hub_ext.web.base import BaseHandler
from hub_ext.web.pages import rendering, sheet
from hub_ext.web.pages.page import Page
from hub_ext.web.pages.rendering import query

_PERIODS = {"day": ("the last day", 1), "week": ("the last week", 7), "month": ("the last 30 days", 30), "all": ("", 0)}
_OUTCOMES = ("allowed", "denied", "failed")
_ACTS = 40


class AuditPage(Page):
    """The record of acts, for auditors and admins."""

    here = "audit"

    async def get(self) -> None:
        """Show a page of it: the last day, if nothing else is asked for."""
        check_auditor(self.person)
        filters = {name: self.text(name) for name in ("actor", "action", "object", "outcome", "cursor")}
        period = self.text("period", "day")
        filters["period"] = period if period in _PERIODS else "day"
        if filters["outcome"] not in _OUTCOMES:
            filters["outcome"] = ""
        page = await self.call(list_acts, self.context.database, self.person, _wanted(filters))
        base = self.link("audit")

        def address(**changes: Any) -> str:
            return base + query(filters | {"cursor": ""} | changes)

        self.show(
            "audit.html",
            page=page,
            filters=filters,
            periods=_PERIODS,
            outcomes=_OUTCOMES,
            address=address,
            opened=self.text("act"),
        )


def _wanted(filters: dict[str, str]) -> models.AuditQuery:
    days = _PERIODS[filters["period"]][1]
    given = {name: value for name, value in filters.items() if value and name != "period"}
    if days:
        given["since"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    try:
        return models.AuditQuery(limit=_ACTS, **given)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise InvalidInput.of(field, "is too long for a filter") from None


class VerifyPage(Page):
    """Whether the record is as it was written."""

    here = "audit"

    async def get(self) -> None:
        """Walk the chain and tell."""
        verdict = await self.call(verify, self.context.database, self.person)
        self.show("_verdict.html" if self.asked_by_htmx() else "verdict.html", verdict=verdict)


class HelpPage(Page):
    """How to do things, and how to do them from a terminal."""

    here = "help"

    async def get(self) -> None:
        """Show it, with the person's own addresses in it."""
        self.show("help.html", origin=self.assets.removesuffix(f"{self.context.prefix}static/"))


class BannerStyle(BaseHandler):
    """The colour of the banner, as a style sheet: pages hold no styles of their own."""

    public = True

    async def get(self) -> None:
        """Answer."""
        colour = str(self.context.settings.banner_color)
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=3600")
        self.finish(f".hx-banner {{ background: {colour}; color: {readable_on(colour)}; }}\n")


# What every page of ours loads, and what that loads in its turn.
_OF_EVERY_PAGE = (
    sheet.PATH,
    "vendor/htmx.min.js",
    "hub/components/bootstrap/dist/js/bootstrap.bundle.min.js",
    "js/page.js",
    "js/live.js",
    "js/stream.js",
    sheet.ICONS,
)
_LOAD_AHEAD = """\
for (const one of %s) {
  const link = document.createElement('link');
  Object.assign(link, { rel: 'prefetch', href: one });
  document.head.append(link);
}
"""


class Ahead(BaseHandler):
    """A script for the Hub's sign-in page: meanwhile the browser loads what our pages need."""

    public = True

    async def get(self) -> None:
        """Answer; it holds nothing private."""
        links = [rendering.static_link(self.context.prefix, path) for path in _OF_EVERY_PAGE]
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(_LOAD_AHEAD % json.dumps(links))


def readable_on(colour: str) -> str:
    """Return black or white, whichever can be read better on a colour.

    Args:
        colour: ``#rgb`` or ``#rrggbb``.
    """
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#fff"
