"""What every spawner of ours does, wherever its servers run: ask for a decision, obey, and write down what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Any, TypeVar

from jupyterhub import orm
from jupyterhub.spawner import Spawner, SpawnException
from tornado.ioloop import IOLoop, PeriodicCallback
from traitlets import Unicode

from hub_ext.access.looking import look
from hub_ext.catalog.decide import Decision
from hub_ext.catalog.models import Profile, Spec
from hub_ext.db.types import new_id
from hub_ext.errors import Denied, HubExtError, InvalidInput, Problem, Unavailable
from hub_ext.kubernetes.render import Rendering
from hub_ext.settings import HubExt
from hub_ext.signin.sweep import look_after_people
from hub_ext.spawner import ended, form
from hub_ext.spawner.guard import Refused, refuse_what_changes_servers
from hub_ext.spawner.ledger import THREADS, Asked, Ledger, Outcome
from hub_ext.spawner.progress import Progress, usually
from hub_ext.spawner.tokens import Clients, number_of

_T = TypeVar("_T")
_FIRST_SETTLE = 2.0  # seconds until a Hub looks for the first time for starts that nobody stands behind
_FIRST_GUESS = 4.0  # seconds that a boot takes where none was seen yet
_read: list[tuple[Any, HubExt]] = []  # the last configuration, and what it says
_NO_LINKS = "A link cannot start a server: choose below and press Start."


class StartFailed(Exception):
    """A server that was allowed did not come up.

    Args:
        why: What happened, in words for the person who waits.
        advice: What to try, and whom to ask.
        status: HTTP status of it: 409 where something of hers is in the way.
    """

    def __init__(self, why: str, advice: str, status: int = 500) -> None:
        super().__init__(why)
        self.why = why
        self.advice = advice
        self.status = status


def refusal(message: str, *, status: int, reason: str, problems: list[Problem] | None = None) -> SpawnException:
    """Return an error that JupyterHub shows as it is, and that never counts towards its failure limit.

    Args:
        message: For the person who asked.
        status: HTTP status.
        reason: One word for the metrics.
        problems: The fields at fault.
    """
    error = SpawnException(message, reason=reason, status_code=status)
    error.jupyterhub_message = message
    error.problems = problems or []
    return error


class DecidedSpawner(Spawner):
    """A spawner that starts what was decided and nothing else. Subclasses say how (`launch`, `withdraw`)."""

    ended_by = ""  # who asked for the end; set by the request's handler
    ended_why = ""  # why our service did; set likewise
    lasts = 0.0  # seconds of its life after which the server is ended; 0 for no limit
    extensions = 0  # how many more hours its person may keep it for
    start_id = ""  # the start that this server stands for
    spec: Spec | None = None
    rendering: Rendering | None = None  # the objects that were judged
    token_id: int | None = None  # number of the server's own token: after a restart the Hub knows no more of it
    settle_every = 60.0  # seconds between two looks for starts that nobody stands behind

    # Of JupyterHub's class, which has no types.
    oauth_client_id: str
    group_overrides: dict[str, Any]

    client_suffix = Unicode(help="Appended to the name of the server's OAuth client, and so of its cookie.").tag(
        config=True
    )

    _settling: PeriodicCallback | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.oauth_client_id = f"{self.oauth_client_id}{self.client_suffix}"
        self.settings_of_ours = _settings_of(self.config)
        self.ledger = Ledger.shared(self.settings_of_ours)
        self.progress_of_start = Progress()
        self.options_form = _form_of
        self.options_from_form = self._parse_form
        # Nothing may change a server besides the decision; `configure` refuses these settings, and here they are void.
        self.apply_user_options = _nothing
        self.group_overrides = {}
        self.pre_spawn_hook = self.auth_state_hook = None
        if self.user is not None:  # JupyterHub 6.1 replaces one that failed twice over, and looks at the wrong one
            self.user.spawners.setdefault(self.name, self)
            if DecidedSpawner._settling is None:
                self._settle_from_now_on()
                Clients(self.user.settings.get("oauth_provider")).take_over()
                look_after_people(self.authenticator)

    # What a subclass does.

    async def launch(self, profile: Profile, spec: Spec) -> str:
        """Start the server and return its address when it answers.

        Args:
            profile: What was decided on.
            spec: What exactly the server is.

        Raises:
            StartFailed: If it does not come up.
        """
        raise NotImplementedError(profile, spec)

    async def withdraw(self) -> None:
        """End whatever a start that failed or was cancelled has left, at once."""
        raise NotImplementedError

    async def poll(self) -> int | None:
        """Return None while the server runs or starts, else an exit status (0 for one that was never made)."""
        raise NotImplementedError

    async def stop(self, now: bool = False) -> None:
        """End the server; nothing happens for one that was never made."""
        raise NotImplementedError(now)

    # What JupyterHub calls.

    def _parse_form(self, data: dict[str, list[str]]) -> dict[str, Any]:
        try:
            return form.parse(data, self.ledger.catalog)
        except InvalidInput as error:
            form.remember_problems(error.problems)
            raise refusal(error.detail, status=400, reason="input", problems=error.problems) from None

    def options_from_query(self, query_data: dict[str, list[str]]) -> dict[str, Any]:  # noqa: ARG002
        """Refuse: a link that starts a server is a cross-site start.

        Raises:
            SpawnException: Always; the page then shows the form with this sentence.
        """
        raise refusal(_NO_LINKS, status=400, reason="link")

    async def start(self) -> str:
        """Decide, start what was decided, and return its address when it answers.

        Raises:
            SpawnException: If it is denied (403), cannot be decided now (503), or does not come up (500).
        """
        self._refuse_changed_settings()
        self.ended_by, self.ended_why, self.start_id = "", "", new_id("s")
        ended.remember(self.user.name, self.name, "")
        try:
            decision = await self._decide()
            assert decision.profile is not None  # noqa: S101  # an allowed decision has both
            assert decision.spec is not None  # noqa: S101
            self.spec, self.rendering = decision.spec, decision.rendering
            self.lasts = decision.spec.lifetime.maximum * 60.0
            self.extensions = decision.spec.lifetime.extensions
            address = await self.launch(decision.profile, decision.spec)
        except asyncio.CancelledError:
            await self._cancelled()
            raise
        except StartFailed as error:
            await self._failed_with(error.why)
            raise refusal(f"{error.why} {error.advice}".strip(), status=error.status, reason="failed") from None
        except SpawnException:
            self.start_id = ""
            raise
        except Exception:
            await self._failed_with("An unexpected error; the log of the Hub has it.")
            raise
        self.write_down(Outcome(self.start_id, "ready"))
        return address

    def progress(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what the person who waits is told; whoever calls closes it."""
        return self.progress_of_start.follow()

    async def form(self) -> str:
        """Return the start page's cards; while the database is away, without what it says of her."""
        groups = tuple(group.name for group in self.user.groups)
        viewer = self.handler.current_user if self.handler else None
        try:
            found = await self.in_thread(look, self.ledger.decisions, self.user.name, groups)
        except Unavailable:
            found = None
        return form.render(self, found, own=viewer is not None and viewer.name == self.user.name)

    # The decision.

    def _refuse_changed_settings(self) -> None:
        """Refuse what came after the configuration file, on the command line."""
        try:
            refuse_what_changes_servers(self.config, self.settings_of_ours.runtime)
        except Refused as error:
            raise refusal(str(error), status=503, reason="settings") from None

    async def _decide(self) -> Decision:
        self.progress_of_start.tell(5, "Checking what you may use")
        asker = self.handler.current_user.name if self.handler and self.handler.current_user else self.user.name
        groups = tuple(group.name for group in self.user.groups)
        asked = Asked(self.start_id, asker, self.user.name, self.name, self.user_options, groups)
        try:
            decision = await self._opened(asked)
            if not decision.allowed:
                raise decision.error()
        except (InvalidInput, Denied) as error:
            await self._denied(error)
            raise refusal(_sentence(error), status=403, reason="denied", problems=error.problems) from None
        except HubExtError as error:
            raise refusal(_sentence(error), status=503, reason="undecided") from None
        form.forget()
        return decision

    async def _opened(self, asked: Asked) -> Decision:
        """Return the decision; who waits behind many others waits for as long as those are decided in time."""
        answer = self.ledger.opening.ask(asked)
        try:
            while True:
                try:
                    return await self._in_time(asyncio.shield(answer))
                except Unavailable:
                    if answer.done():
                        return answer.result()
                    if not self.ledger.opening.moves(float(self.settings_of_ours.decision_timeout)):
                        raise
        finally:
            answer.cancel()

    async def in_thread(self, call: Callable[..., _T], *arguments: Any) -> _T:
        """Call something that waits for the database, in a thread and not for longer than the settings say.

        Raises:
            Unavailable: If it takes longer.
        """
        return await self._in_time(asyncio.get_running_loop().run_in_executor(THREADS, call, *arguments))

    async def _in_time(self, answer: Awaitable[_T]) -> _T:
        """Return an answer that comes within the time of a decision, or in a turn of the loop that is longer than that.

        Where very many start at once there are such turns, and `asyncio.timeout` would see the clock first.
        """
        timeout = float(self.settings_of_ours.decision_timeout)
        coming = asyncio.ensure_future(answer)
        try:
            await asyncio.wait({coming}, timeout=timeout)
            if coming.done():
                return coming.result()
        finally:
            coming.cancel()
        message = f"It could not be decided within {timeout:g} seconds, so nothing was started."
        raise Unavailable(message, hint="Try again in a moment.")

    async def _denied(self, error: HubExtError) -> None:
        """Put back the options that were allowed last: what is stored is used again by a start that brings none."""
        form.remember_problems(error.problems)
        try:
            previous = await self.in_thread(self.ledger.last_allowed, self.user.name, self.name)
        except Unavailable:
            previous = None
        self.orm_spawner.user_options = previous
        self.user_options = previous or {}

    async def tell_launch(self, profile: Profile) -> None:
        """Say that the server boots now, and how long that takes here."""
        try:
            typical = await self.in_thread(self.ledger.typical_seconds, profile.name)
        except Unavailable:
            typical = None
        self.progress_of_start.tell(20, f"Starting {profile.metadata.title}: {usually(typical)}")
        self.progress_of_start.booting(typical or _FIRST_GUESS)

    @property
    def sharing_service(self) -> Any:
        """The sharing service as the Hub knows it, None where it knows no such service."""
        return (self.user.settings.get("services") or {}).get(self.settings_of_ours.service_name)

    @property
    def service_prefix(self) -> str:
        """Path of the sharing service, where a server asks when it ends; empty where the Hub knows no such service."""
        return str(getattr(self.sharing_service, "prefix", "") or "")

    # Outcomes.

    def words_of_end(self) -> str:
        """Return why a server that somebody stopped is no more."""
        return self.ended_why or (f"Stopped by {self.ended_by}." if self.ended_by else "Stopped.")

    async def is_overdue(self, lived: float) -> bool:
        """Return whether a server's time is over; while nobody knows how long it was kept for, it is not.

        Args:
            lived: Seconds that it has run, by its process or pod: a clock that is set forward ends nobody's work.
        """
        if not self.lasts or lived <= self.lasts:
            return False
        if not self.extensions or lived > self.lasts + self.extensions * 3600:
            return True
        try:
            kept = await self.in_thread(self.ledger.kept, self.start_id)
        except Unavailable:
            return False
        return lived > self.lasts + kept * 3600

    def write_down(self, outcome: Outcome) -> Awaitable[bool]:
        """Write an outcome into our database, in a thread; nobody has to wait for it."""
        self.ledger.will_close(outcome)
        return self.ledger.closing.ask(outcome)

    async def _cancelled(self) -> None:
        who = "you" if self.ended_by == self.user.name else self.ended_by
        words = f"Cancelled by {who}" if who else "Cancelled"
        self.progress_of_start.tell(100, words)
        # JupyterHub calls a server ready that is not pending and has an address; for a moment this one is neither.
        self.server = None
        self.user.db.commit()
        await asyncio.shield(self.withdraw())
        self.finish(Outcome(self.start_id, "cancelled", f"{words}.", self.ended_by))

    async def _failed_with(self, why: str) -> None:
        await self.withdraw()
        self.finish(Outcome(self.start_id, "failed", why))

    def finish(self, outcome: Outcome) -> None:
        """Write down that the server is no more; the second time for the same start does nothing."""
        if outcome.start_id and outcome.start_id == self.start_id:
            self.start_id = ""
            self.write_down(outcome)
            if outcome.outcome == "stopped" and not outcome.actor:
                ended.remember(self.user.name, self.name, outcome.reason)

    # The server's own token.

    def remember_token(self) -> None:
        """Keep the number of the server's token, to take it back."""
        self.token_id = number_of(self.user.db, self.user.orm_user, self.api_token)

    def revoke_token(self) -> None:
        """Take the server's token back also where an earlier Hub made it (this one knows only its number)."""
        if self.token_id is None:
            return
        token = self.user.db.get(orm.APIToken, self.token_id)
        if token is not None and token.user is self.user.orm_user:
            self.user.db.delete(token)
            self.user.db.commit()
        self.token_id = None

    async def put_away(self, alive: Collection[str]) -> None:
        """End what is left of starts that nobody stands behind; called now and then.

        Args:
            alive: Identifiers of all starts that a server or a pending start stands behind now.
        """

    def _known(self) -> set[str]:
        """Return the starts that this Hub knows."""
        users = self.user.settings.get("users", {})
        return {one.start_id for user in users.values() for one in user.spawners.values() if one.start_id}

    def _alive(self) -> set[str]:
        """Return the starts that this Hub knows, or that an earlier one saved and this one has not looked at yet."""
        saved = self.user.db.query(orm.Spawner).filter(orm.Spawner.server_id.is_not(None))
        return self._known() | {str(one.state["start"]) for one in saved if one.state and one.state.get("start")}

    def _settle_from_now_on(self) -> None:
        async def settle() -> None:
            alive = self._alive()
            await asyncio.get_running_loop().run_in_executor(THREADS, self.ledger.settle, alive)
            await self.put_away(alive)

        DecidedSpawner._settling = PeriodicCallback(settle, self.settle_every * 1000)
        DecidedSpawner._settling.start()
        IOLoop.current().call_later(_FIRST_SETTLE, settle)  # an earlier Hub may have ended in the middle of many starts


def _settings_of(config: Any) -> HubExt:
    """Return our settings; they are read once for the one configuration that all spawners of a Hub share."""
    if not _read or _read[0][0] is not config:
        _read[:] = [(config, HubExt(config=config))]
    return _read[0][1]


async def _form_of(spawner: DecidedSpawner) -> str:
    return await spawner.form()


def _nothing(spawner: Spawner, user_options: dict[str, Any]) -> None:
    """Do nothing with options: they were decided on in `start`."""


def _sentence(error: HubExtError) -> str:
    return f"{error.detail} {error.hint}".strip()
