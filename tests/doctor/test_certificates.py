"""Certificates as the doctor sees them: of real servers, one good for long, one that ends, one that has ended."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hub_ext.doctor.certificates import look
from hub_ext.doctor.finding import Finding
from hub_ext.settings import HubExt
from tests.cluster.certificates import make_authority
from tests.functional.conftest import free_port

Serve = Callable[[str, str], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve behind a certificate that is good from and until some time (`20200101000000Z`); return the address."""
    make_authority(tmp_path)
    with ExitStack() as stack:

        def made(begins: str, ends: str) -> str:
            folder = tmp_path / ends
            folder.mkdir()
            _sign(tmp_path, folder, begins, ends)
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "crt", folder / "key")
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who does not believe it hangs up
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"https://127.0.0.1:{server.server_address[1]}"

        yield made


def _sign(authority: Path, folder: Path, begins: str, ends: str) -> None:
    """Have the authority sign a certificate with any dates."""
    (folder / "index").touch()
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=it\n[it]\ndatabase={folder}/index\nnew_certs_dir={folder}\npolicy=any\ndefault_md=sha256\n"
        "rand_serial=yes\nx509_extensions=ext\n[any]\ncommonName=supplied\n[ext]\nsubjectAltName=IP:127.0.0.1\n"
    )
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/key")
    subprocess.run(
        ["openssl", "req", "-new", *key, "-subj", "/CN=it", "-out", f"{folder}/csr"], check=True, capture_output=True
    )
    dates = ("-startdate", begins, "-enddate", ends)
    by = ("-cert", f"{authority}/ca.crt", "-keyfile", f"{authority}/ca.key")
    command = ["openssl", "ca", "-batch", "-config", f"{folder}/ca.cnf", *by, *dates, "-in", f"{folder}/csr"]
    subprocess.run([*command, "-out", f"{folder}/crt"], check=True, capture_output=True)


@pytest.fixture
def settings(tmp_path: Path) -> HubExt:
    """Settings that know the authority."""
    return HubExt(state_dir=str(tmp_path / "state"), sign_in_ca_file=str(tmp_path / "ca.crt"))


def seen(settings: HubExt, address: str) -> Finding:
    settings.sign_in_issuer = address
    (found,) = look("", settings)
    assert found.what == "certificate of the sign-in provider"
    return found


def test_one_that_is_good_for_long(serve: Serve, settings: HubExt) -> None:
    found = seen(settings, serve("20200101000000Z", "21200101000000Z"))
    assert (found.state, "more days" in found.detail) == ("ok", True)


def test_one_that_ends_soon(serve: Serve, settings: HubExt, monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve("20200101000000Z", "20991231000000Z")
    ends = ssl.cert_time_to_seconds("Dec 31 00:00:00 2099 GMT")
    monkeypatch.setattr("hub_ext.doctor.certificates.time.time", lambda: ends - 5 * 86_400)
    found = seen(settings, address)
    assert (found.state, found.detail) == ("warn", "ends in 5 days")
    assert "Renew" in found.advice


def test_one_that_has_ended(serve: Serve, settings: HubExt) -> None:
    found = seen(settings, serve("20200101000000Z", "20200201000000Z"))
    assert found.state == "fail"
    assert "expired" in found.detail


def test_one_of_an_authority_that_nobody_knows(serve: Serve, settings: HubExt) -> None:
    address = serve("20200101000000Z", "21200101000000Z")
    settings.sign_in_ca_file = ""
    found = seen(settings, address)
    assert found.state == "fail"
    assert "is not believed" in found.detail
    assert "sign_in_ca_file" in found.advice


def test_one_for_another_name(serve: Serve, settings: HubExt) -> None:
    found = seen(settings, serve("20200101000000Z", "21200101000000Z").replace("127.0.0.1", "localhost"))
    assert (found.state, "is not believed" in found.detail) == ("fail", True)


def test_where_nobody_listens(settings: HubExt, tmp_path: Path) -> None:
    make_authority(tmp_path)
    found = seen(settings, f"https://127.0.0.1:{free_port()}")
    assert (found.state, "does not answer" in found.detail) == ("fail", True)


def test_what_is_not_behind_tls_is_not_looked_at(settings: HubExt) -> None:
    settings.results_endpoint = "http://127.0.0.1:1"
    assert list(look("http://127.0.0.1:1", settings)) == []
