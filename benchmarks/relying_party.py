"""The least that an application with sign-in by a provider does: it asks, checks the answer, and shows a page.

It keeps everything in memory, has no users, no roles and no second sign-in behind the first one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import jwt

from tests.functional.oidc.provider import SECRET, OidcProvider

NAME = "least"
SCOPES = ["openid", "profile", "offline_access"]


class RelyingParty:
    """One that runs, in threads of this process.

    Args:
        provider: Who signs people in; it gets to know this application.

    Attributes:
        url: Its address.
        button: Address of what signs in.
    """

    def __init__(self, provider: OidcProvider) -> None:
        self.issuer = provider.issuer
        self.http = httpx.Client(base_url=provider.issuer, trust_env=False, timeout=60)
        self.keys = jwt.PyJWKSet.from_dict(self.http.get("/jwks").json())
        self.begun: dict[str, dict[str, str]] = {}
        self.people: dict[str, str] = {}
        made = type("Handler", (_Handler,), {"party": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), made)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.button = f"{self.url}/login"
        provider.do("client", id=NAME, back=f"{self.url}/callback")
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def begin(self) -> tuple[str, str]:
        """Return the state of a sign-in that begins, and where the browser goes."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        self.begun[state] = {"nonce": nonce, "verifier": verifier}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": NAME, "redirect_uri": f"{self.url}/callback",
            "scope": " ".join(SCOPES), "state": state, "nonce": nonce, "prompt": "consent",
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return state, f"{self.issuer}/auth?{urlencode(asked)}"

    def end(self, code: str, state: str) -> str:
        """Return who signed in."""
        begun = self.begun.pop(state)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{self.url}/callback"}
        basic = httpx.BasicAuth(quote(NAME, safe=""), quote(SECRET, safe=""))
        answer = self.http.post("/token", data=form | {"code_verifier": begun["verifier"]}, auth=basic)
        found: dict[str, Any] = answer.raise_for_status().json()
        key = self.keys[jwt.get_unverified_header(found["id_token"])["kid"]]
        claims = jwt.decode(found["id_token"], key, ["RS256"], audience=NAME, issuer=self.issuer)
        more = self.http.get("/me", headers={"Authorization": f"Bearer {found['access_token']}"}).json()
        if claims["nonce"] != begun["nonce"] or claims["sub"] != more["sub"]:
            raise RuntimeError("this is the answer to another sign-in")
        return str(more["preferred_username"])

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.http.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else its page waits 40 ms for the client's word on its headers
    wbufsize = -1
    party: RelyingParty

    def do_GET(self) -> None:
        asked, cookies = urlsplit(self.path), SimpleCookie(self.headers.get("Cookie", ""))
        known = {name: one.value for name, one in cookies.items()}
        if asked.path == "/login":
            state, there = self.party.begin()
            self._answer(302, {"Location": there, "Set-Cookie": f"least-state={state}; HttpOnly; Path=/"})
        elif asked.path == "/callback":
            given = {name: values[0] for name, values in parse_qs(asked.query).items()}
            if not secrets.compare_digest(given["state"], known.get("least-state", "")):
                self._answer(403, {})
                return
            session = secrets.token_urlsafe(32)
            self.party.people[session] = self.party.end(given["code"], given["state"])
            self._answer(302, {"Location": "/", "Set-Cookie": f"least={session}; HttpOnly; Path=/"})
        else:
            name = self.party.people.get(known.get("least", ""), "")
            page = f"<!doctype html><title>Least</title><h1>{name or 'Nobody'}</h1><a href='/login'>Sign in</a>"
            self._answer(200, {"Content-Type": "text/html; charset=utf-8"}, page)

    def _answer(self, status: int, headers: dict[str, str], page: str = "") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(page.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page.encode())
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing: this is measured."""
