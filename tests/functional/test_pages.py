"""Pages, as a browser without scripts gets them: signed in, never cached for others, with nothing typed ever lost."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import nbformat
import pytest

from tests.functional.conftest import Platform

pytestmark = [pytest.mark.functional]

S = "/services/workflows/"
SEASON = f"{S}w/examples/seattle-season"

PAGES = [
    "",
    "gallery",
    "gallery?q=season&sort=title",
    "w/examples/seattle-season",
    "runs",
    "publish",
    "profiles",
    "help",
]
PAGES += [f"w/examples/seattle-season?tab={tab}" for tab in ("notebook", "versions", "runs", "access", "nonsense")]


@pytest.fixture(scope="module")
def pia(platform: Platform) -> Iterator[httpx.Client]:
    """A person who uses a browser without scripts."""
    with contextlib.closing(platform.login("pia")) as client:
        yield client


@pytest.fixture(scope="module")
def other(platform: Platform) -> Iterator[httpx.Client]:
    """Somebody else."""
    with contextlib.closing(platform.login("otto")) as client:
        yield client


class Active(HTMLParser):
    """Finds what a page would run or paint by itself: scripts and styles inside of it, and handlers.

    The one script that its policy names by digest (light or dark, before anything is drawn) is no find.
    """

    def __init__(self, policy: str) -> None:
        super().__init__()
        self.policy = policy
        self.found: list[str] = []
        self._inside: str | None = None

    @classmethod
    def of(cls, answer: httpx.Response) -> list[str]:
        (policy,) = re.findall(r"script-src ([^;]*)", answer.headers["Content-Security-Policy"])
        assert len(policy.split()) == 2, "more is let run than static files and one script"
        parser = cls(policy)
        parser.feed(answer.text)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if tag == "script" and "src" not in names:
            self._inside = ""
        if tag == "style":
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self._inside += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._inside is not None:
            digest = base64.b64encode(hashlib.sha256(self._inside.encode()).digest()).decode()
            if f"'sha256-{digest}'" not in self.policy.split():
                self.found.append(tag)
            self._inside = None


_ENTRY = re.compile(r'<a class="nav-link"[^>]*href="([^"]*)"[^>]*>([^<]*)</a>')


@pytest.mark.parametrize(("who", "audits"), [("pia", False), ("aude", True), ("adam", True)])
def test_pages_of_the_hub_and_of_the_service_have_one_bar(platform: Platform, who: str, audits: bool) -> None:
    with contextlib.closing(platform.login(who)) as client:
        ours = _ENTRY.findall(client.get(S).text)
        assert _ENTRY.findall(client.get("/hub/spawn").text) == ours
        assert _ENTRY.findall(client.get("/hub/token").text) == ours
        assert ("Audit" in [label for _, label in ours]) is audits
        mine = {re.search(r'href="([^"]*)">My servers<', client.get(page).text)[1] for page in (S, "/hub/spawn")}
        assert len(mine) == 1
        assert "Named Servers" in client.get(mine.pop()).text


def form(client: httpx.Client, path: str, **fields: str | list[str]) -> httpx.Response:
    """Send a form, with the token that its page holds."""
    found = re.search(r'name="_xsrf" value="([^"]+)"', client.get(f"{S}publish").text)
    assert found
    return client.post(path, data={"_xsrf": found[1], **fields}, follow_redirects=False)


def notebook(source: str, parameters: str = "") -> bytes:
    """Return a notebook file."""
    cells = [nbformat.v4.new_markdown_cell("# A test"), nbformat.v4.new_code_cell(source)]
    if parameters:
        cells.insert(1, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def upload(client: httpx.Client, data: bytes) -> str:
    """Upload a notebook; return the address of its preview."""
    found = re.search(r'name="_xsrf" value="([^"]+)"', client.get(f"{S}publish").text)
    assert found
    answer = client.post(
        f"{S}publish", data={"_xsrf": found[1]}, files={"notebook": ("my.ipynb", data)}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def publish(client: httpx.Client, name: str, data: bytes, visibility: str = "private") -> str:
    """Publish a notebook through the pages; return the address that one is led to."""
    draft = upload(client, data)
    assert client.get(draft).status_code == 200
    answer = form(client, draft, name=name, title=name, description="", tags="", visibility=visibility)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def ended(client: httpx.Client, address: str) -> str:
    """Return the page of a run once it has ended."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        page = client.get(address).text
        if 'data-over="1"' in page:
            return page
        time.sleep(0.2)
    pytest.fail("the run did not end")


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_private_and_runs_no_script_but_ours(pia: httpx.Client, path: str) -> None:
    answer = pia.get(S + path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert Active.of(answer) == []
    assert answer.text.count("<script>") == 1
    assert 'lang="en"' in answer.text
    assert 'href="#main"' in answer.text
    assert answer.text.count("<h1") == 1


@pytest.mark.parametrize("path", ["", "gallery", "r/r-1", "w/a/b", "publish", "audit"])
def test_who_is_not_signed_in_is_led_to_the_sign_in(platform: Platform, path: str) -> None:
    answer = httpx.get(f"{platform.url}{S}{path}", trust_env=False)
    assert answer.status_code == 302
    assert "/hub/api/oauth2/authorize" in answer.headers["Location"]


def test_a_form_that_comes_from_elsewhere_is_refused(pia: httpx.Client) -> None:
    answer = pia.post(f"{SEASON}/favourite", data={"on": "1"}, follow_redirects=False)
    assert answer.status_code == 403
    assert "Reload the page" in answer.text


@pytest.mark.parametrize(
    "path", ["nothing", "w/examples/none", "w/examples/seattle-season?version=99", "r/r-none", "publish/draft/none"]
)
def test_what_is_not_there_is_a_page_that_says_so(pia: httpx.Client, path: str) -> None:
    answer = pia.get(S + path)
    assert answer.status_code == 404
    assert answer.headers["X-Request-Id"] in answer.text
    assert "Open the gallery" in answer.text


def test_static_files_need_no_sign_in_and_are_kept_for_long(platform: Platform, pia: httpx.Client) -> None:
    links = set(re.findall(rf'(?:src|href|content)="({S}static/[^"]+)"', pia.get(f"{S}gallery").text))
    assert len(links) > 4
    for link in links:
        answer = httpx.get(platform.url + link, trust_env=False)
        assert answer.status_code == 200, link
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["vendor/require.js", "vendor/jquery.min.js", "vendor/mathjax/tex-svg-full.js"])
def test_what_stored_reports_load_stays_at_its_address(platform: Platform, path: str) -> None:
    answer = httpx.get(f"{platform.url}{S}static/{path}", trust_env=False)
    assert answer.status_code == 200
    assert "javascript" in answer.headers["Content-Type"]


