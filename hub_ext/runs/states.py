"""The states of a run, written down once. ``queued → starting → running → succeeded | failed | cancelled | lost``."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.charges import confirm, release
from hub_ext.db.tables import Run, Workflow
from hub_ext.db.types import now

State = Literal["queued", "starting", "running", "succeeded", "failed", "cancelled", "lost"]
Writer = Literal["service", "reconciler"]

STATES: tuple[str, ...] = ("queued", "starting", "running", "succeeded", "failed", "cancelled", "lost")
ACTIVE = frozenset({"starting", "running"})
ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})

RECONCILER = "service:reconciler"

# From, to → who writes it. Nothing else happens. `starting → starting` is a start whose executor never got the word to
# go: nothing has run, so it is started again, under a launch id of its own.
TRANSITIONS: dict[tuple[str, str], Writer] = {
    ("new", "queued"): "service",
    ("queued", "starting"): "reconciler",
    ("queued", "cancelled"): "service",
    ("starting", "starting"): "reconciler",
    ("starting", "running"): "reconciler",
    ("starting", "failed"): "reconciler",
    ("starting", "cancelled"): "reconciler",
    ("running", "succeeded"): "reconciler",
    ("running", "failed"): "reconciler",
    ("running", "cancelled"): "reconciler",
    ("running", "lost"): "reconciler",
}

_VERBS = {"queued": "run.create", "starting": "run.launch", "running": "run.start"}


class IllegalMove(Exception):
    """A transition that the table does not have, or that another writer has: a mistake of ours."""


def summary(run: Run) -> dict[str, Any]:
    """Return what open pages are told about a run: no parameters, no output."""
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "state": run.state,
        "reason": run.reason,
        "cells_done": run.cells_done,
        "cells_total": run.cells_total,
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }


def announce(session: Session, run: Run) -> None:
    """Tell open pages of a run, once it is committed."""
    for topic in (f"run:{run.id}", f"runs:{run.caller}"):
        audit.announce(session, topic, summary(run))


def move(session: Session, run: Run, to: State, *, writer: Writer, actor: str, reason: str = "") -> None:
    """Bring a run into its next state, with its times, its audit row, and a word to open pages.

    Args:
        session: The transaction; the run was read in it, for update.
        run: The run.
        to: Its next state.
        writer: Which part of us asks.
        actor: Who acts, for the audit.
        reason: Why it ended as it did, in words. Until then, `Run.reason` says what it waits for.

    Raises:
        IllegalMove: If the table does not allow it.
    """
    before = run.state or "new"
    if TRANSITIONS.get((before, to)) != writer:
        msg = f"run {run.id}: {before} → {to} by {writer}"
        raise IllegalMove(msg)
    at = now()
    run.state = to
    run.reason = reason if to in ENDED else ""
    if to == "queued":
        workflow = session.get(Workflow, run.workflow_id)
        if workflow is not None:
            workflow.last_run_at = at
    if to == "running":
        run.started_at = at
        confirm(session, run.id, at)
    detail: dict[str, Any] = {"launch": run.launch_id} if run.launch_id else {}
    if to in ENDED:
        run.ended_at = at
        release(session, run.id, at)
        detail |= {"state": to, "reason": reason[:500]}
    if to == "queued":
        detail |= {"workflow": run.workflow_id, "version": run.version_id, "decision": run.decision_id}
    outcome = "failed" if to in ("failed", "lost") else "allowed"
    audit.record(session, actor, _VERBS.get(to, "run.end"), ("run", run.id), outcome=outcome, detail=detail)
    announce(session, run)
