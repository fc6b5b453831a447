"""Orders, cancels and shows runs. Checks everything first; what it writes, it writes in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from hub_ext import audit
from hub_ext.catalog.decide import Decision, Request
from hub_ext.db.session import Database
from hub_ext.db.tables import IdempotencyKey, Run, Version, Workflow
from hub_ext.db.types import new_id, now
from hub_ext.decisions import DecisionPoint, parse_request
from hub_ext.errors import Conflict, Forbidden, InvalidInput, NotFound
from hub_ext.people import Person
from hub_ext.runs.states import ENDED, STATES, announce, move
from hub_ext.runs.vault import Vault
from hub_ext.settings import HubExt
from hub_ext.sharing.access import may_edit, visible_to
from hub_ext.sharing.cursors import read_cursor, write_cursor
from hub_ext.sharing.parameters import split_secrets, validate
from hub_ext.store import Store

_KIND = "runs"


@dataclass(frozen=True)
class Order:
    """What somebody wants to be run.

    Attributes:
        parameters: Values of parameters, secrets among them.
        version: Number of the workflow's version; None for the latest.
        profile: Name of a profile; None for the version's own.
        options: Chosen options of the profile.
        again_of: Id of the run that this one repeats with other values.
    """

    parameters: Mapping[str, Any] = field(repr=False)
    version: int | None = None
    profile: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    again_of: str | None = None


@dataclass(frozen=True)
class Claim:
    """An `Idempotency-Key` and what was asked under it.

    Attributes:
        key: The key, as it was sent.
        request: SHA-256 of the request, in hexadecimal.
    """

    key: str
    request: str


@dataclass(frozen=True)
class CreatedRun:
    """The run that an order led to.

    Attributes:
        run: The run.
        created: Whether this order made it; else an earlier one with the same key did.
    """

    run: Run
    created: bool


class RunService:
    """Orders, cancels and shows runs.

    Args:
        database: Where runs are.
        store: Where their results are.
        decisions: Decides who may run what.
        vault: Keeps secret values.
        settings: The settings.
        notify: Called after a change that the reconciler should see at once; may be called in any thread.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        decisions: DecisionPoint,
        vault: Vault,
        settings: HubExt,
        notify: Callable[[], None] = lambda: None,
    ) -> None:
        self.database = database
        self.store = store
        self.decisions = decisions
        self.vault = vault
        self.settings = settings
        self.notify = notify

    def create(self, person: Person, workflow_id: str, order: Order, *, claim: Claim | None = None) -> CreatedRun:
        """Check an order and queue its run.

        Args:
            person: Who asks, and whose run it will be. That she may see the workflow has been checked.
            workflow_id: The workflow.
            order: What to run.
            claim: Makes a retry safe: the same key and request give the same run.

        Raises:
            InvalidInput: If a value, the version or the start cannot be accepted.
            Denied: If she may not use the profile so; that is recorded.
            NotFound: If there is no such workflow.
            Conflict: If the key was used for another request.
            StorageFull: If there is no space.
            Unavailable: If a part does not answer.
        """
        with self.database.read() as session:
            earlier = self._claimed(session, person, claim)
            if earlier is not None:
                return CreatedRun(earlier, created=False)
            version = self._version(session, workflow_id, order.version)
            self._check_again_of(session, person, order)
        public, secrets = split_secrets(version.schema, validate(version.schema, order.parameters))
        chosen = {"profile": order.profile or version.profile, "options": dict(order.options)}
        request = parse_request(person.name, "run", chosen)
        run = _new_run(person, version, order, public, sorted(secrets))
        if secrets:
            self.vault.put(run.id, secrets)
        found = None
        try:
            found = self._commit(person, run, request, claim)
        finally:
            if secrets and (found is None or not found.created):
                self.vault.delete(run.id)
        if found.created:
            self.notify()
        return found

    def _commit(self, person: Person, run: Run, request: Request, claim: Claim | None) -> CreatedRun:
        try:
            with self.database.write() as session:
                earlier = self._claimed(session, person, claim)
                if earlier is not None:
                    return CreatedRun(earlier, created=False)
                decision = self._decide(session, person, run, request)
                if decision.allowed:
                    session.add(run)
                    session.flush()
                    move(session, run, "queued", writer="service", actor=person.name)
                    if claim is not None:
                        key = IdempotencyKey(user=person.name, key=claim.key, request=claim.request, object_id=run.id)
                        session.add(key)
        except IntegrityError:
            with self.database.read() as session:
                earlier = self._claimed(session, person, claim)
            if earlier is None:
                raise
            return CreatedRun(earlier, created=False)
        if not decision.allowed:
            raise decision.error()
        with self.database.read() as session:
            return CreatedRun(session.scalars(_loaded().where(Run.id == run.id)).one(), created=True)

    def _decide(self, session: Session, person: Person, run: Run, request: Request) -> Decision:
        decision, run.decision_id = self.decisions.decide(session, request, person.groups, run.workflow_id, run.id)
        run.profile = request.profile
        run.options = dict(decision.values)
        if decision.spec is not None and decision.profile is not None:
            run.profile_version = decision.profile.version
            run.spec = decision.spec.model_dump(mode="json", by_alias=True)
        if decision.rendering is not None and self.settings.runtime == "kubernetes":
            run.process = {"around": list(decision.rendering.around)}  # it follows from her groups, known here alone
        return decision

    def _claimed(self, session: Session, person: Person, claim: Claim | None) -> Run | None:
        if claim is None:
            return None
        key = session.get(IdempotencyKey, (person.name, claim.key))
        if key is None:
            return None
        if key.request != claim.request:
            raise Conflict(
                "This Idempotency-Key was used for another request.", hint="Use a new key for each new request."
            )
        return session.scalars(_loaded().where(Run.id == key.object_id)).one_or_none()

    def _version(self, session: Session, workflow_id: str, number: int | None) -> Version:
        workflow = session.get(Workflow, workflow_id)
        if workflow is None:
            raise NotFound("There is no such workflow.")
        query = select(Version).where(Version.workflow_id == workflow_id)
        version = session.scalar(query.where(Version.number == (workflow.latest if number is None else number)))
        if version is None:
            raise InvalidInput.of("version", f"there is no version {number}; the latest is {workflow.latest}")
        return version

    def _check_again_of(self, session: Session, person: Person, order: Order) -> None:
        if order.again_of is None:
            return
        try:
            self.get(session, person, order.again_of)
        except NotFound:
            raise InvalidInput.of("again_of", "is not a run that you can see") from None

    def get(self, session: Session, person: Person, run_id: str) -> Run:
        """Return a run that a person may see: her own, or the example that a workflow she sees shows.

        Raises:
            NotFound: If there is none, or she may not see it.
        """
        is_example = and_(Workflow.example_run_id == Run.id, visible_to(person))
        query = _loaded().join(Workflow, Workflow.id == Run.workflow_id)
        run = session.scalars(query.where(Run.id == run_id, or_(Run.caller == person.name, is_example))).one_or_none()
        if run is None:
            raise NotFound("There is no such run.")
        return run

    def listing(
        self,
        session: Session,
        person: Person,
        *,
        workflow_id: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 25,
    ) -> tuple[list[Run], str | None]:
        """Return a page of a person's own runs, the newest first, and the cursor of the next page.

        Args:
            session: A transaction.
            person: Whose runs.
            workflow_id: Of this workflow alone.
            state: In this state alone.
            cursor: As the page before gave it.
            limit: Most runs of the page.

        Raises:
            InvalidInput: If the state or the cursor is none.
        """
        query = _loaded().where(Run.caller == person.name)
        if workflow_id is not None:
            query = query.where(Run.workflow_id == workflow_id)
        if state is not None:
            if state not in STATES:
                raise InvalidInput.of("state", f"must be one of {', '.join(STATES)}")
            query = query.where(Run.state == state)
        if cursor is not None:
            from datetime import datetime

            at, last = read_cursor(_KIND, cursor, (datetime, str))
            query = query.where(or_(Run.created_at < at, and_(Run.created_at == at, Run.id < last)))
        runs = list(session.scalars(query.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit + 1)))
        more = len(runs) > limit
        runs = runs[:limit]
        return runs, write_cursor(_KIND, runs[-1].created_at, runs[-1].id) if more else None

    def cancel(self, person: Person, run_id: str) -> Run:
        """Cancel a run. One that waits ends at once, one that runs is asked to; asking again changes nothing.

        Raises:
            NotFound: If she may not see it.
            Forbidden: If she sees it and it is not hers.
            Conflict: If it has ended already.
        """
        with self.database.write() as session:
            run = self._own(session, person, run_id)
            if run.state in ENDED:
                raise Conflict(f"This run has ended already: it {_ended_words(run.state)}.")
            if run.cancel_requested_at is None:
                run.cancel_requested_at, run.cancelled_by = now(), person.name
                audit.record(session, person.name, "run.cancel", ("run", run.id), detail={"state": run.state})
                if run.state == "queued":
                    reason = "cancelled before it started"
                    move(session, run, "cancelled", writer="service", actor=person.name, reason=reason)
                else:
                    announce(session, run)
        if run.state in ENDED:
            self.vault.delete(run.id)
        self.notify()
        return run

    def _own(self, session: Session, person: Person, run_id: str) -> Run:
        run = session.scalars(_loaded().where(Run.id == run_id).with_for_update(of=Run)).one_or_none()
        if run is not None and run.caller == person.name:
            return run
        self.get(session, person, run_id)
        raise Forbidden("This is somebody else's run.")

    def set_example(self, person: Person, run_id: str, on: bool) -> None:  # the two are one switch
        """Show a run on the page of its workflow, to everybody who sees that, or show it no more.

        Raises:
            NotFound: If she may not see the run.
            Forbidden: If the run or the workflow is not hers.
            Conflict: If the run did not succeed.
        """
        with self.database.write() as session:
            run = self._own(session, person, run_id)
            workflow = run.workflow
            if not may_edit(person, workflow):
                raise Forbidden("Only the owner of a workflow chooses its example.")
            if on and run.state != "succeeded":
                raise Conflict("Only a run that succeeded can be the example of its workflow.")
            if not on and workflow.example_run_id != run.id:
                return
            workflow.example_run_id = run.id if on else None
            if on and workflow.picture is None:
                workflow.picture = run.picture
            action = "workflow.show_example" if on else "workflow.hide_example"
            subject = f"{workflow.owner}/{workflow.name}"
            audit.record(session, person.name, action, ("workflow", subject), detail={"run": run.id})


def _new_run(person: Person, version: Version, order: Order, public: dict[str, Any], secret_names: list[str]) -> Run:
    return Run(
        id=new_id("r"),
        workflow_id=version.workflow_id,
        version_id=version.id,
        caller=person.name,
        state="",
        parameters=public,
        secret_names=secret_names,
        cells_total=version.cells,
        again_of=order.again_of,
    )


def _loaded() -> Select[Run]:
    return select(Run).options(joinedload(Run.workflow), joinedload(Run.version))


def _ended_words(state: str) -> str:
    return {"cancelled": "was cancelled", "lost": "was lost"}.get(state, state)
