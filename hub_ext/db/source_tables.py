"""The table of repositories that profiles come from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hub_ext.db.base import Base


class ProfilesSource(Base):
    """A repository, the commit of it that is in force, and how the last sync went."""

    __tablename__ = "profiles_sources"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # of address, ref and folder
    commit_id: Mapped[str] = mapped_column(String(64), default="")  # in force; empty: none was ever good
    author: Mapped[str] = mapped_column(String(255), default="")
    committed_at: Mapped[datetime | None]
    content: Mapped[bytes | None] = mapped_column(deferred=True)  # its files, packed
    taken_at: Mapped[datetime | None]
    synced_at: Mapped[datetime | None]  # when the ref was last seen to stand for the commit in force
    tried_at: Mapped[datetime | None]
    fault: Mapped[str] = mapped_column(String(16), default="")  # of the last sync: away | broken | rewritten
    error: Mapped[str] = mapped_column(Text, default="")
    refused: Mapped[str] = mapped_column(String(64), default="")  # the commit that was not taken
    problems: Mapped[list[Any]] = mapped_column(default=list)  # path, line, message
