"""Entitlements: listed, granted, shortened, in files; and who may use a profile, and why."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from dataclasses import replace
from typing import BinaryIO

from tornado.web import HTTPError, stream_request_body

from hub_ext.access.entitlements import Entitlements, Grant, Wanted
from hub_ext.access.owners import may_entitle, may_read_all, must_entitle
from hub_ext.db import tables
from hub_ext.errors import HubExtError, NotFound, StorageFull
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.web.api import access_models as shapes
from hub_ext.web.api.models import PageQuery
from hub_ext.web.api.operation import CSV, Answer, ApiHandler, Body, Method, Raw, operation
from hub_ext.web.api.parsing import require

_GRANTERS = "For the profile's owner and for curators, with a browser session or a token that may act in roles."
_SEEN = "Curators, auditors and admins see all; owners those of their profiles; everybody her own."
_LARGEST_FILE = 512 * 2**20


def given(row: tables.Entitlement) -> shapes.Entitlement:
    """Return an entitlement as the API gives it."""
    fields = {name: getattr(row, name) for name in shapes.Entitlement.model_fields if name != "request"}
    return shapes.Entitlement(**fields, request=row.request_id)


def _wanted(query: shapes.EntitlementFilter) -> Wanted:
    wanted = Wanted(query.profile, query.kind, query.name, query.ended, query.mine)
    if isinstance(query, shapes.EntitlementQuery):
        return replace(wanted, cursor=query.cursor, limit=query.limit)
    return wanted


def list_entitlements(
    entitlements: Entitlements, person: Person, query: shapes.EntitlementQuery
) -> shapes.EntitlementList:
    """Return a part of the entitlements that a person may see.

    Args:
        entitlements: Where they are.
        person: Who asks.
        query: Which.

    Raises:
        InvalidInput: If the cursor is none of ours.
    """
    rows, cursor = entitlements.listing(person, _wanted(query))
    return shapes.EntitlementList(items=[given(row) for row in rows], next=cursor)


class AllEntitlements(ApiHandler):
    """`entitlements`."""

    @operation(
        "List entitlements",
        {200: Answer("Entitlements", shapes.EntitlementList)},
        query=shapes.EntitlementQuery,
        description=_SEEN,
    )
    async def get(self, query: shapes.EntitlementQuery) -> None:
        """List them."""
        self.answer(await self.call(list_entitlements, self.context.entitlements, self.person, query))

    @operation(
        "Let a person or a group use a profile until a time",
        {201: Answer("The entitlement", shapes.Entitlement)},
        body=Body(shapes.EntitlementOrder),
        description=f"{_GRANTERS} Never for oneself.",
    )
    async def post(self, body: shapes.EntitlementOrder) -> None:
        """Grant one."""
        grant = Grant(body.profile, body.kind, body.name, body.until, body.reason)
        row = await self.call(self.context.entitlements.grant, await self.refreshed(), grant)
        self.answer(given(row), 201)


class OneEntitlement(ApiHandler):
    """`entitlements/{entitlement_id}`."""

    @operation("Show an entitlement", {200: Answer("The entitlement", shapes.Entitlement)}, description=_SEEN)
    async def get(self, entitlement_id: str) -> None:
        """Show it."""
        self.answer(given(await self.call(self.context.entitlements.get, self.person, entitlement_id)))


class EntitlementEnd(ApiHandler):
    """`entitlements/{entitlement_id}/end`."""

    @operation(
        "End an entitlement, now or earlier than it would",
        {200: Answer("The entitlement as it is now", shapes.Entitlement)},
        body=Body(shapes.EndOrder),
        problems=(409,),
        description=_GRANTERS,
    )
    async def post(self, entitlement_id: str, body: shapes.EndOrder) -> None:
        """Shorten it."""
        person = await self.refreshed()
        shorten = self.context.entitlements.shorten
        self.answer(given(await self.call(shorten, person, entitlement_id, body.reason, body.until)))


class EntitlementFile(ApiHandler):
    """`entitlements.csv`."""

    @operation(
        "Get entitlements as a file",
        {200: Answer("CSV in UTF-8; no cell is a formula", media=(CSV,))},
        query=shapes.EntitlementFilter,
        description=_SEEN,
    )
    async def get(self, query: shapes.EntitlementFilter) -> None:
        """Send them, as fast as they are read."""
        self.set_header("Content-Type", f"{CSV}; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="entitlements.csv"')
        await self.send_pieces(self.context.transfer.export(self.person, _wanted(query)))


def _once_it_is_read(method: Method) -> Method:
    """Tell a refusal when the body is over: a connection that ends in the middle of it may lose the answer."""

    @functools.wraps(method)
    async def after(self: EntitlementImport, **path: str) -> None:
        if self.refused is not None:
            raise self.refused
        await method(self, **path)

    return after


@stream_request_body
class EntitlementImport(ApiHandler):
    """`entitlements/import`.

    Attributes:
        refused: Why nothing is kept of what is sent.
    """

    refused: Exception | None = None
    _file: BinaryIO | None = None

    @classmethod
    def longest_body(cls, settings: HubExt) -> int:
        """Return the most bytes of a file: a million rows have room."""
        del settings
        return _LARGEST_FILE

    async def prepare(self) -> None:
        """Sign the caller in before anything is kept of what she sends."""
        try:
            await super().prepare()
            if self.request.method == "POST":
                require(self.request, CSV)
                self._file = await asyncio.to_thread(self._make_file)
        except (HubExtError, HTTPError, OSError) as error:
            self.refused = error

    def _make_file(self) -> BinaryIO:
        folder = self.context.settings.state / "cache"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryFile(dir=folder)  # closed in `on_finish`

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the file."""
        if self._file is None or self.refused is not None:
            return
        try:
            self._file.write(chunk)
        except OSError:
            self.refused = StorageFull("There is no space to keep the file while it is read.")

    @_once_it_is_read
    @operation(
        "Import entitlements",
        {200: Answer("All of the file counts now", shapes.ImportResult)},
        body=Raw(CSV, "Columns profile, kind, name, until, reason; a million rows at most."),
        problems=(409, 507),
        description=f"{_GRANTERS} All or nothing; faults name line and column. The same file again changes nothing.",
    )
    async def post(self) -> None:
        """Import the file that was kept."""
        if getattr(self.request, "body_dropped", False):
            raise self.too_large()
        person = await self.refreshed()
        assert self._file is not None  # noqa: S101  # `prepare` made it
        self._file.seek(0)
        found = await self.call(self.context.transfer.load, person, self._file)
        self.answer(shapes.ImportResult(id=found.id, rows=found.rows, added=found.added, unchanged=found.unchanged))

    def on_finish(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()
        super().on_finish()


def profile_access(entitlements: Entitlements, person: Person, name: str, query: PageQuery) -> shapes.ProfileAccess:
    """Return who may use a profile, and why.

    Args:
        entitlements: Where they are.
        person: Who asks.
        name: Name of the profile.
        query: Which part of the entitlements.

    Raises:
        NotFound: If there is no such profile.
        Forbidden: If she does not look after it; that is audited.
        InvalidInput: If the cursor is none of ours.
    """
    catalog = entitlements.catalog.current()
    versions = catalog.versions(name)
    if not versions:
        raise NotFound("There is no such profile.")
    if not may_read_all(person) and not may_entitle(person, catalog, name):
        must_entitle(entitlements.database, person, catalog, name, "access.look")
    groups: dict[str, list[int]] = {}
    for version in versions:
        for group in version.spec.access.groups:
            groups.setdefault(group, []).append(version.version)
    rows, cursor = entitlements.listing(person, Wanted(profile=name, cursor=query.cursor, limit=query.limit))
    about = versions[-1].metadata
    return shapes.ProfileAccess(
        profile=name,
        title=about.title,
        owner=about.owner,
        groups=[shapes.GroupAccess(name=group, versions=numbers) for group, numbers in groups.items()],
        items=[given(row) for row in rows],
        next=cursor,
    )


class AccessOfProfile(ApiHandler):
    """`profiles/{name}/access`."""

    @operation(
        "Say who may use a profile, and why",
        {200: Answer("Its groups, and a part of its entitlements", shapes.ProfileAccess)},
        query=PageQuery,
        description="For the profile's owner, curators, auditors and admins.",
    )
    async def get(self, name: str, query: PageQuery) -> None:
        """Say who."""
        self.answer(await self.call(profile_access, self.context.entitlements, self.person, name, query))
