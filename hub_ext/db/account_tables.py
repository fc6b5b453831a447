"""The tables of people: which account of the provider a name belongs to, what was taken from whom, and what is left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub_ext.db.base import Base
from hub_ext.db.types import now


class Account(Base):
    """Who a name at the Hub is. A name belongs to one account for ever, also after its person has left."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("issuer", "sub"),)

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(400))  # empty: of no provider, only blocked here
    sub: Mapped[str] = mapped_column(String(255))  # the account at the provider
    subject: Mapped[str] = mapped_column(String(255), index=True)  # the person: two names of one subject are one
    groups: Mapped[list[Any]] = mapped_column(default=list)
    groups_at: Mapped[datetime | None]  # when the provider said so last
    away_since: Mapped[datetime | None]  # since when the provider could not be asked
    signed_in_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]
    blocked_by: Mapped[str] = mapped_column(String(255), default="", server_default="")
    blocked_why: Mapped[str] = mapped_column(Text, default="", server_default="")
    left_at: Mapped[datetime | None]  # when sessions, tokens, servers and runs were taken last
    left_why: Mapped[str] = mapped_column(Text, default="", server_default="")
    gone_at: Mapped[datetime | None]  # since when the provider knows her no more, or lets her in no more


class LeftHome(Base):
    """The home of somebody who left, from then until she is back; of one that was removed, who said so."""

    __tablename__ = "left_homes"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    left_at: Mapped[datetime] = mapped_column(index=True)
    why: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(String(400))  # in words for an admin
    size: Mapped[int | None] = mapped_column(BigInteger)  # bytes, where it could be found out
    state: Mapped[str] = mapped_column(String(16), default="kept", index=True)  # kept | confirmed | removing | removed
    hindrance: Mapped[str] = mapped_column(Text, default="", server_default="")  # why it is not removed yet, or cannot
    identity: Mapped[str] = mapped_column(String(200), default="", server_default="")  # what exactly is being removed
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str] = mapped_column(String(255), default="", server_default="")
    removed_at: Mapped[datetime | None]


class ProviderSession(Base):
    """A session at the provider that somebody signed in from: a logout token may name it alone."""

    __tablename__ = "provider_sessions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of issuer and sid
    name: Mapped[str] = mapped_column(String(255), index=True)
    begun_at: Mapped[datetime] = mapped_column(default=now, index=True)


class UsedOnce(Base):
    """Something that is good once (a sign-in's state, a logout token) and was used."""

    __tablename__ = "used_once"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256
    until: Mapped[datetime] = mapped_column(index=True)  # afterwards it is refused for its age
