"""The tables of who may use what: entitlements, their imports, and requests for access."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from hub_ext.db.base import Base
from hub_ext.db.types import new_id, now

_WAITING = text("state = 'waiting'")


class Entitlement(Base):
    """A person or a group may use a profile until a time. Never lengthened: a longer one is a row of its own."""

    __tablename__ = "entitlements"
    __table_args__ = (
        Index("ix_entitlements_holder", "kind", "name", "until"),
        Index("ix_entitlements_profile", "profile", "until", "id"),
        Index("ix_entitlements_until", "until", "id"),
        Index("ix_entitlements_import", "import_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("n"))
    profile: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))  # person | group
    name: Mapped[str] = mapped_column(String(255))
    until: Mapped[datetime]
    granted_until: Mapped[datetime]  # `until` is earlier when it was shortened
    reason: Mapped[str] = mapped_column(Text)
    granted_by: Mapped[str] = mapped_column(String(255))
    granted_at: Mapped[datetime] = mapped_column(default=now)
    request_id: Mapped[str | None] = mapped_column(String(32))
    import_id: Mapped[str | None] = mapped_column(String(32))
    shortened_by: Mapped[str | None] = mapped_column(String(255))
    shortened_at: Mapped[datetime | None]
    shortened_why: Mapped[str] = mapped_column(Text, default="", server_default="")
    reminded_at: Mapped[datetime | None]  # when its end was announced


class EntitlementImport(Base):
    """A file of entitlements: they count once all of them are there (`done_at`), so that a file is all or nothing."""

    __tablename__ = "entitlement_imports"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("i"))
    by: Mapped[str] = mapped_column("by_name", String(255))
    digest: Mapped[str] = mapped_column(String(80))  # of the file
    rows: Mapped[int] = mapped_column("row_count", default=0)
    started_at: Mapped[datetime] = mapped_column(default=now)
    done_at: Mapped[datetime | None]


class AccessRequest(Base):
    """Somebody asks to use a profile. One answer holds."""

    __tablename__ = "access_requests"
    __table_args__ = (
        Index("ix_access_requests_state", "state", "asked_at", "id"),
        Index("ix_access_requests_user", "user_name", "asked_at", "id"),
        # One that waits for each person and profile, however often she presses the button.
        Index(
            "ix_access_requests_one",
            "user_name",
            "profile",
            unique=True,
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: new_id("q"))
    user: Mapped[str] = mapped_column("user_name", String(255))
    profile: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    wanted_until: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(16), default="waiting")  # waiting | granted | refused | withdrawn
    asked_at: Mapped[datetime] = mapped_column(default=now)
    answered_by: Mapped[str | None] = mapped_column(String(255))
    answered_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="", server_default="")
    entitlement_id: Mapped[str | None] = mapped_column(String(32))
