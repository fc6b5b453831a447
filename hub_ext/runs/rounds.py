"""One look at everything that is to be run, runs, or has ended, and what follows from it.

Whatever was killed at whatever moment, each look begins from three facts: the row, the lock and the outcome.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session, joinedload

from hub_ext.access.charges import keep_results
from hub_ext.db.session import Database
from hub_ext.db.tables import Lease, Run
from hub_ext.db.types import new_id, now
from hub_ext.errors import HubExtError, StorageFull, StoreAway, Unavailable
from hub_ext.executor.events import FULL
from hub_ext.runs.ending import Verdict, count, judge
from hub_ext.runs.launching import in_words, launch_of
from hub_ext.runs.queue import next_queued
from hub_ext.runs.results import Results, collect
from hub_ext.runs.states import ACTIVE, ENDED, RECONCILER, announce, move
from hub_ext.runs.vault import Vault
from hub_ext.runs.waiting import Gate
from hub_ext.runs.watched import LeaseLost, Watched
from hub_ext.runtimes.base import Alive, Ended, Runtime
from hub_ext.settings import HubExt
from hub_ext.store import Store

LEASE = "reconciler"

_PATIENCE = 30.0  # seconds that an executor has to begin after it was told to go
_UNHEARD = 15.0  # seconds after which a run that was asked to end is ended
_TELL = 0.5  # seconds between two times that the progress of a run is written
_WORTH_TELLING = 1.0  # seconds that a run waits for something until that is written
_ATTEMPTS = 3  # starts of a run whose executor ends before it begins
_STORE_ATTEMPTS = 5
_QUEUED = select(exists(select(Run.id).where(Run.state == "queued")))

log = logging.getLogger(__name__)


class Rounds:
    """Looks, decides, acts. Every write checks that the lease is still ours.

    Args:
        database: Where runs are.
        store: Where notebooks come from and results go.
        vault: Secret values.
        runtime: Executes launches.
        settings: The settings.
        holder: Name of this holder of the lease.
        assets: Address prefix of the scripts that reports use.
        done: Called when a run has ended, in any thread.
        gate: Looks at queued runs before they begin.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        vault: Vault,
        runtime: Runtime,
        settings: HubExt,
        *,
        holder: str,
        assets: str,
        done: Callable[[], None],
        gate: Gate | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._vault = vault
        self._runtime = runtime
        self._settings = settings
        self._holder = holder
        self._assets = assets
        self._done = done
        self._gate = gate
        self._watched: dict[str, Watched] = {}
        self._orphans: set[str] = set()  # launches that no active run had at the last sweep
        self.stop_reason = "the platform was stopped"
        self._enders = ThreadPoolExecutor(2, thread_name_prefix="results")

    def close(self) -> None:
        """End after what is being put away now."""
        self._enders.shutdown(wait=True, cancel_futures=True)

    def sweep(self) -> None:
        """Delete what crashed processes left: folders without an active run, secrets without one."""
        with self._database.read() as session:
            needed = set(session.scalars(select(Run.id).where(Run.state.in_(["queued", *ACTIVE]))))
            launches = set(session.scalars(select(Run.launch_id).where(Run.state.in_(ACTIVE))))
            ended = set(session.scalars(select(Run.id).where(Run.id.in_(self._vault.kept()), Run.state.in_(ENDED))))
        left = [launch_id for launch_id in self._runtime.launches() if launch_id not in launches]
        for launch_id in left:
            # One that lives may be about to hear that its run is over; it has until the next time.
            if launch_id in self._orphans or isinstance(self._runtime.observe(launch_id), Ended):
                self._runtime.end(launch_id, None)
                self._runtime.remove(launch_id)
        self._orphans = set(left)
        self._vault.sweep(needed, ended)

    def look(self, *, start: bool = True) -> bool:
        """Look once.

        Args:
            start: Whether queued runs may be started.

        Returns:
            Whether anything is active, so that it is worth looking again soon.
        """
        with self._database.read() as session:
            active = list(session.scalars(select(Run).where(Run.state.in_(ACTIVE))))
            start = start and bool(session.scalar(_QUEUED))
        for gone in set(self._watched) - {run.id for run in active}:
            del self._watched[gone]
        for run in active:
            self._tend_safely(run)
        free = self._settings.at_once - len(active)
        started = False
        while start and free > 0 and self._start_next():
            started, free = True, free - 1
        return bool(active) or started

    def _fence(self, session: Session) -> None:
        lease = session.scalar(select(Lease).where(Lease.name == LEASE).with_for_update(read=True))
        if lease is None or lease.holder != self._holder or lease.expires_at <= now():
            raise LeaseLost

    def _for_update(self, session: Session, run_id: str) -> Run:
        self._fence(session)
        return session.scalars(_with_version().where(Run.id == run_id).with_for_update(of=Run)).one()

    # Starting

    def _start_next(self) -> bool:
        most = self._runtime.most_of_one
        with self._database.write() as session:
            self._fence(session)
            run_id = next_queued(session, most, self._gate.held_back(session) if self._gate else ())
            if run_id is None:
                return False
            run = self._for_update(session, run_id)
            refusal = self._gate.refusal(session, run) if self._gate else ""
            run.launch_id = new_id("l")
            run.process = {**_lasting(run), "attempt": 1}
            move(session, run, "starting", writer="reconciler", actor=RECONCILER)
            if refusal:
                move(session, run, "failed", writer="reconciler", actor=RECONCILER, reason=refusal)
        if refusal:
            self._vault.delete(run.id)
            return True
        self._watched[run.id] = Watched(since=time.monotonic())
        self._launch(run)
        return True

    def _launch(self, run: Run) -> None:
        """Start the executor of a run whose launch id is committed, commit its process, and let it go."""
        watched = self._watched[run.id]
        try:
            launch = launch_of(
                run, self._store, self._vault, self._settings, assets=self._assets, fonts=self._runtime.fonts
            )
            started = self._runtime.start(launch)
        except StoreAway as error:
            self._waits_for_store(run, error)
            return
        except HubExtError as error:
            self._could_not_start(run, error.detail, final=not isinstance(error, Unavailable | StorageFull))
            return
        except OSError as error:
            full = error.errno in FULL
            what = "there was no space left on the disk" if full else f"its process cannot be made ({error.errno})"
            self._could_not_start(run, what, final=False)
            return
        except Exception as error:
            log.exception("run %s could not be started", run.id)
            self._could_not_start(run, f"unexpected {type(error).__name__}", final=False)
            return
        attempt = (run.process or {}).get("attempt", 1)
        try:
            with self._database.write() as session:
                row = self._for_update(session, run.id)
                if row.cancel_requested_at is None:
                    row.process = {**_lasting(row), **started.process, "attempt": attempt}
        except BaseException:
            started.drop()
            raise
        if row.cancel_requested_at is None:
            watched.ours = True
            started.go(launch.secrets)
        else:
            started.drop()

    def _waits_for_store(self, run: Run, error: StoreAway) -> None:
        """Let a run wait for the store: it was in no way the cause, and nothing of it has run."""
        watched = self._watched[run.id]
        watched.later()
        log.warning("run %s waits for the store", run.id)
        with self._database.write() as session:
            row = self._for_update(session, run.id)
            if row.state in ACTIVE and row.reason != error.detail:
                row.reason = error.detail
                announce(session, row)

    def _could_not_start(self, run: Run, why: str, *, final: bool) -> None:
        watched = self._watched[run.id]
        watched.later()
        log.warning("run %s could not be started: %s", run.id, why)
        if final or watched.failures >= _STORE_ATTEMPTS:
            self._end(run, Verdict("failed", f"it could not be started: {why}"), Results())

    def _start_again(self, run: Run, ended: Ended) -> None:
        """Start a run anew whose executor never began: a crash came between its process and the word to go."""
        watched = self._watched[run.id]
        attempt = (run.process or {}).get("attempt", 1) + (1 if watched.ours else 0)
        if attempt > _ATTEMPTS:
            self._end(run, Verdict("failed", f"it could not be started: {ended.reason or ended.words}"), Results())
            return
        old = run.launch_id
        with self._database.write() as session:
            row = self._for_update(session, run.id)
            row.launch_id = new_id("l")
            row.process = {**_lasting(row), "attempt": attempt}
            move(session, row, "starting", writer="reconciler", actor=RECONCILER)
        self._watched[run.id] = Watched(since=time.monotonic(), failures=watched.failures)
        self._runtime.remove(str(old))
        self._launch(row)

    # Watching

    def _tend_safely(self, run: Run) -> None:
        """Tend to a run; one that cannot be tended to does not keep us from the others."""
        watched = self._watched.setdefault(run.id, Watched(since=time.monotonic()))
        try:
            self._tend(run, watched)
        except LeaseLost:
            raise
        except Exception:
            log.exception("run %s could not be tended to; it is tried again", run.id)
            watched.later()

    def _tend(self, run: Run, watched: Watched) -> None:
        if watched.ending or time.monotonic() < watched.again_at:
            return
        state = self._runtime.observe(str(run.launch_id), run.process)
        if isinstance(state, Ended):
            self._tend_ended(run, watched, state)
            return
        self._read_progress(run, watched, begun=state.begun)
        if not state.begun:
            self._tell_waiting(run, watched, state.waiting)
        if run.cancel_requested_at is not None:
            self._cancel(run, watched, state)
        elif run.started_at is None and time.monotonic() - watched.since > _PATIENCE and not state.begun:
            self._runtime.end(str(run.launch_id), run.process)
        elif run.started_at is not None and not state.begun:
            watched.ended_for = "the folder of its launch was deleted while it ran, so it was ended"
            self._runtime.end(str(run.launch_id), run.process)
        elif run.started_at is not None:
            self._end_overdue(run, watched, state)

    def _tend_ended(self, run: Run, watched: Watched, state: Ended) -> None:
        over = state.begun or state.outcome is not None or state.final
        if over or run.state == "running" or run.cancel_requested_at is not None:
            watched.ending = True
            self._enders.submit(self._finish, run, watched, state)
        else:
            self._start_again(run, state)

    def _read_progress(self, run: Run, watched: Watched, *, begun: bool) -> None:
        for offset, event in self._runtime.folder(str(run.launch_id)).read_events(watched.offset):
            watched.offset = offset
            if event["type"] == "run_started":
                watched.done, watched.total = 0, count(event.get("cells")) or 0
            elif event["type"] == "cell_finished":
                watched.done += 1
        begins = begun and run.state == "starting"
        changed = (watched.done, watched.total or run.cells_total) != (run.cells_done, run.cells_total)
        if begins or (changed and time.monotonic() - watched.told >= _TELL):
            watched.told = time.monotonic()
            with self._database.write() as session:
                row = self._for_update(session, run.id)
                row.cells_done, row.cells_total = watched.done, watched.total or row.cells_total
                if begins:
                    move(session, row, "running", writer="reconciler", actor=RECONCILER)
                else:
                    announce(session, row)

    def _tell_waiting(self, run: Run, watched: Watched, words: str) -> None:
        """Write down what a run waits for before it begins, unless that is over in a moment."""
        at = time.monotonic()
        if words:
            watched.since = at
        if words != watched.waits:
            watched.waits, watched.waits_since = words, at
        if words != run.reason and at - watched.waits_since >= _WORTH_TELLING and run.cancel_requested_at is None:
            with self._database.write() as session:
                row = self._for_update(session, run.id)
                row.reason = words
                announce(session, row)

    def _cancel(self, run: Run, watched: Watched, state: Alive) -> None:
        launch_id, at = str(run.launch_id), time.monotonic()
        if watched.cancelled_at is None:
            watched.cancelled_at = at
            if state.begun:
                self._runtime.cancel(launch_id, run.process)
            else:
                self._runtime.end(launch_id, run.process)
        elif at - watched.cancelled_at > _UNHEARD:
            self._runtime.end(launch_id, run.process)

    def _end_overdue(self, run: Run, watched: Watched, state: Alive) -> None:
        """End what should have ended itself; the time of day is asked only where nothing better counts."""
        minutes = run.spec.get("lifetime", {}).get("maximum", 0)
        lasted = state.age
        if lasted is None and run.started_at is not None:
            lasted = (now() - run.started_at).total_seconds()
        if lasted is not None and minutes and lasted > minutes * 60 + state.spare:
            watched.ended_for = f"ran longer than its limit of {in_words(minutes)}"
            self._runtime.end(str(run.launch_id), run.process)

    # Ending

    def _finish(self, run: Run, watched: Watched, state: Ended) -> None:
        """Put away what a run left, and commit how it ended. Runs in a thread of its own; any error is tried again."""
        try:
            launch_id = str(run.launch_id)
            if state.outcome is None:
                self._runtime.end(launch_id, run.process)
            verdict = judge(state, cancelled=self._cancelled(run), ended_for=watched.ended_for)
            results = self._collect(run, watched)
            self._end(run, verdict, results)
        except LeaseLost:
            watched.ending = False
        except Exception:
            log.exception("the end of run %s could not be written; it is tried again", run.id)
            watched.later()
            watched.ending = False
        else:
            self._done()

    def _cancelled(self, run: Run) -> str | None:
        if run.cancel_requested_at is None:
            return None
        return "cancelled" if run.cancelled_by else self.stop_reason

    def _collect(self, run: Run, watched: Watched) -> Results:
        try:
            return collect(
                self._store, self._runtime.folder(str(run.launch_id)), run.id, self._settings.artifacts_limit
            )
        except StorageFull:
            if watched.failures < _STORE_ATTEMPTS:
                raise
            log.exception("the results of run %s are given up", run.id)
            self._store.delete(f"runs/{run.id}")
            return Results(left_out="there was no space left for its results")

    def _end(self, run: Run, verdict: Verdict, results: Results) -> None:
        with self._database.write() as session:
            row = self._for_update(session, run.id)
            if row.state not in ACTIVE:
                return
            if row.state == "starting" and verdict.state not in ("failed", "cancelled"):
                move(session, row, "running", writer="reconciler", actor=RECONCILER)
            if verdict.cells_done is not None:
                row.cells_done = verdict.cells_done
            row.cells_total = verdict.cells_total or row.cells_total
            row.error = verdict.error
            row.report, row.output_notebook, row.picture = results.report, results.notebook, results.picture
            row.artifacts = results.artifacts
            keep_results(session, row.id, row.caller, sum(int(one["size"]) for one in results.artifacts))
            reason = "; ".join(part for part in (verdict.reason, results.left_out) if part)
            actor = row.cancelled_by if verdict.state == "cancelled" and row.cancelled_by else RECONCILER
            move(session, row, verdict.state, writer="reconciler", actor=actor, reason=reason)
        self._vault.delete(run.id)
        self._runtime.remove(str(run.launch_id))


def _lasting(run: Run) -> dict[str, Any]:
    """Return what of `Run.process` is true for all launches of a run: what its order found (`RunService`)."""
    return {name: value for name, value in (run.process or {}).items() if name == "around"}


def _with_version() -> Select[Run]:
    return select(Run).options(joinedload(Run.version), joinedload(Run.workflow), joinedload(Run.decision))
