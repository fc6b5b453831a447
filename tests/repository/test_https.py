"""By https from a real `git http-backend`: what opens it is in its file and nowhere else, and nothing waits long."""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow
from hub_ext.repository import git as git_module
from hub_ext.settings import HubExt
from tests.governance.conftest import profile_text
from tests.repository.conftest import Origin, Platform

pytestmark = pytest.mark.backends("sqlite")

MAPS = {"maps/1.yaml": profile_text()}
WORD = "s3cr3t-of-the-repository"


def certificate(folder: Path) -> Path:
    """Make a key and a certificate for this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "host.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


class Host:
    """A host of repositories.

    Attributes:
        certificate: What vouches for it.
        opens: What it is opened with; None opens it to everybody.
        asked: Paths that were asked for, each with what was sent to open it.
        before: May answer in its place.
        seen: Whether the secret stood in an argument of any process while it was asked.
    """

    def __init__(self, root: Path) -> None:
        self.certificate = certificate(root)
        self.opens: str | None = f"cleo:{WORD}"
        self.asked: list[tuple[str, str]] = []
        self.before: Callable[[BaseHTTPRequestHandler], bool] = lambda request: False
        self.seen = False
        self._root = root
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def log_message(self, format: str, *values: object) -> None:  # noqa: A002
                """Say nothing."""

            def do_GET(self) -> None:
                host.answer(self)

            do_POST = do_GET  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request, once it is opened."""
        sent = request.headers.get("Authorization", "")
        self.asked.append((request.path, sent))
        self.seen = self.seen or any(WORD in part for part in _arguments())
        if self.before(request):
            return
        if self.opens is not None and sent != f"Basic {base64.b64encode(self.opens.encode()).decode()}":
            send(request, 401, b"", **{"WWW-Authenticate": 'Basic realm="git"'})
            return
        self._backend(request)

    def _backend(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        length = int(request.headers.get("Content-Length") or 0)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.command,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        body = request.rfile.read(length)
        made = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True)
        head, _, content = made.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
        send(request, int(lines.pop("Status", "200").split()[0]), content, **lines)


def send(request: BaseHTTPRequestHandler, status: int, content: bytes = b"", **headers: str) -> bool:
    """Answer a request; its length is said, since git takes no other end for one."""
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(content)
    return True


def _arguments() -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            yield from process.cmdline()
        except psutil.Error:
            continue


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that has the repository `origin`."""
    made = Host(tmp_path)
    yield made
    made.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file with what opens it."""
    path = tmp_path / "secret"
    path.write_text(f"cleo:{WORD}\n")
    return path


@pytest.fixture
def platform(host: Host, origin: Origin, secret: Path, settings: HubExt, database: Database) -> Platform:
    """A platform that takes its profiles from there."""
    origin.commit(MAPS)
    settings.profiles_repository = f"{host.url}/origin/.git"
    settings.profiles_credentials_file = str(secret)
    settings.profiles_ca_file = str(host.certificate)
    return Platform(settings, database)


def everything_told(platform: Platform, caplog: pytest.LogCaptureFixture) -> str:
    """Return whatever was written down of syncs."""
    with platform.database.read() as session:
        rows = [f"{row.object_id} {row.detail}" for row in session.scalars(select(AuditRow))]
    return " ".join([*rows, caplog.text, str(platform.state())])


