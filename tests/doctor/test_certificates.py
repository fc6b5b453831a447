"""Certificates as the doctor sees them: of real servers, one good for long, one that ends, one that has ended."""

from __future__ import annotations

import http.server
import json
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
from tests.functional.conftest import COMMAND, clean_environment, free_port

Serve = Callable[[str, str], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve behind a certificate that is good from and until some time (`20200101000000Z`), or was signed by itself
    (until `itself`); return the address."""
    make_authority(tmp_path)
    with ExitStack() as stack:

        def made(begins: str, ends: str) -> str:
            folder = tmp_path / ends
            folder.mkdir()
            (_sign_itself if ends == "itself" else _sign)(tmp_path, folder, begins, ends)
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


def _sign_itself(_authority: Path, folder: Path, _begins: str, _ends: str) -> None:
    files = ("-keyout", f"{folder}/key", "-out", f"{folder}/crt")
    name = ("-subj", "/CN=it", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "300")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *name], check=True, capture_output=True
    )


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


def of_the_platform(settings: HubExt, public: str, proxy: str = "") -> Finding:
    (found,) = look("", settings, public=public, proxy=proxy)
    assert found.what == "certificate of the platform"
    return found


GOOD = ("20200101000000Z", "21200101000000Z")


def test_that_of_the_address_that_browsers_use(serve: Serve, settings: HubExt, monkeypatch: pytest.MonkeyPatch) -> None:
    public = serve(*GOOD)
    assert of_the_platform(settings, public).state == "ok"
    assert "expired" in of_the_platform(settings, serve("20200101000000Z", "20200201000000Z")).detail
    other = of_the_platform(settings, public.replace("127.0.0.1", "localhost"))
    assert (other.state, "is not believed" in other.detail) == ("fail", True)
    ends = ssl.cert_time_to_seconds("Jan 1 00:00:00 2120 GMT")
    monkeypatch.setattr("hub_ext.doctor.certificates.time.time", lambda: ends - 20 * 86_400)
    assert of_the_platform(settings, public).state == "warn"


def test_one_that_signed_itself(tmp_path: Path, serve: Serve, settings: HubExt) -> None:
    address = serve("20200101000000Z", "itself")
    found = of_the_platform(settings, address)
    assert found.state == "fail"
    assert "self-signed certificate" in found.detail
    settings.results_ca_file = str(tmp_path / "itself" / "crt")
    assert of_the_platform(settings, address).state == "ok"


def test_a_public_address_that_leads_nowhere_from_here_is_no_fault_and_the_proxy_is_asked(
    serve: Serve, settings: HubExt
) -> None:
    public = f"https://127.0.0.1:{free_port()}"
    found = of_the_platform(settings, public)
    assert (found.state, "does not answer from here" in found.detail) == ("warn", True)
    assert "--url" in found.advice
    proxy = serve(*GOOD).removeprefix("https://")
    assert of_the_platform(settings, public, proxy).state == "ok"
    other = of_the_platform(settings, public.replace("127.0.0.1", "hub.invalid"), proxy)
    assert (other.state, "is not believed" in other.detail) == ("fail", True)
    assert of_the_platform(settings, public, f"127.0.0.1:{free_port()}").state == "warn"


def test_an_address_that_was_named_has_to_answer(serve: Serve, settings: HubExt) -> None:
    (found,) = look(f"https://127.0.0.1:{free_port()}", settings, public=serve(*GOOD))
    assert (found.state, found.detail.endswith("does not answer")) == ("fail", True)


def test_the_command_takes_the_public_address_from_the_environment(
    tmp_path: Path, serve: Serve, settings: HubExt
) -> None:
    public = serve(*GOOD)
    environ = clean_environment() | {
        "HUB_EXT_STATE": str(settings.state_dir),
        "HUB_EXT_PUBLIC_URL": public,
        "HUB_EXT_SIGN_IN_CA_FILE": str(tmp_path / "ca.crt"),
    }
    command = [COMMAND[0], "doctor", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    found = {one["what"]: one["state"] for one in json.loads(done.stdout)}
    assert found["certificate of the platform"] == "ok", done.stdout


def test_where_nobody_listens(settings: HubExt, tmp_path: Path) -> None:
    make_authority(tmp_path)
    found = seen(settings, f"https://127.0.0.1:{free_port()}")
    assert (found.state, "does not answer" in found.detail) == ("fail", True)


def test_what_is_not_behind_tls_is_not_looked_at(settings: HubExt) -> None:
    settings.results_endpoint = "http://127.0.0.1:1"
    assert list(look("http://127.0.0.1:1", settings)) == []
