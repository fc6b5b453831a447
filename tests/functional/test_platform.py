"""`hub-ext up` as a person meets it: its first words, its refusals, crashes, and two platforms on one machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.timing import Pauses

pytestmark = [pytest.mark.functional]

QUICK = {"profile": "quick-look"}
COMMAND = str(Path(sys.executable).parent / "hub-ext")


def until(what: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true value; fail after a while. What does not answer yet is asked again."""
    deadline, pause = time.monotonic() + seconds, Pauses()
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, AssertionError):
            found = what()
            if found:
                return found
        pause()
    return pytest.fail("it did not happen in time")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, platform_class: Any) -> Iterator[Any]:
    """A platform of this module's own, that may be killed."""
    found = platform_class(tmp_path_factory.mktemp("own") / "state")
    found.password = ""  # it makes its own
    try:
        found.start()
        until(lambda: "Ctrl-C stops everything" in found.said())
        found.password = _password_in(found.said())
        yield found
    finally:
        found.close()


def _password_in(words: str) -> str:
    password = re.search(r"Password\s+(\S+)", words)
    assert password
    return password[1]


def refuse(environ: dict[str, str], seconds: float = 60) -> tuple[int, str]:
    """Run `hub-ext up` where it cannot start; return exit code and what it said."""
    done = subprocess.run([COMMAND, "up"], env=environ, capture_output=True, text=True, timeout=seconds, check=False)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    return done.returncode, said


