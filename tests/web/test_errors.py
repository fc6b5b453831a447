"""Errors become statuses and problems; nothing that nobody named is told."""

from __future__ import annotations

import pytest
from tornado.web import HTTPError

from hub_ext import errors
from hub_ext.errors import HubExtError, InvalidInput, Problem, RateLimited
from hub_ext.web.errors import STATUS, Malformed, describe, headers_of, status_of


def kinds(base: type[HubExtError]) -> list[type[HubExtError]]:
    return [base, *(found for kind in base.__subclasses__() for found in kinds(kind))]


@pytest.mark.parametrize("kind", [kind for kind in kinds(HubExtError) if kind.__module__ == errors.__name__])
def test_every_named_error_has_a_status(kind: type[HubExtError]) -> None:
    assert kind in STATUS


def test_a_problem_names_what_is_wrong() -> None:
    error = InvalidInput(
        "Two things.", hint="Look.", problems=[Problem("a", "is wrong", 3), Problem("b", "is missing")]
    )
    assert describe(error, "q-1") == {
        "type": "urn:hub-ext:problem:invalid-input",
        "title": "That cannot be accepted",
        "status": 422,
        "detail": "Two things.",
        "instance": "urn:hub-ext:request:q-1",
        "hint": "Look.",
        "errors": [{"field": "a", "message": "is wrong", "line": 3}, {"field": "b", "message": "is missing"}],
    }


def test_the_unexpected_is_told_by_its_id_alone() -> None:
    problem = describe(ZeroDivisionError("a secret: /home/somebody"), "q-2")
    assert problem["status"] == 500
    assert problem["type"] == "urn:hub-ext:problem:unexpected"
    assert "secret" not in str(problem)
    assert "q-2" in problem["instance"]


def test_a_library_s_own_words_are_not_told() -> None:
    problem = describe(HTTPError(400, "Invalid body: /etc/passwd"), "q-3")
    assert problem["status"] == 400
    assert "passwd" not in str(problem)


def test_what_cannot_be_read_is_400_and_what_says_something_wrong_is_422() -> None:
    assert status_of(Malformed.of("body", "is not JSON")) == 400
    assert status_of(InvalidInput.of("name", "is too long")) == 422


def test_headers_go_with_errors() -> None:
    assert headers_of(errors.NotSignedIn("No.")) == {"WWW-Authenticate": 'Bearer realm="hub-ext"'}
    assert headers_of(RateLimited("Slower.", retry_after=7)) == {"Retry-After": "7"}
    assert headers_of(errors.Unavailable("Later.")) == {"Retry-After": "2"}
    assert headers_of(ValueError()) == {}
