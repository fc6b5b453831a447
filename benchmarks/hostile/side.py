"""What both sides have: people who send option sets over HTTP, and what became of them."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.harness import progress
from benchmarks.hostile.options import NOTHING, Case

PASSWORD = "for-measuring-only"
_PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """What became of one option set.

    Attributes:
        made: Whether a server would be made.
        approved: Whether it is one that an approved profile and its options can yield for that person.
        words: What was made, or why nothing was.
        handled: Whether a refusal was meant, and did not just happen (a KeyError).
    """

    made: bool
    approved: bool = True
    words: str = ""
    handled: bool = True

    @property
    def let_through(self) -> bool:
        """Whether something was made that nobody approved."""
        return self.made and not self.approved


@dataclass(frozen=True)
class Words:
    """How a side wants option sets put.

    Attributes:
        body: Profile, options and what is beside them as the body of a start.
        field: Name of a form's field: profile, option → name.
    """

    body: Callable[[Case], dict[str, Any]]
    field: Callable[[str, str], str]


class Side:
    """A Hub that runs, and its people.

    Args:
        url: Its address.
        words: How it wants option sets put.
        find: What became of the last start of a person's server.
    """

    def __init__(self, url: str, words: Words, find: Callable[[str, str, httpx.Response], Outcome]) -> None:
        self.url = url
        self._words = words
        self._find = find
        self._clients: dict[str, httpx.Client] = {}
        self._browsers: dict[str, httpx.Client] = {}
        self._tokens: dict[str, str] = {}

    def moved(self, url: str) -> None:
        """Go on with a Hub that was started again under another address."""
        self.close()
        self.url = url

    def close(self) -> None:
        """Close all connections; tokens stay."""
        for client in (*self._clients.values(), *self._browsers.values()):
            client.close()
        self._clients, self._browsers = {}, {}

    def api(self, user: str) -> httpx.Client:
        """Return a client with a token of a person."""
        if user not in self._clients:
            if user not in self._tokens:
                self._tokens[user] = self._token(user)
            self._clients[user] = self._client(headers={"Authorization": f"token {self._tokens[user]}"})
        return self._clients[user]

    def browser(self, user: str) -> httpx.Client:
        """Return a client that is signed in (and was not at the start page, where JupyterHub forgets what failed)."""
        if user not in self._browsers:
            client = self._client(follow_redirects=True)
            fields = {"username": user, "password": PASSWORD, "_xsrf": xsrf(client, "/hub/login")}
            client.post("/hub/login?next=/hub/token", data=fields).raise_for_status()
            self._browsers[user] = client
        return self._browsers[user]

    def submit(self, user: str, fields: dict[str, str]) -> httpx.Response:
        """Send the start page's form."""
        browser = self.browser(user)
        return browser.post("/hub/spawn", params={"_xsrf": xsrf(browser, "/hub/spawn")}, data=fields)

    def _client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=_PATIENCE, trust_env=False, **options)

    def _token(self, user: str) -> str:
        body = {"auth": {"username": user, "password": PASSWORD}, "note": "hostile"}
        answer = httpx.post(f"{self.url}/hub/api/users/{user}/tokens", json=body, trust_env=False, timeout=_PATIENCE)
        answer.raise_for_status()
        return str(answer.json()["token"])

    # How an option set is put.

    def body(self, case: Case) -> str:
        """Return an option set as the body of a start, as text; empty for none."""
        return case.raw if case.raw is not None else json.dumps(self._words.body(case))

    def stored(self, case: Case) -> str | None:
        """Return an option set as options to be stored; None where it cannot be stored."""
        try:
            found = json.loads(self.body(case) or "{}")
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        if "user_options" in found or "display_name" in found:
            found = {key: value for key, value in found.items() if key != "display_name"}
            found = found.get("user_options", found) or {}
        return json.dumps({"user_options": found})

    def fields(self, case: Case) -> dict[str, str] | None:
        """Return an option set as the fields of a form; None where a form cannot say it."""
        if not case.form:
            return None
        profile = "" if case.profile is NOTHING else _text(case.profile)
        found = {} if case.profile is NOTHING else {"profile": profile}
        found |= {self._words.field(profile, name): _text(value) for name, value in case.options.items()}
        return found | {name: _text(value) for name, value in case.beside.items()}

    # What becomes of it.

    def outcome(self, user: str, server: str, answer: httpx.Response) -> Outcome:
        """Wait until a start is over, one way or the other, and return what became of it."""
        if answer.status_code < 400:  # it goes on, or is over already
            _until(lambda: not self._pending(user, server), f"the start of {user}/{server} does not end")
            if "/spawn-pending/" in answer.url.path:  # the form waits a second, then a page tells how it ended
                answer = self.browser(user).get(answer.url)
        return self._find(user, server, answer)

    def told_later(self, user: str, server: str) -> httpx.Response:
        """Return how a start that failed would have been answered, had it not gone on when the answer was due."""
        status = 200  # while it is put away

        def failed() -> bool:
            nonlocal status
            status = self.browser(user).get(f"/hub/spawn-pending/{user}/{server}".rstrip("/")).status_code
            return status != 200

        _until(failed, f"nobody tells why {user}/{server} did not start")
        [*_, last] = progress(self.api(user), server_path(user, server))
        return httpx.Response(status, json={"message": last["message"].removeprefix("Spawn failed: ")})

    def _pending(self, user: str, server: str) -> bool:
        with contextlib.suppress(httpx.HTTPError, ValueError):  # a proxy that is being started again
            answer = self.api(user).get(f"/hub/api/users/{user}", params={"include_stopped_servers": "1"})
            return answer.status_code != 200 or bool(answer.json()["servers"].get(server, {}).get("pending"))
        return True


def server_path(user: str, name: str = "") -> str:
    """Return the path of a server in the Hub's API."""
    return f"/hub/api/users/{user}/servers/{name}" if name else f"/hub/api/users/{user}/server"


def _until(over: Callable[[], bool], why_not: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not over():
        if time.monotonic() > deadline:
            raise RuntimeError(why_not)
        time.sleep(0.02)


def xsrf(client: httpx.Client, page: str) -> str:
    """Return the token that forms of the Hub need, from one of its pages."""
    found = re.search(r'_xsrf(?:=|" value=")([^"&]{20,})"', client.get(page).text)  # in the form's address, or a field
    if not found:
        message = f"{page} has no token"
        raise RuntimeError(message)
    return found[1]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
