"""What the API takes and gives about access: entitlements, requests, who may use what and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from hub_ext.errors import InvalidInput
from hub_ext.governance.rights import LONGEST_WORDS
from hub_ext.governance.shapes import read_time
from hub_ext.web.api.models import Cursor, Given, Limit, Page, PageQuery, Taken

Kind = Literal["person", "group"]
RequestState = Literal["waiting", "granted", "refused", "withdrawn"]
Named = Annotated[str, Field(min_length=1, max_length=255)]
Words = Annotated[str, Field(json_schema_extra={"maxLength": LONGEST_WORDS})]


def _time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return read_time("", value)
    except InvalidInput as error:
        raise ValueError(error.problems[0].message) from None


Until = Annotated[
    AwareDatetime, BeforeValidator(_time), Field(description="A time with its zone (RFC 3339), or a date (UTC).")
]


# --- taken -----------------------------------------------------------------------------------------------------------


class EntitlementFilter(Taken):
    """Which entitlements."""

    profile: Named | None = None
    kind: Kind | None = None
    name: Named | None = Field(default=None, description="Of the person or the group.")
    ended: bool = Field(default=False, description="Those that are over, in place of those that are not.")
    mine: bool = Field(default=False, description="Only the caller's own.")


class EntitlementQuery(EntitlementFilter):
    """Which entitlements, in parts."""

    limit: Limit = 30
    cursor: Cursor | None = None


class EntitlementOrder(Taken):
    """An entitlement to grant."""

    profile: Named
    kind: Kind
    name: Named = Field(description="Of the person or the group.")
    until: Until
    reason: Words


class EndOrder(Taken):
    """How an entitlement ends earlier."""

    reason: Words
    until: Until | None = Field(default=None, description="Left out: now.")


class AccessRequestQuery(PageQuery):
    """Which requests."""

    state: RequestState | None = None
    profile: Named | None = None
    user: Named | None = None
    mine: bool = Field(default=False, description="Only the caller's own.")
    answerable: bool = Field(default=False, description="Only those that the caller may answer.")


class AccessRequestOrder(Taken):
    """What somebody asks for."""

    profile: Named
    reason: Words
    until: Until | None = Field(default=None, description="Until when it is needed; left out: as the owner thinks.")


class RequestAnswer(Taken):
    """What is said to a request."""

    verdict: Literal["grant", "refuse"]
    until: Until | None = Field(default=None, description="For a grant: when it ends.")
    words: Words = Field(default="", description="For the one who asked; needed with a refusal.")


# --- given -----------------------------------------------------------------------------------------------------------


class Entitlement(Given):
    """A person or a group may use a profile until a time."""

    id: str
    profile: str
    kind: Kind
    name: str
    until: datetime
    granted_until: datetime = Field(description="As it was granted; `until` is earlier when it was shortened.")
    reason: str
    granted_by: str
    granted_at: datetime
    request: str | None = Field(description="Id of the request that it answers.")
    shortened_by: str | None
    shortened_at: datetime | None
    shortened_why: str


class EntitlementList(Page[Entitlement]):
    """Entitlements: the next to end first; of those that are over, the last that ended."""


class ImportResult(Given):
    """What a file of entitlements led to."""

    id: str = Field(description="Empty when nothing was new.")
    rows: int
    added: int
    unchanged: int = Field(description="How many there were already, until then or longer.")


class AccessRequest(Given):
    """Somebody asks to use a profile."""

    id: str
    user: str
    profile: str
    reason: str
    wanted_until: datetime | None
    state: RequestState
    asked_at: datetime
    answered_by: str | None
    answered_at: datetime | None
    answer: str
    entitlement: str | None = Field(description="Id of what was granted.")


class AccessRequestList(Page[AccessRequest]):
    """Requests: of those that wait the oldest first, else the newest."""


class GroupAccess(Given):
    """A group that a profile itself names."""

    name: str
    versions: list[int] = Field(description="Versions that name it, of those that can be started.")


class ProfileAccess(Page[Entitlement]):
    """Who may use a profile, and why: its groups, and a part of its entitlements."""

    profile: str
    title: str
    owner: str = Field(description="A person, or a group whose members act for it.")
    groups: list[GroupAccess]