def read(platform: Any, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{platform.state / 'hub-ext.sqlite'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def singleuser(user: str, state: Path) -> list[psutil.Process]:
    """Return the server processes of a person on one platform."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environ = process.environ()
            ours = environ.get("HOME", "").startswith(str(state))
            if ours and environ.get("JUPYTERHUB_USER") == user and "jupyterhub.singleuser" in process.cmdline():
                found.append(process)
    return found


def of_platform(platform: Any) -> list[psutil.Process]:
    """Return every process that names the state folder: in its command, its environment or as its working folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
            if any(str(platform.state) in word for word in words):
                found.append(process)
    return [one for one in found if one.pid != platform.process.pid]


# Its first words.


def test_the_first_start_shows_address_state_and_password_once(own: Any) -> None:
    assert f"hub-ext is running at {own.url}" in own.said()
    assert str(own.state) in own.said()
    assert own.login("ana").get("/services/workflows/").status_code == 200
    for path in own.state.rglob("*"):
        if path.is_file() and path.stat().st_size < 10**7:
            assert own.password.encode() not in path.read_bytes()


def test_its_keys_are_for_its_owner_alone(own: Any) -> None:
    files = list((own.state / "keys").iterdir())
    assert files
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {path.name: "0o600" for path in files}


def test_the_threads_of_the_hub_keep_little_memory(own: Any) -> None:
    assert own.hub().environ()["MALLOC_ARENA_MAX"] == os.environ.get("MALLOC_ARENA_MAX", "2")


def test_nothing_listens_beyond_the_loopback_address(own: Any) -> None:
    listening = {
        (connection.laddr.ip, process.name())
        for process in [*of_platform(own), psutil.Process(own.process.pid)]
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert {address for address, _ in listening} == {"127.0.0.1"}


# Who comes in.


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("", 400, "Type a name"),
        ("x" * 300, 400, "300 characters"),
        ("🦊", 400, "cannot be used"),
        ("admin/../x", 400, "cannot be used"),
        ("examples", 400, "nobody signs in under it"),
        ("ana<script>", 400, "cannot be used"),
        ("somebody", 403, "Invalid username or password"),
    ],
)
def test_a_sign_in_that_cannot_be_says_why_on_the_page(own: Any, name: str, status: int, words: str) -> None:
    with httpx.Client(base_url=own.url, trust_env=False) as browser:
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', browser.get("/hub/login").text)
        assert xsrf
        answer = browser.post("/hub/login", data={"username": name, "password": "wrong", "_xsrf": xsrf[1]})
    assert answer.status_code == status
    assert words in answer.text
    assert "<script>" not in answer.text.split("<main")[1].split("</main>")[0]


def test_too_many_wrong_passwords_have_to_wait(own: Any) -> None:
    body = {"auth": {"username": "guessed", "password": "wrong"}}
    for _ in range(5):
        assert httpx.post(f"{own.url}/hub/api/users/guessed/tokens", json=body, trust_env=False).status_code == 403
    with httpx.Client(base_url=own.url, trust_env=False) as browser:
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', browser.get("/hub/login").text)
        assert xsrf
        answer = browser.post("/hub/login", data={"username": "guessed", "password": own.password, "_xsrf": xsrf[1]})
    assert answer.status_code == 429
    assert re.search(r"Wait \d+ seconds", answer.text)
    assert int(answer.headers["Retry-After"]) > 0


# What it refuses, in one sentence.


def test_a_second_start_on_the_same_state_names_the_process_that_has_it(own: Any) -> None:
    code, said = refuse(own.environment | {"HUB_EXT_PORT": "1"})
    assert code == 1
    assert f"is used by a running platform (process {own.process.pid})" in said


def test_a_port_that_is_taken_is_named_with_who_has_it(own: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = refuse(own.environment | {"HUB_EXT_PORT": str(port), "HUB_EXT_STATE": str(tmp_path / "other")})
    assert code == 1
    assert f"The port {port} is taken by process" in said
    assert "HUB_EXT_PORT" in said


@pytest.mark.parametrize("folder", ["/proc/hub-ext", "{tmp}/file", "{tmp}/file/below"])
def test_a_state_folder_that_cannot_be_written_is_one_sentence(own: Any, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    code, said = refuse(own.environment | {"HUB_EXT_STATE": folder.format(tmp=tmp_path)})
    assert code == 1
    assert "cannot be written" in said
    assert "HUB_EXT_STATE" in said


def test_a_hub_that_cannot_start_says_why_and_leaves_nothing_running(own: Any, tmp_path: Path) -> None:
    state = tmp_path / "broken"
    (state / "jupyterhub.sqlite").mkdir(parents=True)
    code, said = refuse(own.environment | {"HUB_EXT_STATE": str(state), "HUB_EXT_PORT": str(free_port())}, 120)
    assert code == 1
    assert "The Hub ended while the Hub was starting" in said
    assert "Failed to connect to db" in said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_unknown_role_names_the_variable(tmp_path: Path) -> None:
    code = (
        "import os, sys; from hub_ext.embedded.up import main; from hub_ext.settings import HubExt;"
        "os.environ['HUB_EXT_ROLES'] = 'clara=king';"
        "sys.exit(main(HubExt(state_dir=sys.argv[1]), 1, None))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "HUB_EXT_ROLES: there is no role 'king'" in done.stderr
    assert not (tmp_path / "state").exists()


# Crashes.


def servers_of(platform: Any, user: str) -> dict[str, Any]:
    """Return what the Hub says of a person's servers; an answer of a proxy that has no routes yet is none (`until`)."""
    answer = platform.api(user).get(f"/hub/api/users/{user}")
    answer.raise_for_status()
    return dict(answer.json()["servers"])


def kill_hub(platform: Any) -> None:
    """Kill the Hub, and wait for the next one: for a moment service and proxy of the one before still answer."""
    hub = platform.hub()
    hub.kill()
    until(lambda: platform.hub() != hub)
    platform.wait_until_up()


def ready(platform: Any, user: str) -> psutil.Process:
    """Start a server; return its process."""
    api = platform.api(user)
    assert api.post(f"/hub/api/users/{user}/server", json=QUICK).status_code in (201, 202)
    until(lambda: api.get(f"/user/{user}/api/status").status_code == 200)
    (process,) = singleuser(user, platform.state)
    return process


def test_a_killed_service_is_back_at_once(own: Any) -> None:
    (worker,) = own.recorded("service").children()
    worker.kill()
    own.wait_until_up(30)
    assert own.recorded("service").children() != [worker]


def test_a_killed_hub_is_started_again_and_live_servers_go_on(own: Any) -> None:
    server = ready(own, "lives")
    before, hub, proxy = server.environ()["HUB_EXT_SERVER_START"], own.hub(), own.recorded("proxy")
    hub.kill()
    until(lambda: "The Hub ended unexpectedly (signal SIGKILL); starting it again." in own.said())
    until(lambda: own.hub() != hub)
    own.wait_until_up()
    assert server.is_running()
    assert not proxy.is_running() or proxy.status() == psutil.STATUS_ZOMBIE
    api = own.api("lives")
    assert until(lambda: api.get("/user/lives/api/status").status_code == 200)
    until(lambda: servers_of(own, "lives").get("", {}).get("ready"))
    assert read(own, f"SELECT outcome FROM server_starts WHERE id = '{before}'") == [("ready",)]


def test_an_adopted_server_is_stopped_with_its_token(own: Any) -> None:
    (server,) = singleuser("lives", own.state)
    token = server.environ()["JUPYTERHUB_API_TOKEN"]
    headers = {"Authorization": f"token {token}"}
    assert httpx.get(f"{own.url}/hub/api/user", headers=headers, trust_env=False).status_code == 200
    assert own.api("lives").request("DELETE", "/hub/api/users/lives/server").status_code in (202, 204)
    until(lambda: not singleuser("lives", own.state))
    until(lambda: httpx.get(f"{own.url}/hub/api/user", headers=headers, trust_env=False).status_code == 403)
    until(lambda: read(own, "SELECT outcome FROM server_starts WHERE user_name = 'lives'") == [("stopped",)])


def test_a_server_that_dies_is_noticed_and_written_down(own: Any) -> None:
    ready(own, "dies").kill()
    until(lambda: not servers_of(own, "dies"))
    assert until(lambda: read(own, "SELECT outcome, reason FROM server_starts WHERE user_name = 'dies'")) == [
        ("stopped", "It ended by itself.")
    ]


def test_a_hub_that_is_killed_during_a_start_leaves_a_true_state(own: Any) -> None:
    api = own.api("half")
    with contextlib.suppress(httpx.HTTPError):
        api.post("/hub/api/users/half/server", json=QUICK, timeout=0.8)
    until(lambda: singleuser("half", own.state))
    kill_hub(own)

    def true() -> bool:
        server = servers_of(own, "half").get("")
        runs = bool(singleuser("half", own.state))
        ((outcome,),) = read(own, "SELECT outcome FROM server_starts WHERE user_name = 'half'")
        if server and server["ready"]:
            return runs and bool(outcome == "ready")
        return not server and not runs and outcome in ("failed", "stopped")

    until(true, 90)
    api.request("DELETE", "/hub/api/users/half/server")


def test_after_everything_was_killed_the_next_start_ends_leftovers_and_adopts_servers(own: Any) -> None:
    server = ready(own, "stays")
    hub, service = own.hub(), own.recorded("service")
    own.process.kill()  # the Hub goes on for now: it is what the next start finds
    own.process.wait()
    assert hub.is_running()
    before = len(own.said())
    own.launch()
    until(lambda: "is running at" in own.said()[before:])
    assert "Ending what an earlier start left: hub" in own.said()[before:]
    for one in (hub, service):
        assert not one.is_running() or one.status() == psutil.STATUS_ZOMBIE
    assert server.is_running()
    until(lambda: own.api("stays").get("/user/stays/api/status").status_code == 200)


# The end.


def test_sigterm_stops_everything_and_the_next_start_finds_it_as_it_was(own: Any) -> None:
    """As Ctrl-C does, once and twice: see test_start_and_stop.py."""
    ready(own, "ends")
    assert own.stop(signal.SIGTERM) == 0
    assert of_platform(own) == []
    before = own.said()
    own.start()
    assert "Password" not in own.said().removeprefix(before)
    assert own.login("ana").get("/services/workflows/").status_code == 200
    assert read(own, "SELECT count(*) FROM server_starts WHERE outcome IN ('starting', 'ready')") == [(0,)]


# Two of them.


@pytest.mark.browser
def test_two_platforms_are_used_in_one_browser_at_the_same_time(own: Any, platform: Any) -> None:
    from playwright.sync_api import Page, expect, sync_playwright

    def sign_in(page: Page, one: Any, name: str) -> None:
        page.goto(f"{one.url}/hub/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(one.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{one.url}/services/workflows/**")

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        browser = chromium.new_context()
        first, second = browser.new_page(), browser.new_page()
        sign_in(first, own, "twin")
        sign_in(second, platform, "other")
        first.goto(f"{own.url}/hub/spawn")
        second.goto(f"{platform.url}/hub/spawn")  # after the first page was shown: its form has to stay good
        first.get_by_role("button", name="Start Quick look").click()
        second.get_by_role("button", name="Start Quick look").click()
        first.wait_for_url("**/user/twin/lab**", timeout=90_000)
        second.wait_for_url("**/user/other/lab**", timeout=90_000)
        first.goto(f"{own.url}/services/workflows/")
        expect(first.get_by_text("twin").first).to_be_attached()
        second.goto(f"{platform.url}/services/workflows/")
        expect(second.get_by_text("other").first).to_be_attached()
        chromium.close()
    for one, name in ((own, "twin"), (platform, "other")):
        assert one.api(name).request("DELETE", f"/hub/api/users/{name}/server").status_code in (202, 204)
    assert own.state != platform.state
    assert not {process.pid for process in of_platform(own)} & {process.pid for process in of_platform(platform)}


# The end of patience.


def test_a_hub_that_dies_again_and_again_is_given_up_on(own: Any) -> None:
    killed: set[int] = set()

    def given_up() -> bool:
        if own.process.poll() is not None:
            return True
        hub = own.hub()
        if hub.pid not in killed:
            killed.add(hub.pid)
            hub.kill()
        return False

    until(given_up, 90)
    assert len(killed) == 5
    assert own.process.returncode == 1
    assert "The Hub ended 5 times in a minute" in own.said()
    until(lambda: of_platform(own) == [], 10)
