"""A client of the REST API, for the command line and for scripts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import httpx

from hub_ext.errors import (
    Conflict,
    Denied,
    Forbidden,
    HubExtError,
    InvalidInput,
    NotFound,
    NotSignedIn,
    Problem,
    TooLarge,
    Unavailable,
)

ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})
_BY_STATUS: dict[int, type[HubExtError]] = {
    400: InvalidInput,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: InvalidInput,
    422: InvalidInput,
    503: Unavailable,
}


def config_file() -> Path:
    """Return where `hub-ext login` keeps the address and the token."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "hub-ext" / "login.json"


@dataclass(frozen=True)
class Login:
    """Where the platform is, and the token that opens it.

    Attributes:
        url: Address of the Hub's public side (``http://127.0.0.1:8000``).
        token: A Hub token.
    """

    url: str
    token: str

    @classmethod
    def find(cls) -> Login:
        """Return the login in force: the environment's, else a notebook server's own, else the saved.

        Raises:
            NotSignedIn: If there is none.
        """
        saved: dict[str, str] = {}
        if config_file().is_file():
            saved = json.loads(config_file().read_text(encoding="utf-8"))
        environ = os.environ
        url = environ.get("HUB_EXT_URL") or saved.get("url") or "http://127.0.0.1:8000"
        token = environ.get("HUB_EXT_TOKEN") or environ.get("JUPYTERHUB_API_TOKEN")
        if not token and saved.get("url", "").rstrip("/") == url.rstrip("/"):
            token = saved.get("token")
        if not token:
            message = f"There is no token for {url}."
            raise NotSignedIn(message, hint="Run `hub-ext login`, or set HUB_EXT_URL and HUB_EXT_TOKEN.")
        return cls(url.rstrip("/"), token)

    def save(self) -> Path:
        """Keep the login for later commands, readable by this person alone; return the file."""
        path = config_file()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump({"url": self.url, "token": self.token}, stream)
        partial.replace(path)
        return path


class Client:
    """Calls the API under ``/services/workflows/api/v1/``.

    Args:
        login: Address and token.
        timeout: Longest wait for an answer, in seconds.
    """

    def __init__(self, login: Login, timeout: float = 60.0) -> None:
        self.login = login
        self._http = httpx.Client(
            base_url=f"{login.url}/services/workflows/api/v1/",
            headers={"Authorization": f"token {login.token}"},
            timeout=timeout,
            # The platform is near: a proxy of the machine's environment must not see the token.
            trust_env=urlsplit(login.url).hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Call the API and return the JSON of its answer.

        Args:
            method: HTTP method.
            path: Path below ``api/v1/``.
            options: As for `httpx.Client.request`.

        Raises:
            HubExtError: What the API said, or `Unavailable` when it does not answer.
        """
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            _away(self.login.url, error)
        _check(response)
        return response.json() if response.content else None

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page by page."""
        while True:
            page = self.call("GET", path, params={key: value for key, value in query.items() if value is not None})
            yield from page["items"]
            if not page["next"]:
                return
            query["cursor"] = page["next"]

    def download(self, path: str, target: Path) -> None:
        """Save a file of the API, streamed; nothing half-made stays.

        Raises:
            HubExtError: What the API said.
        """
        partial = target.with_name(target.name + ".partial")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._http.stream("GET", path) as response:
                if response.status_code != 200:
                    response.read()
                    _check(response)
                with partial.open("wb") as stream:
                    for chunk in response.iter_bytes():
                        stream.write(chunk)
            partial.replace(target)
        except httpx.HTTPError as error:
            _away(self.login.url, error)
        finally:
            partial.unlink(missing_ok=True)

    def watch(self, run_id: str, pause: float = 0.25) -> Iterator[dict[str, Any]]:
        """Yield the run again and again until it has ended; the last one yielded is its end.

        The service may be away for a while (it is restarted, say): that is waited for, up to a minute.
        """
        away_since: float | None = None
        while True:
            try:
                run = self.call("GET", f"runs/{quote(run_id)}")
            except Unavailable:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > 60:
                    raise
                time.sleep(1)
                continue
            away_since = None
            yield run
            if run["state"] in ENDED:
                return
            time.sleep(pause)


def token_for_password(url: str, name: str, password: str, note: str) -> Login:
    """Ask the Hub for a token with a name and a password.

    Args:
        url: Address of the Hub's public side.
        name: Name to sign in with.
        password: Her password; it is sent once and kept nowhere.
        note: What the Hub's token page shows.

    Raises:
        NotSignedIn: If name and password do not fit.
        Unavailable: If the Hub does not answer.
    """
    url = url.rstrip("/")
    body = {"auth": {"username": name, "password": password}, "note": note, "expires_in": 30 * 24 * 3600}
    try:
        local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        response = httpx.post(f"{url}/hub/api/users/{quote(name, safe='')}/tokens", json=body, trust_env=not local)
    except httpx.HTTPError as error:
        _away(url, error)
    if response.status_code in (401, 403, 404):
        raise NotSignedIn("The Hub does not accept this name and password.")
    if response.status_code != 201:
        raise Unavailable(f"The Hub answered {response.status_code}, not with a token.")
    return Login(url, str(response.json()["token"]))


def _away(url: str, error: httpx.HTTPError) -> NoReturn:
    raise Unavailable(f"{url} does not answer ({type(error).__name__}).", hint="Is the platform running?") from error


def _check(response: httpx.Response) -> None:
    """Raise what a problem+json answer says."""
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = str(problem.get("detail") or problem.get("title") or f"The platform answered {response.status_code}.")
    denied = str(problem.get("type", "")).endswith(Denied.code)
    kind = Denied if denied else _BY_STATUS.get(response.status_code, Unavailable)
    problems = [
        Problem(str(item.get("field", "")), str(item.get("message", "")), item.get("line"))
        for item in problem.get("errors", [])
    ]
    raise kind(detail, hint=str(problem.get("hint", "")), problems=problems)
