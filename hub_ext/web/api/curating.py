"""What curators do: judge, withdraw and deprecate versions, grant and revoke exceptions; and what anybody may start."""

from __future__ import annotations

from datetime import datetime

from hub_ext.governance.desk import Desk
from hub_ext.sharing.cursors import read_cursor, write_cursor
from hub_ext.web.api import asked, curated
from hub_ext.web.api.catalog import READERS, CatalogHandler
from hub_ext.web.api.operation import Answer, Body, operation
from hub_ext.web.base import BaseHandler

_CURSOR = "exceptions"

_CURATORS = "For curators, with a browser session or a token that may act in roles."
_VERSION = {200: Answer("The version as it is now", curated.CatalogVersion)}


class Approvals(CatalogHandler):
    """`profiles/{name}/versions/{number}/approvals`."""

    @operation(
        "Approve or refuse a version",
        _VERSION,
        body=Body(asked.Judgement),
        problems=(409,),
        description=f"{_CURATORS} The digest is that of what was looked at. Its author cannot.",
    )
    async def post(self, name: str, number: str, body: asked.Judgement) -> None:
        """Judge it."""
        desk = await self.acting_desk()
        found = await self.call(desk.judge, name, int(number), body.verdict, body.digest, body.comment)
        self.answer(curated.CatalogVersion.model_validate(found))


class Withdrawal(CatalogHandler):
    """`profiles/{name}/versions/{number}/withdrawal`."""

    @operation(
        "Take a proposal back",
        _VERSION,
        body=Body(asked.Nothing, optional=True),
        problems=(409,),
        description="For its author and for admins.",
    )
    async def post(self, name: str, number: str, body: asked.Nothing) -> None:
        """Withdraw it."""
        del body
        desk = await self.acting_desk()
        self.answer(curated.CatalogVersion.model_validate(await self.call(desk.withdraw, name, int(number))))


class Deprecation(CatalogHandler):
    """`profiles/{name}/versions/{number}/deprecation`."""

    @operation(
        "Say that a version ends",
        _VERSION,
        body=Body(asked.DeprecationOrder),
        problems=(409,),
        description=f"{_CURATORS} Starts warn from now on, and are denied after its removal.",
    )
    async def post(self, name: str, number: str, body: asked.DeprecationOrder) -> None:
        """Deprecate it."""
        desk = await self.acting_desk()
        found = await self.call(desk.deprecate, name, int(number), body.removal, body.successor or "")
        self.answer(curated.CatalogVersion.model_validate(found))


class Sync(CatalogHandler):
    """`catalog/sync`."""

    @operation(
        "Ask the repository of profiles for its newest commit now",
        {200: Answer("How the catalog is now; `source` says what the sync met", curated.CatalogState)},
        body=Body(asked.SyncOrder, optional=True),
        problems=(409,),
        description=f"{_CURATORS} A commit that cannot be taken changes nothing, and approves nothing if it can.",
    )
    async def post(self, body: asked.SyncOrder) -> None:
        """Sync."""
        desk = await self.acting_desk()
        self.answer(curated.CatalogState.model_validate(await self.call(desk.sync, body.rewritten)))


async def groups_of(handler: BaseHandler, desk: Desk, user: str) -> frozenset[str]:
    """Return the groups of a person as the Hub says them now.

    Args:
        handler: Who asks it.
        desk: The caller's, with her groups of now.
        user: The person.

    Raises:
        Forbidden: If she is somebody else, and the caller does not look after the catalog.
        NotFound: If the Hub does not know her.
        Unavailable: If the Hub does not answer.
    """
    if user == desk.person.name:
        return desk.person.groups
    await handler.call(desk.must_read)  # first: who may not ask learns of nobody whether the Hub knows her
    return await handler.context.hub.groups_of(user)


class Explanations(CatalogHandler):
    """`explanations`."""

    @operation(
        "Explain what a person may start, and why not the rest",
        {200: Answer("Each profile with everything that a start of it depends on", curated.ExplanationList)},
        query=asked.ExplanationQuery,
        problems=(404,),
        description=f"About oneself for everybody. About others: {READERS[0].lower()}{READERS[1:]}",
    )
    async def get(self, query: asked.ExplanationQuery) -> None:
        """Explain."""
        desk = await self.acting_desk()
        user = query.user or desk.person.name
        groups = await groups_of(self, desk, user)
        found = await self.call(desk.explain, user, groups, query.profile)
        self.answer(curated.ExplanationList(items=[curated.Explanation.model_validate(one) for one in found]))


def list_exceptions(desk: Desk, query: asked.ExceptionQuery) -> curated.CatalogExceptionList:
    """Return a part of the exceptions.

    Args:
        desk: The caller's.
        query: Which part.

    Raises:
        Forbidden: If she may not look.
        InvalidInput: If the cursor is none of ours.
    """
    found = [curated.CatalogException.model_validate(one) for one in desk.exceptions(ended=query.ended)]
    if query.cursor is not None:
        until, last = read_cursor(_CURSOR, query.cursor, (datetime, str))
        found = [one for one in found if until is not None and (one.until, one.id) > (until, last)]
    items = found[: query.limit]
    more = len(found) > query.limit
    return curated.CatalogExceptionList(
        items=items, next=write_cursor(_CURSOR, items[-1].until, items[-1].id) if more else None
    )


class Exceptions(CatalogHandler):
    """`exceptions`."""

    @operation(
        "List exceptions",
        {200: Answer("Exceptions, those that end first before the others", curated.CatalogExceptionList)},
        query=asked.ExceptionQuery,
        description=READERS,
    )
    async def get(self, query: asked.ExceptionQuery) -> None:
        """List them."""
        self.answer(await self.call(list_exceptions, self.desk, query))

    @operation(
        "Let a profile break a rule until a time",
        {201: Answer("The exception", curated.CatalogException)},
        body=Body(asked.ExceptionOrder),
        description=f"{_CURATORS} For a year at most, and never for oneself.",
    )
    async def post(self, body: asked.ExceptionOrder) -> None:
        """Grant one."""
        desk = await self.acting_desk()
        made = await self.call(desk.grant, body.model_dump())
        self.answer(curated.CatalogException.model_validate(made), 201)


class Revocation(CatalogHandler):
    """`exceptions/{exception_id}/revocation`."""

    @operation(
        "End an exception now",
        {200: Answer("The exception as it is now", curated.CatalogException)},
        body=Body(asked.Reasoned),
        problems=(409,),
        description=_CURATORS,
    )
    async def post(self, exception_id: str, body: asked.Reasoned) -> None:
        """Revoke it."""
        desk = await self.acting_desk()
        found = await self.call(desk.revoke, exception_id, body.reason)
        self.answer(curated.CatalogException.model_validate(found))
