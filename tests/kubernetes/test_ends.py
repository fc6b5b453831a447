"""How a server in a pod ends: with its grant, with its longest life unless it is kept, and when nobody uses it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, expect
from tornado.escape import json_encode
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from hub_ext.db.session import Database
from hub_ext.db.tables import ServerStart
from tests.functional.browser import Visitor, chromium, picture_folder, visiting
from tests.functional.clock import forward
from tests.kubernetes.conftest import UsedCluster
from tests.kubernetes.platforms import API, ClusterPlatform, Person, wait_for

pytestmark = [pytest.mark.functional, pytest.mark.timeout(900)]

PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: 1, title: {name}, owner: platform-team}}
spec:
  description: For tests.
  access: {{groups: [{group}]}}
  image: notebooks/standard
  resources: {{cpu: {{request: 0.01, limit: 1}}, memory: {{request: 64Mi, limit: 512Mi}}}}
  lifetime: {{idle: {idle}, maximum: {maximum}, extensions: {extensions}}}
"""
PROFILES = (
    PROFILE.format(name="granted", group="nobody-is-in-it", idle=60, maximum=60, extensions=0),
    PROFILE.format(name="short", group="analysts", idle=60, maximum=2, extensions=1),
    PROFILE.format(name="lasting", group="analysts", idle=60, maximum=120, extensions=1),
    PROFILE.format(name="brief", group="analysts", idle=1, maximum=60, extensions=0),
)
LOOKS = 60.0  # seconds between two looks of a Jupyter server at whether it is idle, and of JupyterHub at its end


