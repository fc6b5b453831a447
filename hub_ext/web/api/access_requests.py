"""Requests for access: asked, listed, answered, taken back."""

from __future__ import annotations

from hub_ext.access.requests import AccessRequests, Answer, Wanted, check_may_ask
from hub_ext.db import tables
from hub_ext.people import Person
from hub_ext.web.api import access_models as shapes
from hub_ext.web.api import asked
from hub_ext.web.api.operation import Answer as Gives
from hub_ext.web.api.operation import ApiHandler, Body, operation

_ANSWERERS = "For the profile's owner and for curators, with a browser session or a token that may act in roles."
_SEEN = "Everybody sees her own; owners those for their profiles; curators, auditors and admins all."
_ONE = {200: Gives("The request as it is now", shapes.AccessRequest)}


def given(row: tables.AccessRequest) -> shapes.AccessRequest:
    """Return a request as the API gives it."""
    fields = {name: getattr(row, name) for name in shapes.AccessRequest.model_fields if name != "entitlement"}
    return shapes.AccessRequest(**fields, entitlement=row.entitlement_id)


def list_requests(
    requests: AccessRequests, person: Person, query: shapes.AccessRequestQuery
) -> shapes.AccessRequestList:
    """Return a part of the requests that a person may see.

    Args:
        requests: Where they are.
        person: Who asks.
        query: Which.

    Raises:
        InvalidInput: If the cursor is none of ours.
    """
    wanted = Wanted(query.state, query.profile, query.user, query.mine, query.answerable, query.cursor, query.limit)
    rows, cursor = requests.listing(person, wanted)
    return shapes.AccessRequestList(items=[given(row) for row in rows], next=cursor)


class AllRequests(ApiHandler):
    """`access-requests`."""

    @operation(
        "List requests for access",
        {200: Gives("Requests", shapes.AccessRequestList)},
        query=shapes.AccessRequestQuery,
        description=_SEEN,
    )
    async def get(self, query: shapes.AccessRequestQuery) -> None:
        """List them."""
        self.answer(await self.call(list_requests, self.context.access_requests, self.person, query))

    @operation(
        "Ask for access to a profile",
        {
            200: Gives("The request that waits already", shapes.AccessRequest),
            201: Gives("The request", shapes.AccessRequest),
        },
        body=Body(shapes.AccessRequestOrder),
        problems=(409,),
        description="For everybody, with a browser session or a token of one's own.",
    )
    async def post(self, body: shapes.AccessRequestOrder) -> None:
        """Ask."""
        person = await self.refreshed()
        check_may_ask(person)
        row, created = await self.call(self.context.access_requests.ask, person, body.profile, body.reason, body.until)
        self.answer(given(row), 201 if created else 200)


class OneRequest(ApiHandler):
    """`access-requests/{request_id}`."""

    @operation("Show a request for access", {200: Gives("The request", shapes.AccessRequest)}, description=_SEEN)
    async def get(self, request_id: str) -> None:
        """Show it."""
        self.answer(given(await self.call(self.context.access_requests.get, self.person, request_id)))


class RequestAnswer(ApiHandler):
    """`access-requests/{request_id}/answer`."""

    @operation(
        "Answer a request for access",
        _ONE,
        body=Body(shapes.RequestAnswer),
        problems=(409,),
        description=f"{_ANSWERERS} One answer holds; whoever comes later is told which (409).",
    )
    async def post(self, request_id: str, body: shapes.RequestAnswer) -> None:
        """Grant or refuse it."""
        person = await self.refreshed()
        answer = Answer(body.verdict, body.until, body.words)
        self.answer(given(await self.call(self.context.access_requests.answer, person, request_id, answer)))


class RequestWithdrawal(ApiHandler):
    """`access-requests/{request_id}/withdrawal`."""

    @operation(
        "Take a request for access back",
        _ONE,
        body=Body(asked.Nothing, optional=True),
        problems=(409,),
        description="For the one who asked.",
    )
    async def post(self, request_id: str, body: asked.Nothing) -> None:
        """Withdraw it."""
        del body
        check_may_ask(self.person)
        self.answer(given(await self.call(self.context.access_requests.withdraw, self.person, request_id)))
