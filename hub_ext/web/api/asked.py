"""What the API takes: bodies and queries. `openapi.json` is made from them, and from `models.py`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

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
        description="Names with commas between: `runs` (the caller's), `workflows`, `run:<id>`.",
    )
