"""The tables of budgets: how much somebody may have, what is in use, and what was used in a month."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from hub_ext.db.base import Base
from hub_ext.db.types import now


class Budget(Base):
    """How much a person, a group together, or everyone (each person) may have; empty: no limit."""

    __tablename__ = "budgets"

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)  # person | group | everyone
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    servers: Mapped[int | None]  # at once
    runs: Mapped[int | None]  # at once, those that wait among them
    cpu_hours: Mapped[float | None] = mapped_column(Float)  # core hours a month
    memory_hours: Mapped[float | None] = mapped_column(Float)  # GiB hours a month
    gpu_hours: Mapped[float | None] = mapped_column(Float)  # a month
    storage: Mapped[int | None] = mapped_column(BigInteger)  # bytes
    soft: Mapped[int] = mapped_column(default=80)  # percent from which a start warns
    reason: Mapped[str] = mapped_column(Text, default="")
    changed_by: Mapped[str] = mapped_column(String(255))
    changed_at: Mapped[datetime] = mapped_column(default=now)


class BudgetHolder(Base):
    """Somebody whose budget is looked at. Whoever reserves locks its row, so that starts that race come one by one."""

    __tablename__ = "budget_holders"

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)  # person | group
    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class BudgetCharge(Base):
    """What a server, a run, a home or kept results take now, of one holder. Gone when they end: then it is metered."""

    __tablename__ = "budget_charges"
    __table_args__ = (Index("ix_budget_charges_holder", "kind", "name"),)

    use: Mapped[str] = mapped_column("use_id", String(300), primary_key=True)  # start, run, home:… or results:…
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)  # person | group
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(8))  # server | run | home | results
    cpu: Mapped[float] = mapped_column(Float, default=0.0)  # cores
    memory: Mapped[float] = mapped_column(Float, default=0.0)  # GiB
    gpu: Mapped[int] = mapped_column(default=0)
    storage: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes
    since: Mapped[float | None] = mapped_column(Float(53))  # seconds since 1970, from which hours count
    expires: Mapped[float | None] = mapped_column(Float(53))  # seconds since 1970: reserved until then


class BudgetMeter(Base):
    """What a holder has used in a month (UTC), of what has ended."""

    __tablename__ = "budget_meters"
    __table_args__ = (Index("ix_budget_meters_month", "month", "kind", "name"),)

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)  # person | group
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)  # 2026-11
    servers: Mapped[int] = mapped_column(default=0)  # that ended in it
    runs: Mapped[int] = mapped_column(default=0)
    cpu: Mapped[float] = mapped_column(Float(53), default=0.0)  # core seconds
    memory: Mapped[float] = mapped_column(Float(53), default=0.0)  # GiB seconds
    gpu: Mapped[float] = mapped_column(Float(53), default=0.0)  # seconds
