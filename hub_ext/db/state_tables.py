"""The table of what is true of the platform as a whole."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hub_ext.db.base import Base


class PlatformState(Base):
    """What all processes agree on (one row): which releases may use the tables, and whether anything may change."""

    __tablename__ = "platform_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    usable_from: Mapped[str] = mapped_column(String(32), default="", server_default="")  # revision, see db/migrate.py
    read_only_since: Mapped[datetime | None]  # None: it is not
    read_only_until: Mapped[datetime | None]  # as it was announced
    read_only_why: Mapped[str] = mapped_column(Text, default="", server_default="")
    read_only_by: Mapped[str] = mapped_column(String(255), default="", server_default="")
