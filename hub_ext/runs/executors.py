"""What executors in pods ask and tell: each about its own launch, while its run is active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from hub_ext.db.session import Database
from hub_ext.db.tables import Run
from hub_ext.errors import Gone, InvalidInput, NotSignedIn, TooLarge
from hub_ext.runs.ending import END_STATES
from hub_ext.runs.launching import launch_of
from hub_ext.runs.mirror import Incoming, Mirror
from hub_ext.runs.states import ACTIVE
from hub_ext.runs.tokens import RunTokens
from hub_ext.runs.vault import Vault
from hub_ext.settings import HubExt
from hub_ext.store import Store

MOST_LISTED = 20_000  # files that an executor may list
LONGEST_MESSAGE = 16 * 2**20  # bytes of a message that is no file

_OTHER_EVENTS = 16 * 2**20  # bytes of events beyond output: a few for each cell
_LARGEST_LOG = 2**20
_LARGEST_PICTURE = 8 * 2**20


@dataclass(frozen=True)
class Seat:
    """A launch that may report.

    Attributes:
        launch_id: The launch.
        run_id: Its run.
        cancelled: Whether somebody asked for its end.
    """

    launch_id: str
    run_id: str
    cancelled: bool


class Executors:
    """Serves executors. Every call but `seat` is for a launch whose token was checked.

    Args:
        database: Where runs are.
        store: Where notebooks are.
        vault: Where values of secret parameters are.
        mirror: Where what they tell is kept.
        tokens: Checks tokens.
        settings: The settings.
        assets: Address prefix of the scripts that reports use.
        notify: Called when a run has begun or ended; may be called in any thread.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        vault: Vault,
        mirror: Mirror,
        tokens: RunTokens,
        settings: HubExt,
        *,
        assets: str,
        notify: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._store = store
        self._vault = vault
        self._mirror = mirror
        self._tokens = tokens
        self._settings = settings
        self._assets = assets
        self._notify = notify

    def seat(self, launch_id: str, token: str) -> Seat:
        """Return the launch that a token is good for.

        Args:
            launch_id: The launch that is asked about.
            token: What was shown.

        Raises:
            NotSignedIn: If it is not the token of this launch.
            Gone: If its run has ended, or was started anew under another launch id.
        """
        if not self._tokens.is_of(token, launch_id):
            raise NotSignedIn("This is not the token of this launch.")
        query = select(Run.id, Run.state, Run.cancel_requested_at).where(Run.launch_id == launch_id)
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
        if found is None or found.state not in ACTIVE:
            raise Gone("The run of this launch has ended.")
        return Seat(launch_id, found.id, found.cancel_requested_at is not None)

    def begin(self, seat: Seat, attempt: str) -> dict[str, Any]:
        """Return what an executor is to run; from now on it may have run a part of it.

        Args:
            seat: The launch.
            attempt: Names the executor's process.

        Raises:
            Gone: If the run was cancelled, or has ended.
            Conflict: If another executor was told before, and it must not be run twice.
            InvalidInput: If the attempt is no name.
            Unavailable: If the store or the secrets cannot be reached.
        """
        if seat.cancelled:
            raise Gone("The run of this launch was cancelled.")
        query = select(Run).options(joinedload(Run.version), joinedload(Run.workflow), joinedload(Run.decision))
        with self._database.read() as session:
            run = session.scalars(query.where(Run.id == seat.run_id)).one()
        launch = launch_of(run, self._store, self._vault, self._settings, assets=self._assets, fonts=None)
        offset = self._mirror.begin(seat.launch_id, attempt, repeatable=launch.spec.repeatable)
        self._notify()
        return {
            "spec": asdict(launch.spec),
            "notebook": launch.notebook.decode(),
            "secrets": launch.secrets,
            "offset": offset,
        }

    def events(self, seat: Seat, offset: int, data: bytes) -> dict[str, Any]:
        """Take events, and say how far we are and whether the run is to end.

        Raises:
            InvalidInput: If they are no events.
            TooLarge: If there are too many.
            StorageFull: If there is no space.
            Gone: If it has told how it ended.
        """
        most = int(self._settings.output_limit) + _OTHER_EVENTS
        return {"size": self._mirror.append(seat.launch_id, offset, data, most), "cancel": seat.cancelled}

    def files(self, seat: Seat, listed: object) -> list[str]:
        """Choose the files that become artifacts.

        Args:
            seat: The launch.
            listed: Pairs of path and size.

        Raises:
            InvalidInput: If it is no such list.
            Conflict: If other files were listed before.
            Gone: If it has told how it ended.
        """
        if not isinstance(listed, list) or len(listed) > MOST_LISTED:
            raise InvalidInput.of("files", f"must be a list of at most {MOST_LISTED} pairs of path and size")
        pairs = [_pair(one) for one in listed]
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidInput.of("files", "names a path twice")
        return self._mirror.want(seat.launch_id, pairs, int(self._settings.artifacts_limit))

    def take(self, seat: Seat, name: str, size: int) -> Incoming:
        """Begin to take one of the files that every run leaves.

        Args:
            seat: The launch.
            name: ``report``, ``notebook``, ``picture`` or ``log``.
            size: How many bytes will come.

        Raises:
            InvalidInput: If there is no such file.
            TooLarge: If it is too large.
            StorageFull: If there is no space.
            Gone: If it has told how it ended.
        """
        folder = self._mirror.folder(seat.launch_id)
        large = 8 * (int(self._settings.upload_limit) + int(self._settings.output_limit))
        targets = {
            "report": (folder.report, large),
            "notebook": (folder.output, large),
            "picture": (folder.picture, _LARGEST_PICTURE),
            "log": (folder.log, _LARGEST_LOG),
        }
        if name not in targets:
            raise InvalidInput.of("name", "must be report, notebook, picture or log")
        target, most = targets[name]
        if size > most:
            raise TooLarge(f"The {name} of a run may have at most {most} bytes.")
        return self._mirror.take(seat.launch_id, target)

    def take_artifact(self, seat: Seat, path: str, size: int) -> Incoming:
        """Begin to take an artifact.

        Args:
            seat: The launch.
            path: Its path, as it was chosen.
            size: How many bytes will come.

        Raises:
            InvalidInput: If it was not chosen, or has another size.
            StorageFull: If there is no space.
            Gone: If it has told how it ended.
        """
        return self._mirror.artifact(seat.launch_id, path, size)

    def end(self, seat: Seat, outcome: object) -> None:
        """Take how the run ended; everything else has come before.

        Raises:
            InvalidInput: If it is no outcome.
        """
        if not isinstance(outcome, dict) or outcome.get("state") not in END_STATES:
            raise InvalidInput.of("state", f"must be one of {', '.join(END_STATES)}")
        self._mirror.end(seat.launch_id, outcome)
        self._notify()


def _pair(one: object) -> tuple[str, int]:
    if isinstance(one, list) and len(one) == 2:
        name, size = one
        if isinstance(name, str) and type(size) is int and 0 <= size < 2**53:
            return name, size
    raise InvalidInput.of("files", "must be pairs of path and size")
