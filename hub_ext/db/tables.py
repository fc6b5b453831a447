"""The tables. A change here needs a migration (`hub_ext/db/migrations`); `make check` compares the two."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub_ext.db.access_tables import AccessRequest, Entitlement, EntitlementImport
from hub_ext.db.account_tables import Account, LeftHome, ProviderSession, UsedOnce
from hub_ext.db.base import Base, Serial
from hub_ext.db.budget_tables import Budget, BudgetCharge, BudgetHolder, BudgetMeter
from hub_ext.db.image_tables import ImageVerification
from hub_ext.db.source_tables import ProfilesSource
from hub_ext.db.state_tables import PlatformState
from hub_ext.db.types import new_id, now

__all__ = [  # what is not made here
    "AccessRequest",
    "Account",
    "Base",
    "Budget",
    "BudgetCharge",
    "BudgetHolder",
    "BudgetMeter",
    "Entitlement",
    "EntitlementImport",
    "ImageVerification",
    "LeftHome",
    "PlatformState",
    "ProfilesSource",
    "ProviderSession",
    "UsedOnce",
]


class Workflow(Base):
    """A notebook that others can run, under an owner's name."""

    __tablename__ = "workflows"
    __table_args__ = (
        UniqueConstraint("owner", "name"),
        # One for each order of the gallery; `visibility` first, so that a page costs the same among 100 and 10,000.
        Index("ix_workflows_listing", "visibility", "updated_at", "id"),
        Index("ix_workflows_used", "visibility", "last_run_at", "id"),
        Index("ix_workflows_title", "visibility", "title_key", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("w"))
    owner: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    visibility: Mapped[str] = mapped_column(String(16), default="private")  # private | groups | everyone
    title_key: Mapped[str] = mapped_column(String(200), default="", server_default="")  # folded, to sort by
    search: Mapped[str] = mapped_column(Text, default="")  # folded title, name, owner, tags, description
    latest: Mapped[int] = mapped_column(default=0)
    picture: Mapped[str | None] = mapped_column(String(128))  # key in the result store
    example_run_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    last_run_at: Mapped[datetime | None]

    versions: Mapped[list[Version]] = relationship(back_populates="workflow", order_by="Version.number.desc()")
    groups: Mapped[list[WorkflowGroup]] = relationship(cascade="all, delete-orphan")


class WorkflowGroup(Base):
    """A group that may see and run a workflow."""

    __tablename__ = "workflow_groups"

    workflow_id: Mapped[str] = mapped_column(ForeignKey("workflows.id"), primary_key=True)
    group: Mapped[str] = mapped_column("group_name", String(255), primary_key=True, index=True)


class WorkflowTag(Base):
    """A tag of a workflow, for the filter of the gallery.

    It repeats the workflow's visibility, so that the tags of what everybody sees are counted from one index.
    """

    __tablename__ = "workflow_tags"
    __table_args__ = (Index("ix_workflow_tags_visible", "visibility", "tag"),)

    workflow_id: Mapped[str] = mapped_column(ForeignKey("workflows.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    visibility: Mapped[str] = mapped_column(String(16), default="private", server_default="private")


class Favourite(Base):
    """A workflow that a person keeps at hand."""

    __tablename__ = "favourites"

    user: Mapped[str] = mapped_column("user_name", String(255), primary_key=True)
    workflow_id: Mapped[str] = mapped_column(ForeignKey("workflows.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Version(Base):
    """One immutable content of a workflow."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("workflow_id", "number"), UniqueConstraint("workflow_id", "digest"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("v"))
    workflow_id: Mapped[str] = mapped_column(ForeignKey("workflows.id"))
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(String(80))
    author: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(Text, default="")
    profile: Mapped[str] = mapped_column(String(64))
    schema: Mapped[dict[str, Any]] = mapped_column("parameters_schema")
    findings: Mapped[list[Any]] = mapped_column(default=list)
    cells: Mapped[int] = mapped_column(default=0)  # code cells
    notebook: Mapped[str] = mapped_column(String(128))  # key in the result store
    verified_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    workflow: Mapped[Workflow] = relationship(back_populates="versions")


class Run(Base):
    """One execution of a version, for the person who asked. States: see `hub_ext/runs/states.py`."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_caller", "caller", "created_at"),
        Index("ix_runs_workflow_ended", "workflow_id", "ended_at", "state"),
        Index("ix_runs_workflow_caller", "workflow_id", "caller", "created_at"),
        Index("ix_runs_state", "state", "created_at"),
        Index("ix_runs_ended", "ended_at", "state"),
        Index("ix_runs_profile", "profile", "profile_version", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("r"))
    workflow_id: Mapped[str] = mapped_column(ForeignKey("workflows.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    caller: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)  # without secrets
    secret_names: Mapped[list[Any]] = mapped_column(default=list)
    profile: Mapped[str] = mapped_column(String(64))
    profile_version: Mapped[int | None]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    spec: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the decision resolved to
    decision_id: Mapped[str | None] = mapped_column(String(32))
    launch_id: Mapped[str | None] = mapped_column(String(32), unique=True)
    process: Mapped[dict[str, Any] | None]  # {"pid", "started"}: what the runtime needs to find it again
    cells_total: Mapped[int] = mapped_column(default=0)
    cells_done: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(Text, default="")  # why it ended as it did, or what it waits for, in words
    error: Mapped[dict[str, Any] | None]  # {"name", "message", "cell", "traceback"}
    report: Mapped[str | None] = mapped_column(String(160))  # keys in the result store
    output_notebook: Mapped[str | None] = mapped_column(String(160))
    picture: Mapped[str | None] = mapped_column(String(160))
    artifacts: Mapped[list[Any]] = mapped_column(default=list)  # [{"path", "size", "type"}]
    cancel_requested_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    again_of: Mapped[str | None] = mapped_column(String(32))

    workflow: Mapped[Workflow] = relationship()
    version: Mapped[Version] = relationship()
    decision: Mapped[DecisionRow | None] = relationship(
        primaryjoin="foreign(Run.decision_id) == DecisionRow.id", viewonly=True
    )


class IdempotencyKey(Base):
    """What a request with an `Idempotency-Key` led to, so that a retry gets the same."""

    __tablename__ = "idempotency_keys"

    user: Mapped[str] = mapped_column("user_name", String(255), primary_key=True)
    key: Mapped[str] = mapped_column("idempotency_key", String(255), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))  # SHA-256 of method, path and body
    object_id: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class DecisionRow(Base):
    """A decision as it was taken."""

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_user", "user_name", "purpose", "object_id", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("d"))
    at: Mapped[datetime] = mapped_column(default=now)
    user: Mapped[str] = mapped_column("user_name", String(255))
    purpose: Mapped[str] = mapped_column(String(16))  # server | run
    object_id: Mapped[str] = mapped_column(String(255))  # name of the server, or workflow of the run
    request: Mapped[dict[str, Any]]
    allowed: Mapped[bool]
    reasons: Mapped[list[Any]] = mapped_column(default=list)
    spec: Mapped[dict[str, Any] | None]
    profile: Mapped[str] = mapped_column(String(255), default="")
    profile_version: Mapped[int | None]
    profile_digest: Mapped[str | None] = mapped_column(String(80))
    snapshot: Mapped[str] = mapped_column(String(80))
    image: Mapped[str] = mapped_column(String(400), default="", server_default="")  # registry, name and digest
    warnings: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    exceptions: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")  # ids of those it needed
    entitlement_id: Mapped[str | None] = mapped_column(String(32))  # that it needed; None where a group sufficed


class ProfileVersion(Base):
    """A version of a profile that a curator proposed, and what became of it. Its content never changes."""

    __tablename__ = "profile_versions"
    __table_args__ = (UniqueConstraint("name", "number"), Index("ix_profile_versions_state", "state"))

    digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    content: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(255))  # empty for one that ships
    author_subject: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default="proposed")  # proposed | approved | deprecated | withdrawn
    proposed_at: Mapped[datetime] = mapped_column(default=now)
    approved_at: Mapped[datetime | None]
    deprecated_at: Mapped[datetime | None]
    successor: Mapped[str] = mapped_column(String(80), default="")  # name@number
    removal_at: Mapped[datetime | None]  # when a deprecated one can be started no more

    approvals: Mapped[list[Approval]] = relationship(order_by="Approval.id")


class Approval(Base):
    """What one person says to a version; the last word of each counts, and the record of acts has all of them."""

    __tablename__ = "approvals"
    __table_args__ = (UniqueConstraint("digest", "approver_subject"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(ForeignKey("profile_versions.digest"))
    approver: Mapped[str] = mapped_column(String(255))
    approver_subject: Mapped[str] = mapped_column(String(255))
    verdict: Mapped[str] = mapped_column(String(16))  # approve | refuse
    comment: Mapped[str] = mapped_column(Text, default="")
    images: Mapped[dict[str, Any]] = mapped_column(default=dict)  # name → registry, name and digest, as seen then
    at: Mapped[datetime] = mapped_column(default=now)


class PolicyException(Base):
    """A rule that a profile need not meet, for some people, until a time."""

    __tablename__ = "policy_exceptions"
    __table_args__ = (Index("ix_policy_exceptions_profile", "profile", "until"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("e"))
    profile: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(64))
    users: Mapped[list[Any]] = mapped_column(default=list)
    groups: Mapped[list[Any]] = mapped_column("group_names", default=list)
    reason: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(String(255))  # who answers for it
    until: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=now)
    revoked_by: Mapped[str | None] = mapped_column(String(255))
    revoked_at: Mapped[datetime | None]


class CatalogState(Base):
    """What all processes agree on (one row): how often the catalog was changed here, and the latest time they saw."""

    __tablename__ = "catalog_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(default=0)
    clock: Mapped[datetime]


class Snapshot(Base):
    """A catalog that a decision looked at, by digest: versions by digest, rules and enclave in full."""

    __tablename__ = "snapshots"

    digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    content: Mapped[dict[str, Any]]
    enclave: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    commit_id: Mapped[str] = mapped_column(String(64), default="", server_default="")  # the first that led to it


class ServerStart(Base):
    """One start of a notebook server: asked, then ready, failed or cancelled."""

    __tablename__ = "server_starts"
    __table_args__ = (
        Index("ix_server_starts_profile", "profile", "asked_at"),
        Index("ix_server_starts_outcome", "outcome", "profile"),
        Index("ix_server_starts_asked", "asked_at", "outcome"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("s"))
    user: Mapped[str] = mapped_column("user_name", String(255), index=True)
    server: Mapped[str] = mapped_column(String(255), default="")
    decision_id: Mapped[str | None] = mapped_column(String(32))
    profile: Mapped[str] = mapped_column(String(64))
    profile_version: Mapped[int]
    outcome: Mapped[str] = mapped_column(
        String(16), default="starting"
    )  # starting | ready | failed | cancelled | stopped
    reason: Mapped[str] = mapped_column(Text, default="")
    asked_at: Mapped[datetime] = mapped_column(default=now)
    ready_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    kept: Mapped[int] = mapped_column(default=0, server_default="0")  # hours past its usual end
    must_end_at: Mapped[datetime | None]  # it runs by no right any more, and is stopped then
    must_end_why: Mapped[str] = mapped_column(Text, default="", server_default="")


class AuditRow(Base):
    """Who did what to which object. Appended only; sealed into a hash chain afterwards (`hub_ext/audit.py`)."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_actor", "actor", "id"),
        Index("ix_audit_object", "object_type", "object_id", "id"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    sequence: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))  # subject.verb: run.create, workflow.publish, server.start
    object_type: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(400))
    outcome: Mapped[str] = mapped_column(String(16))  # allowed | denied | failed
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    digest: Mapped[str | None] = mapped_column(String(64))


class Change(Base):
    """Something that pages which are open should hear of."""

    __tablename__ = "changes"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    sequence: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    topic: Mapped[str] = mapped_column(String(400))  # run:<id> | runs:<user> | workflows
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Lease(Base):
    """A job that one process at a time does (reconciler, sealer)."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(128))
    expires_at: Mapped[datetime]
