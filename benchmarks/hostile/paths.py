"""The paths by which options reach a start."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence

import httpx

from benchmarks.hostile.options import Case
from benchmarks.hostile.side import Outcome, Side, server_path

JSON = {"Content-Type": "application/json"}
# A start that brings nothing uses what is stored; these are the bodies that bring nothing.
NOTHING_NEW = ("", "{}", "null", '{"display_name": "mine"}', '{"user_options": null}')

_EACH = 5  # named servers that a person may have

Results = dict[str, dict[str, Outcome]]  # words of the case → path → outcome

PATHS = {
    "form": "the start page's form",
    "query": "a link (`/hub/spawn?…`)",
    "API": "the body of `POST …/server`",
    "named": "the body of `POST …/servers/<name>`",
    "admin": "an admin's `POST` for somebody",
    "stored": "`PATCH` of stored options, then a start that brings none",
    "restart": "the same, for a server that was allowed, ran and was stopped",
    "Hub restart": "`PUT` of stored options, the Hub started again, a start that brings none",
}


def _post(client: httpx.Client, path: str, body: str) -> httpx.Response:
    return client.post(path, content=body.encode(), headers=JSON)


def by_form(side: Side, cases: Sequence[Case], user: str) -> Iterator[tuple[Case, Outcome]]:
    """Send each by the start page's form."""
    for case in cases:
        fields = side.fields(case)
        if fields is not None:
            yield case, side.outcome(user, "", side.submit(user, fields))


def by_link(side: Side, cases: Sequence[Case], user: str) -> Iterator[tuple[Case, Outcome]]:
    """Send each as a link."""
    for case in cases:
        fields = side.fields(case)
        if fields and sum(len(one) for one in fields.values()) < 10_000 and len(fields) < 100:
            yield case, side.outcome(user, "", side.browser(user).get("/hub/spawn", params=fields))


def by_body(
    side: Side, cases: Sequence[Case], user: str, name: str = "", asker: str = ""
) -> Iterator[tuple[Case, Outcome]]:
    """Send each as the body of a start: of a named server, or by somebody else for her."""
    side.api(user)
    for case in cases:
        answer = _post(side.api(asker or user), server_path(user, name), side.body(case))
        yield case, side.outcome(user, name, answer)


def by_store(side: Side, cases: Sequence[Case], user: str) -> Iterator[tuple[Case, Outcome]]:
    """Store each in a server that is there, and start it with nothing."""
    client = side.api(user)
    side.outcome(user, "", _post(client, server_path(user), '{"profile": "no-such-profile"}'))  # so that it is there
    for case, empty in zip(cases, itertools.cycle(NOTHING_NEW), strict=False):
        stored = side.stored(case)
        if stored is None:
            continue
        kept = client.patch(f"/hub/api/users/{user}/servers/", content=stored.encode(), headers=JSON)
        if kept.status_code != 200:
            yield case, Outcome(False, words=f"{kept.status_code} when it is stored")
            continue
        yield case, side.outcome(user, "", _post(client, server_path(user), empty))


def by_hub_restart(side: Side, cases: Sequence[Case], restart: Callable[[], str]) -> Iterator[tuple[Case, Outcome]]:
    """Store all, start the Hub again, and start each with nothing."""
    waiting: list[tuple[Case, str, str]] = []
    for number, case in enumerate(cases):
        stored, user, name = side.stored(case), f"kept-{number // _EACH}", f"s{number % _EACH}"
        if stored is None:
            continue
        kept = side.api(user).put(server_path(user, name), content=stored.encode(), headers=JSON)
        if kept.status_code == 201:
            waiting.append((case, user, name))
        else:
            yield case, Outcome(False, words=f"{kept.status_code} when it is stored")
    side.moved(restart())
    for (case, user, name), empty in zip(waiting, itertools.cycle(NOTHING_NEW), strict=False):
        yield case, side.outcome(user, name, _post(side.api(user), server_path(user, name), empty))


def drive(
    side: Side, cases: Sequence[Case], allowed: Case, restart: Callable[[], str], paths: Collection[str] = tuple(PATHS)
) -> tuple[Results, set[str]]:
    """Send every case by every path that can say it, and before them, by the same path, one that is allowed.

    Args:
        side: Whom to.
        cases: What.
        allowed: What is allowed: where it is refused, a path refuses everything.
        restart: Starts the Hub again; returns its address.
        paths: By which paths.

    Returns:
        What became of each case, and the paths by which something that is allowed is made.
    """
    ways: dict[str, Callable[[Sequence[Case], str], Iterator[tuple[Case, Outcome]]]] = {
        "form": lambda these, user: by_form(side, these, user),
        "query": lambda these, user: by_link(side, these, user),
        "API": lambda these, user: by_body(side, these, user),
        "named": lambda these, user: by_body(side, these, user, "second"),
        "admin": lambda these, user: by_body(side, these, user, asker="admin"),
        "stored": lambda these, user: by_store(side, these, user),
        "restart": lambda these, user: by_store(side, these, user),
    }
    results: Results = {case.words: {} for case in cases}
    made: set[str] = set()
    for path in paths:
        if path == "Hub restart":
            outcomes = [*by_hub_restart(side, [allowed, *cases], restart)]
        else:
            # Where a server ran before, it is that of the same person; elsewhere nothing of hers is stored.
            first = person(path, "" if path == "restart" else "may")
            outcomes = [*ways[path]([allowed], first), *ways[path](cases, person(path))]
        for case, outcome in outcomes:
            if case is not allowed:
                results[case.words][path] = outcome
            elif outcome.made and outcome.approved:
                made.add(path)
    return results, made


def person(path: str, prefix: str = "by") -> str:
    """Return the name of who takes a path."""
    return f"{prefix or 'by'}-{path.lower().replace(' ', '-')}"


def people(cases: Sequence[Case]) -> list[str]:
    """Return the names of all who take paths, but for the admin."""
    kept = [f"kept-{number}" for number in range(len(cases) // _EACH + 1)]
    return [*kept, *(person(path, prefix) for path in PATHS for prefix in ("by", "may"))]
