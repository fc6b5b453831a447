"""What can go wrong, named. No HTTP here: `web/` and `spawner/` alone know status codes.

Only the text of a :class:`HubExtError` ever reaches a person; anything else is told as "unexpected" with an id that
finds it in the log. So a message here must be safe to show: no secret, no path of the machine, no trace.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one field of what somebody sent.

    Attributes:
        field: Path of the field, dots between levels, as its sender wrote it (``parameters.start``); empty: all.
        message: What is wrong and what would be right, in one sentence.
        line: Line of the source the problem stands in (from 1), where there is a source.
    """

    field: str
    message: str
    line: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the problem as JSON, without what is not known."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class HubExtError(Exception):
    """Base of everything that a person is told.

    Args:
        detail: What happened and why, in words for the person who asked.
        hint: What to do about it.
        problems: The fields at fault, for input.
    """

    title: ClassVar[str] = "Something went wrong"
    code: ClassVar[str] = "error"

    def __init__(self, detail: str, *, hint: str = "", problems: list[Problem] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.problems = problems or []


class InvalidInput(HubExtError):
    """A value that cannot be accepted; `problems` name the fields."""

    title = "That cannot be accepted"
    code = "invalid-input"

    @classmethod
    def of(cls, field: str, message: str, *, line: int | None = None, hint: str = "") -> InvalidInput:
        """Return the error for a single field."""
        where = f"{field}: " if field else ""
        at = f" (line {line})" if line is not None else ""
        return cls(f"{where}{message}{at}", hint=hint, problems=[Problem(field, message, line)])


class NotSignedIn(HubExtError):
    """Nobody is signed in, or the token is not valid."""

    title = "Please sign in"
    code = "not-signed-in"


class NotFound(HubExtError):
    """There is no such object, or the caller may not know that there is."""

    title = "Not found"
    code = "not-found"


class Forbidden(HubExtError):
    """The caller may see the object and may not do this with it."""

    title = "Not allowed"
    code = "forbidden"


class Denied(HubExtError):
    """The decision on a profile was no; `problems` hold its reasons."""

    title = "Denied"
    code = "denied"


class Conflict(HubExtError):
    """The request meets a state that does not fit it (already ended, name taken, key reused)."""

    title = "That does not fit the present state"
    code = "conflict"


class Gone(HubExtError):
    """What this was about has ended for good."""

    title = "That is over"
    code = "gone"


class TooLarge(HubExtError):
    """More bytes than the limit."""

    title = "Too large"
    code = "too-large"


class Unsupported(HubExtError):
    """A media type or kernel language that is not handled."""

    title = "Not supported"
    code = "unsupported"


class RateLimited(HubExtError):
    """Too many tries; `retry_after` is in seconds."""

    title = "Too many tries"
    code = "rate-limited"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, hint=f"Wait {retry_after} seconds and try again.")
        self.retry_after = retry_after


class StorageFull(HubExtError):
    """A disk or quota is full; nothing was changed."""

    title = "No space left"
    code = "storage-full"


class Unavailable(HubExtError):
    """A part that is needed does not answer now (Hub, database, store); trying again may help."""

    title = "Not available right now"
    code = "unavailable"


class ReadOnlyNow(Unavailable):
    """The platform is read-only for a while; `retry_after` is in seconds."""

    title = "Read-only right now"
    code = "read-only"

    def __init__(self, detail: str, *, hint: str, retry_after: int) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after = retry_after


class StoreAway(Unavailable):
    """The result store does not answer: not the fault of whoever asked, who waits for it where that is possible."""

    title = "The result store is away"
    code = "store-away"
