"""The edge where errors become statuses and problems (RFC 9457)."""

from __future__ import annotations

import http
from typing import Any

from tornado.web import HTTPError

from hub_ext import errors
from hub_ext.errors import HubExtError, InvalidInput, RateLimited, ReadOnlyNow, Unavailable

# The most derived class that is named here counts.
STATUS: dict[type[HubExtError], int] = {
    errors.InvalidInput: 422,
    errors.NotSignedIn: 401,
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Denied: 403,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.RateLimited: 429,
    errors.StorageFull: 507,
    errors.Unavailable: 503,
    errors.ReadOnlyNow: 503,
    errors.StoreAway: 503,
    HubExtError: 500,
}

_RETRY_AFTER = 2  # seconds, when a part is away

_PLAIN = {
    400: "The request cannot be understood.",
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not know that method.",
    500: "Something unexpected went wrong. Nothing about it is told here; the id finds it in the log.",
}


class Malformed(InvalidInput):
    """A request that cannot be read at all, as against one that says something wrong."""

    title = "That cannot be read"
    code = "malformed"


class RangeUnmet(HubExtError):
    """A range of bytes that a file does not have; `size` is how many it has."""

    title = "No such range"
    code = "range"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes, and not those that Range asks for.")
        self.size = size


STATUS |= {Malformed: 400, RangeUnmet: 416}


def status_of(error: BaseException | None) -> int:
    """Return the status of an error; 500 for whatever nobody named.

    Args:
        error: What was raised; None for a status that was sent without an error.
    """
    if isinstance(error, HubExtError):
        return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return error.status_code if isinstance(error, HTTPError) else 500


def describe(error: BaseException | None, request_id: str) -> dict[str, Any]:
    """Return what a person is told about an error, as the members of a problem (RFC 9457).

    Args:
        error: What was raised.
        request_id: Finds the request in the log.

    Returns:
        `type`, `title`, `status`, `detail`, `instance`; `hint` and `errors` where there are any.
    """
    status = status_of(error)
    if not isinstance(error, HubExtError):
        phrase = http.HTTPStatus(status).phrase
        detail = _PLAIN.get(status, f"{phrase}.")
        return _problem(f"http-{status}" if status < 500 else "unexpected", phrase, status, detail, request_id)
    problem = _problem(error.code, error.title, status, error.detail, request_id)
    if error.hint:
        problem["hint"] = error.hint
    if error.problems:
        problem["errors"] = [one.as_dict() for one in error.problems]
    return problem


def _problem(code: str, title: str, status: int, detail: str, request_id: str) -> dict[str, Any]:
    return {
        "type": f"urn:hub-ext:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:hub-ext:request:{request_id}",
    }


def headers_of(error: BaseException | None) -> dict[str, str]:
    """Return the headers that go with an error."""
    if isinstance(error, errors.NotSignedIn):
        return {"WWW-Authenticate": 'Bearer realm="hub-ext"'}
    if isinstance(error, RateLimited | ReadOnlyNow):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, RangeUnmet):
        return {"Content-Range": f"bytes */{error.size}"}
    if isinstance(error, Unavailable):
        return {"Retry-After": str(_RETRY_AFTER)}
    return {}