def test_a_password_opens_it_and_stands_in_no_argument_and_no_record(
    platform: Platform, host: Host, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert platform.sync().fault == ""
    commit = origin.commit({"rivers/1.yaml": profile_text("rivers")})
    assert platform.sync().commit == commit
    assert platform.proposals() == ["maps@1", "rivers@1"]
    assert not host.seen
    assert WORD not in everything_told(platform, caplog)
    assert {sent for _, sent in host.asked} - {""}


def test_a_token_alone_opens_it_as_well(platform: Platform, host: Host, secret: Path) -> None:
    secret.write_text(WORD)
    host.opens = f"git:{WORD}"
    assert platform.sync().fault == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"cleo:{WORD}x", "what profiles_credentials_file holds is not accepted"),
        (f"cleo:{WORD}\nmore", "is no file with one line"),
        (f"{WORD}\x00", "is no file with one line"),
        (f"{WORD}:", "is no file with one line"),
        ("", "is no file with one line"),
        (None, "is no file with one line"),
    ],
)
def test_what_does_not_open_it_is_told_without_a_word_of_it(
    platform: Platform, secret: Path, content: str | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    if content is None:
        secret.unlink()
    else:
        secret.write_text(content)
    state = platform.sync()
    assert (state.commit, state.fault) == ("", "away")
    assert told in state.error
    assert WORD not in everything_told(platform, caplog)


def test_without_a_file_nobody_is_asked_and_the_page_says_so(platform: Platform) -> None:
    platform.settings.profiles_credentials_file = ""
    other = Platform(platform.settings, platform.database)
    assert other.sync().error == "It does not let us in: profiles_credentials_file is not set."


def test_a_host_that_tells_our_secret_back_is_not_quoted(
    platform: Platform, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    def tell(request: BaseHTTPRequestHandler) -> bool:
        if not request.headers.get("Authorization"):
            return False
        text = f"ERR \x1b[2Jthe word {WORD} is wrong\n".encode()
        content = b"001e# service=git-upload-pack\n0000%04x%s" % (len(text) + 4, text)
        return send(request, 200, content, **{"Content-Type": "application/x-git-upload-pack-advertisement"})

    host.before = tell
    state = platform.sync()
    assert "the word ••• is wrong" in state.error
    assert state.error.isprintable()
    assert WORD not in everything_told(platform, caplog)


def test_a_host_that_leads_elsewhere_is_not_followed(platform: Platform, host: Host, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Host(tmp_path / "elsewhere")

    def lead(request: BaseHTTPRequestHandler) -> bool:
        return send(request, 302, Location=f"{elsewhere.url}{request.path}")

    host.before = lead
    assert platform.sync().fault == "away"
    assert elsewhere.asked == []
    elsewhere.close()


def test_a_host_that_nobody_vouches_for_is_asked_nothing(platform: Platform, host: Host) -> None:
    platform.settings.profiles_ca_file = ""
    other = Platform(platform.settings, platform.database)
    assert "Its certificate is none that this machine trusts" in other.sync().error
    assert host.asked == []


def test_a_host_that_is_away_is_told(platform: Platform, host: Host) -> None:
    host.close()
    assert platform.sync().error == "It does not answer."


def test_an_address_without_a_repository_is_told(platform: Platform, host: Host) -> None:
    platform.settings.profiles_repository = f"{host.url}/nowhere"
    other = Platform(platform.settings, platform.database)
    assert other.sync().error == "There is no git repository that we may see."


def _ours() -> list[psutil.Process]:
    """Return the git programs that are below this process."""
    return [one for one in psutil.Process().children(recursive=True) if one.name().startswith(("git", "timeout"))]


def test_a_host_that_never_ends_is_not_waited_for(
    platform: Platform, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    host.before = lambda request: go_on.wait(180)
    monkeypatch.setattr(git_module, "LONGEST", 2.0)
    began = time.monotonic()
    assert platform.sync().error == "It took more than 2 seconds."
    assert time.monotonic() - began < 50
    assert _ours() == []
    go_on.set()


def test_the_end_of_the_service_ends_a_sync_that_goes_on(platform: Platform, host: Host) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> bool:
        asked.set()
        return go_on.wait(180)

    host.before = hang
    thread = threading.Thread(target=platform.repository.sync)
    thread.start()
    assert asked.wait(90)
    platform.repository.stop()
    thread.join(90)
    assert not thread.is_alive()
    assert platform.state().tried_at is None  # nothing went wrong with the repository
    assert list((platform.settings.state / "profiles").glob("*/*")) == []
    go_on.set()


SYNC = """
import sys
from hub_ext.db.session import Database
from hub_ext.governance.store import CatalogStore
from hub_ext.repository.syncing import Repository
from hub_ext.settings import HubExt
settings = HubExt.from_environment()
database = Database(settings.database)
Repository(database, CatalogStore(settings, database), settings).sync()
"""


def test_a_process_that_is_killed_in_the_middle_of_a_fetch_breaks_nothing(
    platform: Platform, host: Host, origin: Origin
) -> None:
    good = platform.sync().commit
    later = origin.commit({"rivers/1.yaml": profile_text("rivers")})
    asked, go_on = threading.Event(), threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> bool:
        if request.command != "POST" or not request.headers.get("Authorization"):
            return False
        asked.set()
        return go_on.wait(180)

    host.before = hang
    environment = {**os.environ, **platform.settings.to_environment()}
    process = subprocess.Popen([sys.executable, "-c", SYNC], env=environment)
    assert asked.wait(150)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in children:
        child.kill()
    go_on.set()
    root = next((platform.settings.state / "profiles").iterdir())
    left = [one for one in root.iterdir() if one.name.startswith(".fetching-")]
    assert len(left) == 1
    host.before = lambda request: False
    assert platform.state().commit == good
    os.utime(left[0], (time.time() - 7200,) * 2)
    assert platform.sync().commit == later
    assert not left[0].exists()
