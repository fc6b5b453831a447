"""Names and roles of the embedded default, and how often somebody may try a password."""

from __future__ import annotations

import math
import re
import time
from collections import deque

from hub_ext.errors import InvalidInput, RateLimited
from hub_ext.people import EXAMPLES, ROLES

LONGEST_NAME = 64
ADMIN = "admin"
ANALYSTS = "analysts"

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_RULE = "A name has lower-case letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"


def check_name(name: str) -> str:
    """Return a name that one may sign in with.

    Args:
        name: What somebody typed.

    Raises:
        InvalidInput: If it is no such name; says why.
    """
    if not name:
        raise InvalidInput.of("username", "type a name")
    if len(name) > LONGEST_NAME:
        raise InvalidInput.of("username", f"has {len(name)} characters; at most {LONGEST_NAME} are allowed")
    if name == EXAMPLES:
        raise InvalidInput.of("username", f"{EXAMPLES!r} owns the workflows that ship; nobody signs in under it")
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidInput.of("username", f"cannot be used. {_RULE}")
    return name


def parse_roles(text: str) -> dict[str, list[str]]:
    """Return the roles of people from ``name=role,name2=role2``.

    Args:
        text: What stands in HUB_EXT_ROLES; a name may be there more than once.

    Raises:
        InvalidInput: If it is something else, or a role or name cannot be; the message names the variable.
    """
    found: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, role = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise InvalidInput.of("HUB_EXT_ROLES", f"{part[:60]!r} is not name=role")
        found.setdefault(name, []).append(role)
    return check_roles(found, "HUB_EXT_ROLES")


def check_roles(roles: dict[str, list[str]], field: str) -> dict[str, list[str]]:
    """Return roles of people when every name and every role can be.

    Args:
        roles: Name → roles.
        field: What the error calls it.

    Raises:
        InvalidInput: If not.
    """
    for name, given in roles.items():
        try:
            check_name(name)
        except InvalidInput as error:
            raise InvalidInput.of(field, f"{name[:60]!r}: {error.problems[0].message}") from None
        for role in given:
            if role not in ROLES:
                raise InvalidInput.of(field, f"there is no role {role[:60]!r}; there are {', '.join(ROLES)}")
    return roles


class Limiter:
    """Counts failed tries, and says how long to wait: for one name, and for all together.

    Args:
        each: Failures within the window that one name may have.
        together: The same for all names.
        window: Length of the window, in seconds.
    """

    def __init__(self, each: int = 5, together: int = 30, window: float = 60.0) -> None:
        self._limits = {"each": each, "together": together}
        self._window = window
        self._failures: dict[str, deque[float]] = {}
        self._all: deque[float] = deque()

    def check(self, name: str, now: float | None = None) -> None:
        """Let a try pass, or refuse it.

        Args:
            name: Who tries.
            now: The time, in seconds of a monotonic clock.

        Raises:
            RateLimited: If there were too many failures.
        """
        at = time.monotonic() if now is None else now
        waits = [
            self._wait(self._failures.get(name, deque()), self._limits["each"], at),
            self._wait(self._all, self._limits["together"], at),
        ]
        if max(waits) > 0:
            seconds = math.ceil(max(waits))
            raise RateLimited("Too many wrong passwords.", retry_after=seconds)

    def _wait(self, failures: deque[float], limit: int, now: float) -> float:
        while failures and failures[0] <= now - self._window:
            failures.popleft()
        return failures[-limit] + self._window - now if len(failures) >= limit else 0.0

    def failed(self, name: str, now: float | None = None) -> None:
        """Count a failure."""
        at = time.monotonic() if now is None else now
        if len(self._failures) > 1000:
            self._failures = {one: times for one, times in self._failures.items() if times[-1] > at - self._window}
        self._failures.setdefault(name, deque()).append(at)
        self._all.append(at)

    def succeeded(self, name: str) -> None:
        """Forget the failures of one name."""
        self._failures.pop(name, None)
