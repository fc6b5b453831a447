"""What the API gives, and what lists are asked with. `openapi.json` is made from these shapes and from `asked.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Item = TypeVar("Item")
State = Literal["queued", "starting", "running", "succeeded", "failed", "cancelled", "lost"]
Limit = Annotated[int, Field(ge=1, le=100)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Taken(BaseModel):
    """Base of what is taken: nothing that is not known is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Taken):
    """A part of a list."""

    limit: Limit = 30
    cursor: Cursor | None = None


class Given(BaseModel):
    """Base of what is given."""

    model_config = ConfigDict(frozen=True)


class Fault(Given):
    """What is wrong with one field."""

    field: str
    message: str
    line: int | None = None


class Problem(Given):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    hint: str | None = None
    errors: list[Fault] | None = None


class Page(Given, Generic[Item]):
    """A part of a list; `next` is the cursor of the following part."""

    items: list[Item]
    next: str | None = None


class Health(Given):
    """How often runs succeeded, over 30 days; cancelled ones do not count."""

    succeeded: int
    ended: int


class WorkflowItem(Given):
    """A workflow in a list."""

    owner: str
    name: str
    version: int = Field(description="Number of the newest version.")
    title: str
    description: str
    tags: list[str]
    visibility: Literal["private", "groups", "everyone"]
    verified: bool
    favourite: bool
    health: Health
    picture: bool = Field(description="Whether there is a picture to show.")
    updated_at: datetime
    last_run_at: datetime | None


class Tag(Given):
    """A tag, and how many of the workflows found have it."""

    tag: str
    count: int


class WorkflowList(Page[WorkflowItem]):
    """Workflows that the caller may see."""

    total: int
    tags: list[Tag]


class Finding(Given):
    """What an author should know about a notebook."""

    message: str
    fix: str = ""
    line: int | None = None


class VersionItem(Given):
    """A version in a list."""

    version: int
    author: str
    message: str
    profile: str
    digest: str
    verified: bool
    created_at: datetime


class VersionList(Page[VersionItem]):
    """Versions of a workflow."""

    total: int


class Version(VersionItem):
    """A version of a workflow."""

    owner: str
    name: str
    cells: int = Field(description="How many code cells it has.")
    parameters_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the parameters.")
    findings: list[Finding]


class Workflow(WorkflowItem):
    """A workflow, with its newest version."""

    groups: list[str] = Field(description="Who sees it, for the visibility `groups`; told to who may edit it.")
    may_edit: bool
    example_run: str | None
    author: str
    message: str
    profile: str
    cells: int
    parameters_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of the parameters.")
    findings: list[Finding]
    created_at: datetime


class Published(Given):
    """What publishing led to."""

    id: str
    owner: str
    name: str
    version: int
    created: bool


class Inspection(Given):
    """What a notebook would be as a workflow."""

    name: str
    title: str
    description: str
    tags: list[str]
    profile: str | None
    parameters_schema: dict[str, Any] = Field(alias="schema")
    findings: list[Finding]


class RunOf(Given):
    """Which workflow a run is of."""

    owner: str
    name: str
    version: int
    title: str


class RunItem(Given):
    """A run in a list."""

    id: str
    state: State
    workflow: RunOf
    caller: str
    cells_total: int
    cells_done: int
    reason: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class RunList(Page[RunItem]):
    """Runs, the newest first."""


class RunError(Given):
    """The error that ended a run."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = ""
    message: str = ""
    cell: int | None = None


class Run(RunItem):
    """A run."""

    parameters: dict[str, Any]
    secret_names: list[str]
    profile: str
    profile_version: int | None
    options: dict[str, Any]
    error: RunError | None
    report: bool
    notebook: bool
    picture: bool
    artifacts: int = Field(description="How many files it left.")
    cancel_requested_at: datetime | None
    cancelled_by: str | None
    again_of: str | None
    example: bool = Field(description="Whether the author shows it as the example.")


class Artifact(Given):
    """A file that a run left."""

    path: str
    size: int
    type: str = ""


class ArtifactList(Page[Artifact]):
    """Files that a run left."""


class ProfileOption(Given):
    """A choice that a person has."""

    title: str
    type: str
    choices: list[str | int | float | bool] | None = None
    minimum: str | int | float | None = None
    maximum: str | int | float | None = None
    default: str | int | float | bool
    description: str = ""


class ProfileItem(Given):
    """A profile, as it is for the caller."""

    name: str
    version: int
    title: str
    owner: str
    tags: list[str]
    description: str
    image: str
    resources: dict[str, Any]
    lifetime: dict[str, Any] = Field(description="Minutes.")
    options: dict[str, ProfileOption]
    usable: bool
    reason: str = Field(description="Why the caller may not use it.")
    ask: str = Field(description="Whom to ask for it.")


class ProfileList(Page[ProfileItem]):
    """Profiles, those that the caller may use first."""


class Profile(ProfileItem):
    """A profile with its versions."""

    digest: str
    versions: list[int]
    spec: dict[str, Any] = Field(description="All that a server or run of it may be.")


class Subject(Given):
    """An object that somebody acted on."""

    type: str
    id: str


class Act(Given):
    """Who did what to which object."""

    id: int
    sequence: int | None
    at: datetime
    actor: str
    action: str
    object: Subject
    outcome: str
    detail: dict[str, Any]
    digest: str | None


class AuditQuery(PageQuery):
    """Which acts."""

    actor: str | None = Field(default=None, max_length=255)
    action: str | None = Field(default=None, max_length=64, description="`run.create`, or `run` for all about runs.")
    object: str | None = Field(default=None, max_length=440, description="`type:id`, or `type`.")
    outcome: Literal["allowed", "denied", "failed"] | None = None
    since: AwareDatetime | None = Field(default=None, description="RFC 3339, with its zone.")
    until: AwareDatetime | None = Field(default=None, description="RFC 3339, with its zone.")


class ActList(Page[Act]):
    """Acts, the newest first."""


class Verdict(Given):
    """Whether the record of acts is as it was written."""

    intact: bool
    checked: int
    unsealed: int
    broken_at: int | None


class Part(Given):
    """One part of the service."""

    name: str
    ok: bool
    detail: str = ""
    full: bool = Field(default=False, description="No space is left for it: what only reads goes on.")


class HealthQuery(Taken):
    """What is asked of the service."""

    serving: bool = Field(
        default=False,
        description="Whether to send requests here: 200 also where space is missing, since pages say so.",
    )


class ServiceHealth(Given):
    """Whether the service works."""

    status: Literal["ok", "unavailable"]
    version: str
    parts: list[Part]
