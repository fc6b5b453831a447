"""A registry is asked for what is needed, and believed in nothing: size, time, content, and where it sends us."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from hub_ext.errors import InvalidInput
from hub_ext.images.credentials import Credentials
from hub_ext.images.registry import Reach, Registry
from hub_ext.images.source import LARGEST_MANIFEST, Absent, Named, SourceError, Unreachable, Wrong
from hub_ext.images.verifying import verify
from tests.images.conftest import NAME, OURS, HttpRegistry, Shelf, digest_of, send

Request = BaseHTTPRequestHandler
PASSWORD = "open sesame"


def named(registry: HttpRegistry, digest: str) -> Named:
    return Named(registry.host, NAME, digest)


@pytest.fixture
def other(shelf: Shelf) -> Iterator[HttpRegistry]:
    """Another host, which has the same."""
    made = HttpRegistry(shelf)
    yield made
    made.stop()


def test_a_manifest_and_a_content_are_read(registry: HttpRegistry, client: Registry, shelf: Shelf) -> None:
    digest = shelf.image()
    found = client.image(named(registry, digest))
    assert found.digest == digest
    layer = found.parts("layers")[0]["digest"]
    assert client.blob(named(registry, digest), layer, 100) == b"files"
    assert client.digest_of(registry.host, NAME, "latest") == digest
    with pytest.raises(Absent):
        client.digest_of(registry.host, NAME, "none")


# --- content ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_another_content_than_the_digest_says_is_refused(
    registry: HttpRegistry, client: Registry, shelf: Shelf, body: bytes
) -> None:
    image = named(registry, shelf.image())
    registry.first = lambda request: send(request, 200, body)
    with pytest.raises(Wrong, match="not what its digest says"):
        client.image(image)
    with pytest.raises(Wrong, match="not what its digest says"):
        client.blob(image, digest_of(b"files"), 10**6)
    with pytest.raises(SourceError):
        client.digest_of(registry.host, NAME, "latest")


@pytest.mark.parametrize("told", [True, False], ids=["told", "not-told"])
def test_a_content_that_never_ends_is_cut(registry: HttpRegistry, client: Registry, shelf: Shelf, told: bool) -> None:
    sent = 0

    def flood(request: Request) -> bool:
        nonlocal sent
        request.send_response(200)
        if told:
            request.send_header("Content-Length", str(10**12))
        request.end_headers()
        request.close_connection = True
        try:
            for _ in range(10_000):
                sent += request.wfile.write(b"x" * 65536)
        except OSError:
            pass
        return True

    registry.first = flood
    with pytest.raises(Wrong, match=f"larger than {LARGEST_MANIFEST} bytes"):
        client.image(named(registry, shelf.image()))
    with pytest.raises(Wrong, match="larger than 1000 bytes"):
        client.blob(named(registry, shelf.image()), digest_of(b"files"), 1000)
    registry.stop()
    assert sent < 100 * 2**20


def test_what_drips_is_given_up(registry: HttpRegistry, shelf: Shelf) -> None:
    def drip(request: Request) -> bool:
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        try:
            for _ in range(200):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass
        return True

    registry.first = drip
    client = Registry(Reach(registry.host, tls=False, within=0.5))
    began = time.monotonic()
    with pytest.raises(Unreachable, match="takes longer"):
        client.image(named(registry, shelf.image()))
    assert time.monotonic() - began < 5
    client.close()


def test_a_bomb_is_not_unpacked(registry: HttpRegistry, client: Registry, shelf: Shelf) -> None:
    import gzip

    bomb = gzip.compress(b"0" * 2**26)
    registry.first = lambda request: send(request, 200, bomb, Content_Encoding="gzip")
    with pytest.raises(Wrong, match="not what its digest says"):
        client.image(named(registry, shelf.image()))


def test_a_list_of_thousands_is_looked_at_in_part(registry: HttpRegistry, client: Registry, shelf: Shelf) -> None:
    digest = shelf.image()
    for number in range(60):
        shelf.refers(digest, b"%d" % number, "application/x")
    shelf.referring = shelf.referring * 50
    assert verify(f"{registry.host}/{NAME}@{digest}", client, OURS).outcome == "refused"
    assert len(registry.asked) < 100


@pytest.mark.parametrize(
    "entries", [None, 1, "x", [1, None, "x"], [{"digest": 1}], [{"digest": "sha512:00"}], [{"digest": "../../x"}]]
)
def test_a_list_of_nonsense_is_empty(registry: HttpRegistry, client: Registry, shelf: Shelf, entries: object) -> None:
    digest = shelf.image()
    shelf.referring = entries  # type: ignore[assignment]  # nonsense
    assert client.referrers(named(registry, digest)) == []
    tag = f"{digest.replace(':', '-')}.sig"
    shelf.tags[tag] = shelf.put(json.dumps({"layers": entries}).encode())
    shelf.manifests.add(shelf.tags[tag])
    assert verify(f"{registry.host}/{NAME}@{digest}", client, OURS).outcome == "refused"


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 418, 429, 500, 503])
def test_an_error_says_nothing_of_the_image(
    registry: HttpRegistry, client: Registry, shelf: Shelf, status: int
) -> None:
    digest = shelf.image()
    registry.first = lambda request: send(request, status, b"<script>secret</script>")
    found = verify(f"{registry.host}/{NAME}@{digest}", client, OURS)
    assert found.outcome == "unreachable"
    assert "secret" not in found.problems[0]


def test_a_registry_that_is_away_says_nothing_either(shelf: Shelf) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"  # nobody listens
        client = Registry(Reach(host, tls=False, within=2))
        found = verify(f"{host}/{NAME}@{shelf.image()}", client, OURS)
        client.close()
    assert (found.outcome, found.problems) == ("unreachable", (f"{host} does not answer (ConnectError)",))


def test_one_that_hangs_up_in_the_middle_says_nothing(registry: HttpRegistry, client: Registry, shelf: Shelf) -> None:
    def cut(request: Request) -> bool:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"{")
        request.close_connection = True
        return True

    registry.first = cut
    assert verify(f"{registry.host}/{NAME}@{shelf.image()}", client, OURS).outcome == "unreachable"


def test_one_that_speaks_no_tls_is_not_asked_without(registry: HttpRegistry, shelf: Shelf) -> None:
    client = Registry(Reach(registry.host, within=2))
    with pytest.raises(Unreachable):
        client.image(named(registry, shelf.image()))
    client.close()
    assert registry.asked == []


# --- elsewhere -------------------------------------------------------------------------------------------------------


def test_it_may_send_us_about_within_itself(registry: HttpRegistry, client: Registry, shelf: Shelf) -> None:
    image = named(registry, shelf.image())

    def elsewhere(request: Request) -> bool:
        if "?moved" in request.path:
            request.path = request.path.removesuffix("?moved")
            return False
        return send(request, 307, Location=f"{request.path}?moved")

    registry.first = elsewhere
    assert client.image(image).digest == image.digest


@pytest.mark.parametrize(
    "where",
    [
        "http://{other}{path}",
        "//{other}{path}",
        "https://{other}{path}",
        "http://169.254.169.254/latest/meta-data",
        "http://{host}@{other}{path}",
        "file:///etc/passwd",
        "gopher://{host}{path}",
        "http://[::1",
        "",
    ],
)
def test_it_may_not_send_us_to_another_host(
    registry: HttpRegistry, other: HttpRegistry, client: Registry, shelf: Shelf, where: str
) -> None:
    image = named(registry, shelf.image())
    registry.first = lambda request: send(
        request, 302, Location=where.format(other=other.host, host=registry.host, path=request.path)
    )
    with pytest.raises(SourceError, match=r"to another host|on and on|does not answer"):
        client.image(image)
    assert other.asked == []


def test_a_host_that_the_enclave_names_is_asked_by_tls_alone(
    registry: HttpRegistry, other: HttpRegistry, shelf: Shelf
) -> None:
    image = named(registry, shelf.image())
    client = Registry(Reach(registry.host, tls=False, others=frozenset({other.host}), within=2))
    for scheme, error in (("http", Wrong), ("https", Unreachable)):
        registry.first = lambda request, scheme=scheme: send(  # type: ignore[misc]
            request, 302, Location=f"{scheme}://{other.host}{request.path}"
        )
        with pytest.raises(error):
            client.image(image)
    assert other.asked == []
    client.close()


def test_a_circle_ends(registry: HttpRegistry, client: Registry, shelf: Shelf) -> None:
    image = named(registry, shelf.image())
    registry.first = lambda request: send(request, 302, Location=request.path)
    with pytest.raises(Wrong, match="on and on"):
        client.image(image)
    assert len(registry.asked) < 10


# --- passwords -------------------------------------------------------------------------------------------------------


def with_password(registry: HttpRegistry) -> Registry:
    return Registry(Reach(registry.host, tls=False, within=5), Credentials({registry.host: f"ann:{PASSWORD}"}))


def basic() -> str:
    return "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()


def test_a_password_is_given_to_who_asks_for_it(registry: HttpRegistry, shelf: Shelf) -> None:
    image, client = named(registry, shelf.image()), with_password(registry)

    def wants(request: Request) -> bool:
        if request.headers.get("Authorization") == basic():
            return False
        return send(request, 401, WWW_Authenticate='Basic realm="registry"')

    registry.first = wants
    assert client.image(image).digest == image.digest
    client.close()


def test_a_token_is_fetched_from_the_registry_itself(registry: HttpRegistry, shelf: Shelf) -> None:
    image, client = named(registry, shelf.image()), with_password(registry)

    def wants(request: Request) -> bool:
        if request.path.startswith("/token"):
            return send(request, 200, b'{"token": "abc.def"}')
        if request.headers.get("Authorization") == "Bearer abc.def":
            return False
        challenge = f'Bearer realm="http://{registry.host}/token",service="s",scope="repository:other:push"'
        return send(request, 401, WWW_Authenticate=challenge)

    registry.first = wants
    assert client.image(image).digest == image.digest
    (asked,) = [one for one in registry.asked if one[0].startswith("/token")]
    assert asked == (f"/token?service=s&scope=repository%3A{NAME.replace('/', '%2F')}%3Apull", basic())
    client.close()


@pytest.mark.parametrize("realm", ["http://{other}/token", "https://{other}/token", "//{other}/token", "", "x://"])
def test_a_password_goes_to_no_other_host(
    registry: HttpRegistry, other: HttpRegistry, shelf: Shelf, realm: str
) -> None:
    image, client = named(registry, shelf.image()), with_password(registry)
    challenge = f'Bearer realm="{realm.format(other=other.host)}",service="s"'
    registry.first = lambda request: send(request, 401, WWW_Authenticate=challenge)
    with pytest.raises(SourceError):
        client.image(image)
    assert other.asked == []
    client.close()


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nHost: x"}', b"x" * 10**5])
def test_a_token_that_is_none_is_refused(registry: HttpRegistry, shelf: Shelf, answer: bytes) -> None:
    image, client = named(registry, shelf.image()), with_password(registry)
    challenge = f'Bearer realm="http://{registry.host}/token"'

    def wants(request: Request) -> bool:
        if request.path.startswith("/token"):
            return send(request, 200, answer)
        return send(request, 401, WWW_Authenticate=challenge)

    registry.first = wants
    with pytest.raises(Wrong, match="its token"):
        client.image(image)
    client.close()


def test_a_registry_that_lets_nobody_in_says_nothing_of_the_image(
    registry: HttpRegistry, client: Registry, shelf: Shelf
) -> None:
    registry.first = lambda request: send(request, 401, WWW_Authenticate="Basic")
    found = verify(f"{registry.host}/{NAME}@{shelf.image()}", client, OURS)
    assert (found.outcome, len(registry.asked)) == ("unreachable", 2)


def test_passwords_are_read_from_a_file_and_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    entry = {"auth": base64.b64encode(f"ann:{PASSWORD}".encode()).decode()}
    file.write_text(json.dumps({"auths": {"registry.low": entry, "empty.low": {}}}))
    found = Credentials.read(file)
    assert found.basic("registry.low") == basic()
    assert found.basic("elsewhere") == ""
    assert PASSWORD not in repr(found)
    for text in (
        "",
        "{",
        "[]",
        '{"auths": 1}',
        '{"auths": {"a": {"auth": "%%"}}}',
        '{"auths": {"a": {"auth": "YWI="}}}',
    ):
        file.write_text(text)
        with pytest.raises(InvalidInput, match="registry_auth_file"):
            Credentials.read(file)
    with pytest.raises(InvalidInput):
        Credentials.read(tmp_path / "none")
