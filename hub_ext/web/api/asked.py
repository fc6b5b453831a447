"""What the API takes: bodies and queries. `openapi.json` is made from them, and from `models.py`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from hub_ext.catalog.documents import LARGEST
from hub_ext.governance.rights import LONGEST_WORDS
from hub_ext.sharing.fields import LONGEST_DESCRIPTION, LONGEST_TITLE, MOST_GROUPS, MOST_TAGS
from hub_ext.sharing.publishing import LONGEST_MESSAGE
from hub_ext.web.api.models import Cursor, Limit, PageQuery, State, Taken


def _notebook_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    msg = "must be a notebook: its JSON as an object or as text, or its file in a multipart form"
    raise ValueError(msg)


Notebook = Annotated[
    bytes,
    BeforeValidator(_notebook_bytes),
    WithJsonSchema(
        {
            "description": "The notebook: its JSON as an object or as text; in a form, its file.",
            "oneOf": [{"type": "object"}, {"type": "string", "contentMediaType": "application/x-ipynb+json"}],
        }
    ),
]

# The limits are said here and checked in `hub_ext/sharing`, whose words are better than a model's.
Name = Annotated[str, Field(json_schema_extra={"pattern": "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"})]
Title = Annotated[str, Field(json_schema_extra={"maxLength": LONGEST_TITLE})]
Text = Annotated[str, Field(json_schema_extra={"maxLength": LONGEST_DESCRIPTION})]
Message = Annotated[str, Field(json_schema_extra={"maxLength": LONGEST_MESSAGE})]
Tags = Annotated[list[str], Field(description=f"At most {MOST_TAGS} that differ.")]
Groups = Annotated[list[str], Field(description=f"At most {MOST_GROUPS} that differ.")]


class Draft(Taken):
    """A notebook to publish. What is left out stays as it is, or comes from the notebook."""

    name: Name
    notebook: Notebook
    profile: str | None = None
    visibility: Literal["private", "groups", "everyone"] | None = None
    groups: Groups | None = None
    title: Title | None = None
    description: Text | None = None
    tags: Tags | None = None
    message: Message = ""
    owner: str | None = None


class Upload(Taken):
    """A notebook to look at."""

    notebook: Notebook


class WorkflowChange(Taken):
    """What shall be different about a workflow; what is left out stays as it is."""

    title: Title | None = None
    description: Text | None = None
    tags: Tags | None = None
    visibility: Literal["private", "groups", "everyone"] | None = None
    groups: Groups | None = None


class RunOrder(Taken):
    """What to run."""

    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Values by name, as the version's schema says."
    )
    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="Left out: the newest.")
    profile: str | None = Field(default=None, description="Another profile than the version's.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the profile.")
    again_of: str | None = Field(default=None, description="The run that this one repeats.")


class WorkflowQuery(Taken):
    """Which workflows."""

    q: str = Field(default="", description="Words that title, name, owner, tags or description hold.")
    tag: str | None = None
    owner: str | None = None
    favourite: bool = Field(default=False, description="Only the caller's favourites.")
    sort: Literal["updated", "used", "title"] = "updated"
    limit: Limit = 30
    cursor: Cursor | None = None


class RunQuery(PageQuery):
    """Which runs of the caller."""

    state: State | None = None


class NotebookQuery(Taken):
    """How a notebook is given."""

    format: Literal["ipynb", "html"] = Field(default="ipynb", description="The file, or a page that shows it.")


class FollowQuery(Taken):
    """From where a stream goes on."""

    cursor: Cursor | None = Field(default=None, description="Id of the last event seen, as `Last-Event-ID`.")


class EventsQuery(FollowQuery):
    """What to hear of."""

    topics: str = Field(
        default="runs,workflows",
        max_length=2000,
        description="Names with commas between: `runs` (the caller's), `workflows`, `run:<id>`; for who looks after "
        "the catalog, `profiles` and `exceptions`.",
    )


# --- the catalog -----------------------------------------------------------------------------------------------------

Words = Annotated[str, Field(json_schema_extra={"maxLength": LONGEST_WORDS})]
ProfileFile = Annotated[
    str, Field(json_schema_extra={"maxLength": LARGEST}, description="The text of a profile file (YAML).")
]
Named = Annotated[str, Field(min_length=1, max_length=255)]
Number = Annotated[int, Field(ge=1, le=999_999_999)]
When = Annotated[str, Field(max_length=64, description="A date, or a time with its zone (ISO 8601).")]


class VersionsQuery(PageQuery):
    """Which part of the versions."""


class VersionQuery(Taken):
    """How a version is looked at."""

    against: Number | None = Field(default=None, description="The version to compare it with; left out: the usual one.")


class ProfileText(Taken):
    """A profile file to look at."""

    content: ProfileFile


class Proposal(ProfileText):
    """A version to propose."""

    message: Words = Field(default="", description="The author's words to who approves it.")


class Judgement(Taken):
    """What somebody says to a version."""

    verdict: Literal["approve", "refuse"]
    digest: str = Field(max_length=80, description="Of what was looked at.")
    comment: Words = Field(default="", description="Needed with a refusal.")


class Nothing(Taken):
    """Nothing more to say."""


class SyncOrder(Taken):
    """How the repository of profiles is asked."""

    rewritten: str = Field(
        default="",
        max_length=64,
        description="The commit that is taken also if it is not made on top of the one in force.",
    )


class DeprecationOrder(Taken):
    """How a version ends."""

    removal: When
    successor: str | None = Field(default=None, max_length=80, description="`name@number` of what to use in its place.")


class RenderingOrder(Taken):
    """A start that is looked at and not made."""

    options: dict[str, Any] = Field(default_factory=dict, description="Options of the profile.")
    user: Named = "somebody"
    purpose: Literal["server", "run"] = "server"
    server: str = Field(default="", max_length=255, description="Name of the server.")


class ExplanationQuery(Taken):
    """About whom, and which profile."""

    user: Named | None = Field(default=None, description="Left out: the caller.")
    profile: Named | None = Field(default=None, description="Left out: all of them.")


class ExceptionQuery(PageQuery):
    """Which exceptions."""

    ended: bool = Field(default=False, description="Also those that are over.")


class ExceptionOrder(Taken):
    """An exception to grant."""

    profile: Named
    rule: Named
    reason: Words
    until: When
    users: list[str] = Field(default=[], max_length=100, description="For whom; with no groups either, for everybody.")
    groups: list[str] = Field(default=[], max_length=100, description="For whose members.")
    owner: str = Field(default="", max_length=255, description="Who answers for it; left out: the caller.")


class Reasoned(Taken):
    """Why."""

    reason: Words