@pytest.mark.parametrize(
    "path", ["hub/..%2f..%2f..%2fetc/passwd", "%2e%2e/pages/page.py", "x" * 400, "hub/", "", "%00"]
)
def test_no_other_file_is_served(platform: Platform, path: str) -> None:
    answer = httpx.get(f"{platform.url}{S}static/{path}", trust_env=False)
    assert answer.status_code in (400, 403, 404)


# --- the gallery ------------------------------------------------------------------------------------------------------


def test_search_asked_by_htmx_is_the_rows_alone_and_names_its_address(pia: httpx.Client) -> None:
    answer = pia.get(f"{S}gallery?q=seattle&sort=updated", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert answer.text.count("<article") == 1
    assert answer.headers["HX-Push-Url"] == f"{S}gallery?q=seattle"


def test_a_favourite_is_kept_and_given_up(pia: httpx.Client) -> None:
    assert form(pia, f"{SEASON}/favourite", on="1").status_code == 303
    assert "seattle-season" in pia.get(f"{S}gallery?favourites=1").text
    assert "Was this season" in pia.get(S).text
    assert form(pia, f"{SEASON}/favourite", on="0").status_code == 303
    assert "Nothing fits" in pia.get(f"{S}gallery?favourites=1").text


def test_a_search_that_is_too_long_is_told(pia: httpx.Client) -> None:
    answer = pia.get(f"{S}gallery", params={"q": "x" * 300})
    assert answer.status_code == 422
    assert "at most 200" in answer.text


# --- a form without scripts -------------------------------------------------------------------------------------------


def test_after_a_mistake_everything_typed_is_still_there(pia: httpx.Client) -> None:
    fields = {"p.start": "2015-02-30", "p.end": "2015-08-31", "p.measure": "rainfall", "p.window": "99"}
    answer = form(pia, f"{SEASON}/run", **fields)
    assert answer.status_code == 422
    assert 'value="2015-02-30"' in answer.text
    assert 'value="99"' in answer.text
    assert re.search(r'value="rainfall" checked', answer.text)
    assert 'href="#p-window"' in answer.text
    assert "must be at most 31 days" in answer.text
    assert answer.text.count('aria-invalid="true"') == 2
    assert pia.get(f"{SEASON}/run").url.path == SEASON  # reloaded


def test_a_field_is_checked_by_the_same_schema_as_the_order(pia: httpx.Client) -> None:
    answer = form(pia, f"{SEASON}/check", **{"p.window": "99", "p.start": "2015-06-01"})
    assert answer.json() == {"errors": {"window": "must be at most 31 days"}}


def test_a_run_sent_twice_is_one_run_and_with_other_values_another(pia: httpx.Client) -> None:
    key = "0" * 31 + "1"
    first, same, other = (
        form(pia, f"{SEASON}/run", key=key, **{"p.window": window}).headers["Location"] for window in ("7", "7", "8")
    )
    assert first == same != other
    assert "Succeeded" in ended(pia, first)
    ended(pia, other)


def test_the_options_of_the_chosen_profile_count(pia: httpx.Client) -> None:
    fields = {"profile": "standard", "o.standard.memory": "2Gi", "o.large-memory.memory": "16Gi"}
    page = ended(pia, form(pia, f"{SEASON}/run", **fields).headers["Location"])
    assert "at most 2 GB" in page
    wrong = form(pia, f"{SEASON}/run", **{"profile": "standard", "o.standard.memory": "64Gi"})
    assert wrong.status_code == 403
    assert re.search(r"<details[^>]* open>\s*<summary>Where it runs", wrong.text)
    assert form(pia, f"{SEASON}/run", profile="machine-learning").status_code == 403


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_that_fails_says_why_and_what_to_do(pia: httpx.Client) -> None:
    publish(pia, "fails", notebook("import nowhere_at_all"))
    page = ended(pia, form(pia, f"{S}w/pia/fails/run").headers["Location"])
    assert "ModuleNotFoundError" in page
    assert "has no such package" in page
    assert "Run again with changes" in page
    assert "ModuleNotFoundError" in pia.get(f"{S}runs?state=failed").text


def test_a_run_can_be_cancelled_and_ends(pia: httpx.Client) -> None:
    publish(pia, "sleeps", notebook("import time\ntime.sleep(300)"))
    address = form(pia, f"{S}w/pia/sleeps/run").headers["Location"]
    assert "what the running cell was doing is lost" in pia.get(address).text
    assert form(pia, f"{address}/cancel").headers["Location"] == address
    page = ended(pia, address)
    assert '<p class="mb-1 hx-break">Cancelled by pia.</p>' in page
    assert "at most 2 cores</dd>" in page
    assert form(pia, f"{address}/cancel").status_code in (303, 409)


def test_somebody_elses_run_is_nowhere(pia: httpx.Client, other: httpx.Client) -> None:
    address = form(pia, f"{SEASON}/run").headers["Location"]
    assert other.get(address).status_code == 404
    assert other.get(f"{address}/report").status_code == 404
    assert form(other, f"{address}/cancel").status_code == 404
    assert form(other, f"{address}/example", on="1").status_code == 404
    assert other.get(f"{SEASON}?again={address.rpartition('/')[2]}").status_code == 404
    ended(pia, address)


# --- publishing and access --------------------------------------------------------------------------------------------


def test_a_version_that_nobody_reviewed_is_asked_about_once(pia: httpx.Client, other: httpx.Client) -> None:
    where = publish(pia, "asks", notebook("x = 1", "years: int = 5"), visibility="everyone").partition("?")[0]
    assert "Nobody has reviewed" not in pia.get(where).text  # her own
    assert "Nobody has reviewed" in other.get(where).text
    refused = form(other, f"{where}/run", **{"p.years": "x"})
    assert refused.status_code == 422
    assert "Tick this to run it" in refused.text
    assert "must be a whole number" in refused.text  # everything at once
    ended(other, form(other, f"{where}/run", understood="1").headers["Location"])
    assert "Nobody has reviewed" not in other.get(where).text


def test_a_private_workflow_is_for_its_owner_until_she_opens_it(pia: httpx.Client, other: httpx.Client) -> None:
    where = publish(pia, "opens", notebook("1")).partition("?")[0]
    assert other.get(where).status_code == 404
    wrong = form(pia, f"{where}/access", title="", description="About", tags="a", visibility="everyone")
    assert wrong.status_code == 422
    assert "About" in wrong.text
    answer = form(pia, f"{where}/access", title="Open", description="About", tags="a, b", visibility="everyone")
    assert answer.status_code == 303
    assert "Saved." in pia.get(answer.headers["Location"]).text
    assert "Open" in other.get(where).text
    assert form(other, f"{where}/access", title="Mine", visibility="private").status_code == 403


def test_a_notebook_that_cannot_be_published_is_told_by_line(pia: httpx.Client) -> None:
    answer = pia.get(upload(pia, notebook("1", "a = 1\nb = print(a)\n")))
    assert answer.status_code == 422
    assert "Line 2" in answer.text
    answer = pia.get(upload(pia, b"{}"))
    assert answer.status_code == 422
    assert "Nothing was published" in answer.text
    answer = form(pia, f"{S}publish")
    assert answer.status_code == 422
    assert "choose a notebook file" in answer.text


def test_a_mistake_in_what_is_said_loses_nothing(pia: httpx.Client) -> None:
    draft = upload(pia, notebook("1"))
    answer = form(pia, draft, name="Über!", title="T", description="<b>D</b>", tags="x", visibility="everyone")
    assert answer.status_code == 422
    for text in ("Über!", "<b>D</b>"):
        assert html.escape(text) in answer.text
    assert 'href="#a-name"' in answer.text


def test_a_draft_is_for_who_uploaded_it(pia: httpx.Client, other: httpx.Client) -> None:
    draft = upload(pia, notebook("1"))
    assert other.get(draft).status_code == 404
    assert form(other, draft, name="stolen").status_code == 404


def test_publishing_again_makes_the_next_version_and_the_same_again_none(pia: httpx.Client) -> None:
    assert publish(pia, "twice", notebook("1")).endswith("published=new")
    assert publish(pia, "twice", notebook("1")).endswith("published=same")
    where = publish(pia, "twice", notebook("2"))
    assert "Version 2 is published." in pia.get(where).text
    versions = pia.get(f"{S}w/pia/twice?tab=versions").text
    assert versions.count("<article") == 2


def test_the_permission_to_read_files_must_have_been_asked_for_here(pia: httpx.Client) -> None:
    answer = pia.get(f"{S}files/oauth_callback?code=x&state=y")
    assert answer.status_code == 403
    assert "Begin at Publish" in answer.text


# --- the record -------------------------------------------------------------------------------------------------------


def test_the_record_is_for_auditors(platform: Platform, pia: httpx.Client) -> None:
    assert pia.get(f"{S}audit").status_code == 403
    assert pia.get(f"{S}audit/verify").status_code == 403
    assert f"{S}audit" not in pia.get(S).text
    with contextlib.closing(platform.login("aude")) as aude:
        assert f'href="{S}audit"' in aude.get(S).text
        page = aude.get(f"{S}audit?actor=pia&period=all")
        assert page.status_code == 200
        assert "pia" in page.text
        assert "Nothing fits" in aude.get(f"{S}audit?actor=nobody-of-this-name").text
        assert aude.get(f"{S}audit", params={"actor": "x" * 300}).status_code == 422
        assert "Intact." in aude.get(f"{S}audit/verify").text
