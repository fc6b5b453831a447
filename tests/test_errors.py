"""What can go wrong has a name, words for a person, and the fields at fault."""

import inspect

import pytest

from hub_ext import errors
from hub_ext.errors import HubExtError, InvalidInput, Problem, RateLimited, ReadOnlyNow

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HubExtError)]


def test_every_kind_has_a_code_and_a_title_of_its_own():
    assert len({kind.code for kind in KINDS}) == len({kind.title for kind in KINDS}) == len(KINDS) > 10
    assert all(kind.code == kind.code.lower() and " " not in kind.code for kind in KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (RateLimited, ReadOnlyNow)])
def test_an_error_is_its_words_a_hint_and_problems(kind):
    problem = Problem("name", "must not be empty", 3)
    error = kind("It cannot be.", hint="Try another.", problems=[problem])
    assert (str(error), error.detail, error.hint, error.problems) == ("It cannot be.",) * 2 + (
        "Try another.",
        [problem],
    )
    assert (kind("No.").hint, kind("No.").problems) == ("", [])


def test_a_problem_as_json_leaves_out_what_is_not_known():
    assert Problem("name", "is missing").as_dict() == {"field": "name", "message": "is missing"}
    assert Problem("name", "is missing", 3).as_dict() == {"field": "name", "message": "is missing", "line": 3}


def test_one_field_at_fault_is_named_in_the_words_too():
    error = InvalidInput.of("parameters.start", "must be a date", line=4, hint="Write 2026-01-31.")
    assert error.detail == "parameters.start: must be a date (line 4)"
    assert (error.hint, error.problems) == ("Write 2026-01-31.", [Problem("parameters.start", "must be a date", 4)])
    assert InvalidInput.of("", "is empty").detail == "is empty"


def test_too_many_tries_say_how_long_to_wait():
    error = RateLimited("Too many tries.", retry_after=30)
    assert (error.retry_after, error.hint) == (30, "Wait 30 seconds and try again.")


def test_what_is_read_only_says_when_to_try_again():
    error = ReadOnlyNow("No.", hint="Read on.", retry_after=60)
    assert (error.detail, error.hint, error.retry_after) == ("No.", "Read on.", 60)
