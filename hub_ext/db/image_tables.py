"""The table of what is known of images."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hub_ext.db.base import Base, Serial
from hub_ext.db.types import now


class ImageVerification(Base):
    """What was found out about an image, from when on, and when it was found so last; nothing else of it changes."""

    __tablename__ = "image_verifications"
    __table_args__ = (Index("ix_image_verifications_image", "image", "outcome", "id"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    image: Mapped[str] = mapped_column(String(400))  # registry, name and digest
    outcome: Mapped[str] = mapped_column(String(16))  # verified | refused | unreachable
    signers: Mapped[dict[str, Any]] = mapped_column(default=dict)  # name of the key → its fingerprint
    sbom: Mapped[str] = mapped_column(String(16), default="")  # cyclonedx | spdx
    sbom_by: Mapped[str] = mapped_column(String(64), default="")  # name of the key
    problems: Mapped[list[Any]] = mapped_column(default=list)
    source: Mapped[str] = mapped_column(String(255), default="")
    by: Mapped[str] = mapped_column("by_name", String(255))  # the service, or who asked for it
    at: Mapped[datetime] = mapped_column(default=now)
    last_at: Mapped[datetime] = mapped_column(default=now)