@pytest.fixture(scope="module")
def town(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A platform with profiles that end soon."""
    made = ClusterPlatform(tmp_path_factory.mktemp("ends"), cluster, proxied=False, HUB_EXT_ENTITLEMENT_GRACE="5")
    try:
        made.start()
        made.approve(*PROFILES)
        yield made
    finally:
        made.close()


def server_of(person: Person) -> dict[str, Any]:
    """Return what she is told of her one server; nothing where it is no more."""
    items = person.client.get(f"{API}/servers").json()["items"]
    return dict(items[0]) if items else {}


def why_it_ended(person: Person) -> str:
    ((outcome, reason),) = person.outcomes()
    assert outcome == "stopped", reason
    return reason


def all_along(ended: Callable[[], list[str]], until: float) -> None:
    """See that until a time (`time.monotonic`) nothing ends that is to go on."""
    while time.monotonic() < until:
        assert ended() == []
        time.sleep(1)


# --- nobody uses it --------------------------------------------------------------------------------------------------


def work(person: Person, code: str) -> str:
    """Have a kernel of her server run something, without a page that is open; return the kernel's id."""
    kernel = person.client.post(f"/user/{person.name}/api/kernels", json={"name": "python3"})
    assert kernel.status_code == 201, kernel.text
    found = str(kernel.json()["id"])
    asyncio.run(_send(person, found, code))
    wait_for(lambda: state_of(person, found) == "busy")
    return found


async def _send(person: Person, kernel: str, code: str) -> None:
    url = f"{person.platform.url}/user/{person.name}/api/kernels/{kernel}/channels".replace("http", "ws", 1)
    headers = {"Authorization": f"token {person.platform.token(person.name)}"}
    socket = await websocket_connect(HTTPRequest(url, headers=headers, request_timeout=60))
    about = {"msg_id": uuid4().hex, "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"header": about, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json_encode(message))
    while True:  # until the kernel runs it: a connection that is closed before loses the message
        told = json.loads(await asyncio.wait_for(socket.read_message(), 60) or "null")
        assert told is not None, "the connection was closed"
        if told["parent_header"].get("msg_id") == about["msg_id"] and told["content"].get("execution_state") == "busy":
            break
    socket.close()


def state_of(person: Person, kernel: str) -> str:
    return str(person.client.get(f"/user/{person.name}/api/kernels/{kernel}").json().get("execution_state"))


def test_what_nobody_uses_ends_and_a_kernel_that_runs_or_an_open_terminal_is_use(town: ClusterPlatform) -> None:
    idle, busy, typing = (town.person(name) for name in ("idle", "busy", "typing"))
    for person in (idle, busy, typing):
        person.start("brief")
    work(busy, "import time; time.sleep(3600)")
    terminal = typing.client.post(f"/user/{typing.name}/api/terminals", json={})
    assert terminal.status_code == 200, terminal.text
    begun = time.monotonic()
    assert idle.ready()
    wait_for(lambda: "" not in idle.servers(), 60 + 2 * LOOKS + 60, "nobody used it, and it goes on")
    idle.is_clean()
    assert "limit" not in why_it_ended(idle)
    all_along(lambda: [one.name for one in (busy, typing) if not one.ready()], begun + 60 + 2 * LOOKS + 15)
    busy.stop()
    typing.stop()


# --- its longest life, which JupyterLab tells, too -------------------------------------------------------------------


def told_in_jupyterlab(person: Person) -> dict[str, Any]:
    """Return what JupyterLab hears of the end: from the server in the pod, with that server's own token."""
    module = person.client.get(f"/user/{person.name}/lab/extensions/hub-ext-announce/static/remoteEntry.js")
    assert module.status_code == 200
    answer = person.client.get(f"/user/{person.name}/hub-ext/end")
    assert answer.status_code == 200, answer.text
    return {"announced": False} | dict(answer.json())


def test_it_ends_after_its_longest_life_and_another_hour_puts_that_off(town: ClusterPlatform) -> None:
    kept, left = (town.person(name) for name in ("kept", "left"))
    for person in (kept, left):
        person.start("short")
    begun = time.monotonic()
    address = f"{API}/servers/{server_of(kept)['id']}/keep"
    early = kept.client.post(address)
    assert early.status_code == 409, early.text  # it is announced when half of a life of two minutes is over
    wait_for(lambda: told_in_jupyterlab(kept)["announced"])
    assert told_in_jupyterlab(kept)["can_be_kept"] == 1
    wait_for(lambda: kept.client.post(address).status_code == 200)
    assert (server_of(kept)["kept"], server_of(kept)["can_be_kept"]) == (1, 0)
    assert kept.client.post(address).status_code == 409
    wait_for(lambda: "" not in left.servers(), 120 + 2 * LOOKS + 60, "it goes on past its longest life")
    assert "It reached its time limit of 2 minutes" in why_it_ended(left)
    left.is_clean()
    all_along(lambda: [] if kept.ready() else [kept.name], begun + 120 + 2 * LOOKS + 15)
    assert kept.pod()["spec"]["activeDeadlineSeconds"] == 62 * 60  # the cluster itself knows of the hour
    kept.stop()


def test_jupyterlab_in_the_pod_tells_the_end_and_leads_to_another_hour(
    town: ClusterPlatform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lena = town.person("lena")
    lena.start("lasting")
    with chromium() as browser, visiting(browser, town, picture_folder(tmp_path_factory)) as visitor:
        visitor.sign_in(lena.name)
        told = in_jupyterlab(visitor, lena)
        expect(told).to_be_empty()  # it does not end soon
        older(town, lena, minutes=90)
        wait_for(lambda: told_in_jupyterlab(lena)["announced"], told="it is asked again after 20 s")
        told = in_jupyterlab(visitor, lena)
        expect(told).to_contain_text("This server ends at")
        expect(told).to_contain_text("It reaches the longest life that its profile allows.")
        visitor.picture("cluster-announced")
        with visitor.page.expect_popup() as opened:  # JupyterLab stays open beside it
            told.get_by_role("link", name="Keep for another hour").click()
        home = opened.value
        home.get_by_role("button", name="Keep for another hour").click()
        expect(home.get_by_text("The server is kept for another hour.")).to_be_visible()
        wait_for(lambda: not told_in_jupyterlab(lena)["announced"], told="it is kept, and its end is still announced")
        expect(in_jupyterlab(visitor, lena)).to_be_empty()
        assert (visitor.foreign, visitor.refused) == ([], [])
    assert (server_of(lena)["kept"], lena.ready()) == (1, True)
    lena.stop()


def in_jupyterlab(visitor: Visitor, person: Person) -> Locator:
    """Open her JupyterLab, and return where it tells of the end."""
    visitor.page.goto(f"{person.platform.url}/user/{person.name}/lab")
    expect(visitor.page.locator(".jp-Launcher")).to_be_visible()
    found = visitor.page.locator("#hub-ext-end[role=status]")
    expect(found).to_have_count(1)
    return found


def older(town: ClusterPlatform, person: Person, minutes: float) -> None:
    """Let her one server have become ready earlier, as far as its row says."""
    database = Database(f"sqlite:///{town.state / 'hub-ext.sqlite'}")
    with database.write() as session:
        row = session.get_one(ServerStart, server_of(person)["id"])
        assert row.ready_at is not None
        row.ready_at -= timedelta(minutes=minutes)
    database.dispose()


# --- its grant; the last, since the clock that counts is never turned back -------------------------------------------


def test_with_the_grant_it_is_warned_and_then_stopped(town: ClusterPlatform) -> None:
    gwen = town.person("gwen")
    assert gwen.ask("granted").status_code == 403
    until = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    grant = {"profile": "granted", "kind": "person", "name": gwen.name, "until": until, "reason": "To test."}
    given = town.api("clara").post(f"{API}/entitlements", json=grant)
    assert given.status_code == 201, given.text
    gwen.start("granted")
    assert not server_of(gwen)["ending"]
    forward(town, days=10)
    wait_for(lambda: server_of(gwen)["ending"])
    assert gwen.ready()  # warned: it goes on for its grace
    assert gwen.ask("granted", "second").status_code == 403
    forward(town, minutes=6)
    wait_for(lambda: "" not in gwen.servers(), told="its grace is over, and it goes on")
    assert "Your access ended on" in gwen.outcomes()[0][1]
    gwen.is_clean()
    acts = town.api("admin").get(f"{API}/audit", params={"object": f"server:{gwen.name}"}).json()["items"]
    assert {"server.warn", "server.stop"} <= {one["action"] for one in acts}
