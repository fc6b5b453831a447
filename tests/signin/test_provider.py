"""The provider as it is asked over HTTP: what it may answer, what is not followed, whose certificate is believed."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from hub_ext.signin.provider import Provider, ProviderAway, ProviderRefused

SECRET = "t0ken-that-nobody-sees"


class Answers(RequestHandler):
    """What the test says, at any address; it remembers what was asked."""

    said: dict[str, tuple[int, bytes]]
    asked: list[str]
    heard: list[tuple[object, str]]

    def initialize(self, said: dict[str, tuple[int, bytes]], asked: list[str], heard: list[tuple[object, str]]) -> None:
        self.said, self.asked, self.heard = said, asked, heard

    def get(self) -> None:
        """Answer."""
        self.asked.append(self.request.path)
        self.heard.append((self.request.connection.context.address, self.request.headers.get("Cookie", "")))
        self.set_cookie("of", "somebody")
        status, body = self.said.get(self.request.path, (404, b"{}"))
        self.set_status(status)
        if status in (301, 302, 307):
            self.set_header("Location", "/elsewhere")
        self.finish(body)

    post = get


class Server:
    """A server and the provider that speaks there."""

    def __init__(self, port: int, scheme: str, ca_file: str = "") -> None:
        self.issuer = f"{scheme}://127.0.0.1:{port}"
        self.said: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.heard: list[tuple[object, str]] = []  # connection and cookies of each request
        self.listens: HTTPServer
        self.provider = Provider(self.issuer, ca_file)
        described = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/me",
        }
        self.says("/.well-known/openid-configuration", described)
        self.says("/keys", {"keys": []})

    def says(self, path: str, what: Any, status: int = 200) -> None:
        self.said[path] = (status, what if isinstance(what, bytes) else json.dumps(what).encode())


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None = None, ca_file: str = "") -> AsyncIterator[Server]:
    """Serve on a free port."""
    (bound,) = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
    found = Server(bound.getsockname()[1], "https" if context else "http", ca_file)
    server = HTTPServer(
        Application([(r".*", Answers, {"said": found.said, "asked": found.asked, "heard": found.heard})]),
        ssl_options=context,
    )
    found.listens = server
    server.add_sockets([bound])
    try:
        yield found
    finally:
        server.stop()
        await server.close_all_connections()
        await found.provider.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as found:
        yield found


async def test_what_it_says_of_itself_is_asked_once(server: Server) -> None:
    for _ in range(3):
        assert (await server.provider.metadata()).token == f"{server.issuer}/token"
        assert await server.provider.keys() == {"keys": []}
    assert server.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_whatever_tokens_come_its_keys_are_not_asked_for_again_and_again(server: Server) -> None:
    await server.provider.keys()
    for _ in range(20):
        await server.provider.keys(again=True)
    assert server.asked.count("/keys") == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b"down"),
        (429, b"{}"),
        (302, b""),
        (307, b""),
        (204, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"[" * 100_000),
        (200, b'{"access_token": 7}'),
        (200, b"{}"),
        (200, b'{"access_token": "' + b"x" * 2**21 + b'"}'),
    ],
    ids=["500", "503", "429", "302", "307", "204", "HTML", "list", "nested", "number", "empty", "huge"],
)
async def test_an_answer_that_is_none_is_as_good_as_silence(server: Server, status: int, body: bytes) -> None:
    server.says("/token", body, status)
    server.says("/elsewhere", {"access_token": "stolen"})
    with pytest.raises(ProviderAway) as caught:
        await server.provider.tokens({"code": SECRET}, {"Authorization": f"Basic {SECRET}"})
    assert SECRET not in str(caught.value)
    assert "/elsewhere" not in server.asked  # a redirect would carry the secret there


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": "invalid_grant", "error_description": "Call 555"}', "invalid_grant"),
        (b'{"error": "<script>"}', ""),
        (b'{"error": ["x"]}', ""),
        (b"not json", ""),
    ],
)
async def test_a_refusal_is_told_by_its_code_alone(server: Server, body: bytes, code: str) -> None:
    server.says("/token", body, 400)
    with pytest.raises(ProviderRefused) as caught:
        await server.provider.tokens({"code": SECRET}, {})
    assert (caught.value.status, caught.value.code) == (400, code)
    assert "555" not in str(caught.value)


async def _ask_twice(server: Server) -> None:
    server.says("/token", {"access_token": "one"})
    server.says("/me", {"sub": "ada"})
    await server.provider.tokens({"code": SECRET}, {})
    await server.provider.userinfo("one")


async def test_the_questions_of_a_sign_in_share_a_connection_and_no_cookies(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_ext.signin.provider._KEPT", 60.0)  # the machine may be busy
    await _ask_twice(server)
    assert len({connection for connection, _ in server.heard}) == 1
    assert {cookies for _, cookies in server.heard} == {""}  # those of one person are no other's


async def test_a_connection_that_the_provider_closed_is_not_used_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_ext.signin.provider._KEPT", 60.0)
    await _ask_twice(server)
    await server.listens.close_all_connections()
    async with asyncio.timeout(30):
        while len({connection for connection, _ in server.heard}) == 1:
            with contextlib.suppress(ProviderAway):  # until the end of the connection has come through
                await _ask_twice(server)
            await asyncio.sleep(0.01)


async def test_a_connection_is_kept_for_less_time_than_any_provider_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_ext.signin.provider._KEPT", 0.01)
    await _ask_twice(server)
    await asyncio.sleep(0.1)
    await _ask_twice(server)
    assert len({connection for connection, _ in server.heard}) > 1


async def test_nobody_there_is_told(server: Server) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, and never listening
        away = Provider(f"http://127.0.0.1:{bound.getsockname()[1]}")
        with pytest.raises(ProviderAway):
            await away.metadata()
        await away.close()


async def test_what_it_said_of_itself_is_good_while_it_is_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_ext.signin.provider._GOOD_FOR", 0.0)
    before = await server.provider.metadata()
    server.says("/.well-known/openid-configuration", b"", 503)
    assert await server.provider.metadata() == before
    monkeypatch.setattr("hub_ext.signin.provider._AT_MOST", 0.0)
    with pytest.raises(ProviderAway):
        await server.provider.metadata()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate of 127.0.0.1 that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider of the tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    key_file, file = folder / "key.pem", folder / "ca.pem"
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key_file, file


async def test_a_certificate_of_one_s_own_is_believed_where_it_is_named_and_nowhere_else(tmp_path: Path) -> None:
    key_file, file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    async with serving(context, str(file)) as server:
        assert (await server.provider.metadata()).keys == f"{server.issuer}/keys"
        stranger = Provider(server.issuer)
        with pytest.raises(ProviderAway):
            await stranger.metadata()
        await stranger.close()
