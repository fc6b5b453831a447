"""The whole path in a real browser: from sign-in to a report, from a notebook to a workflow, to the record of it."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.functional.browser import SERVICE, Visitor, picture_folder, visiting
from tests.functional.conftest import Platform

pytestmark = [
    pytest.mark.functional,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]

WHO = "wanda"


def notebook(title: str, source: str, parameters: str = "steps: int = 6  # How many [1..50 steps]") -> str:
    """Return a notebook file."""
    cells = [
        nbformat.v4.new_markdown_cell(f"# {title}\n\nHow does output look while it comes?"),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(source),
    ]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


# It goes on after its third step when the test has seen that.
SLOW = """
import os, time
for step in range(steps):
    print("step", step, flush=True)
    while step == 2 and not os.path.exists(GATE):
        time.sleep(0.05)
    time.sleep(0.2)
open("steps.csv", "w").write("steps\\n6\\n")
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are left: `HUB_EXT_PICTURES`, or the test's own folder."""
    return picture_folder(tmp_path_factory)


def test_the_whole_path(platform: Platform, browser: Browser, pictures: Path, tmp_path: Path) -> None:
    with visiting(browser, platform, pictures) as wanda:
        sign_in(wanda)
        start_a_server(wanda)
        find_a_workflow(wanda)
        run_it_after_a_mistake(wanda)
        run_it_again_with_changes(wanda)
        publish_a_file(wanda, tmp_path)
        run_and_watch(wanda, tmp_path / "gate")
        publish_from_the_server(wanda)
        come_home(wanda)
        assert wanda.foreign == []
        assert wanda.refused == []
    with visiting(browser, platform, pictures) as admin:
        read_the_record(admin)
        assert admin.foreign == []
    left = {path.stem for path in pictures.glob("*.png")}
    assert {"home", "start", "gallery", "workflow", "mistake", "run", "report", "publish", "audit"} <= left


def test_lists_that_are_open_change_by_themselves(platform: Platform, browser: Browser, pictures: Path) -> None:
    with visiting(browser, platform, pictures) as wim:
        wim.sign_in("wim")
        home = wim.page
        expect(home.get_by_text("You have run nothing yet")).to_be_visible()
        runs = wim.context.new_page()
        runs.goto(f"{platform.url}{SERVICE}runs")
        with platform.api("wim") as api:
            answer = api.post(f"{SERVICE}api/v1/workflows/examples/seattle-season/runs", json={})
            assert answer.status_code == 201, answer.text
        expect(runs.locator("tbody tr")).to_have_count(1)
        expect(runs.locator("tbody .hx-pill")).to_contain_text("Succeeded")
        home.bring_to_front()
        expect(home.locator("#last-runs .hx-pill")).to_contain_text("Succeeded")
        assert wim.refused == []


def sign_in(wanda: Visitor) -> None:
    wanda.sign_in(WHO)
    expect(wanda.page.get_by_role("heading", name="Continue")).to_be_visible()
    expect(wanda.page.get_by_text("You have run nothing yet")).to_be_visible()
    expect(wanda.page.get_by_text("No server is running")).to_be_visible()


def start_a_server(wanda: Visitor) -> None:
    page = wanda.page
    page.get_by_role("link", name="Start a server").click()
    card = page.locator("section", has=page.get_by_role("heading", name="Standard analysis"))
    wanda.picture("start")
    card.get_by_role("button", name="Start").click()
    page.wait_for_url(f"**/user/{WHO}/lab*")
    expect(page.locator(".jp-LabShell")).to_be_visible()
    config = page.evaluate("document.getElementById('jupyter-config-data').textContent")
    asked = json.loads(config)
    assert "@jupyterlab/apputils-extension:announcements" in asked["disabledExtensions"]
    assert (asked["buildCheck"], asked["buildAvailable"]) == (False, False), "nobody can build JupyterLab anew"
    wanda.picture("lab")
    wanda.go("")
    expect(page.get_by_role("link", name="Open JupyterLab")).to_be_visible()
    expect(page.get_by_text("Standard analysis")).to_be_visible()


def find_a_workflow(wanda: Visitor) -> None:
    page = wanda.page
    page.get_by_role("link", name="Gallery", exact=True).click()
    search = page.get_by_role("searchbox", name="Search workflows")
    expect(search).to_be_focused()
    expect(page.locator("article").nth(3)).to_be_visible()
    wanda.picture("gallery")
    search.type("SEATTLE season")
    expect(page.locator("article")).to_have_count(1)
    page.wait_for_url("**/gallery?q=SEATTLE+season")
    star = page.get_by_role("button", name="Favourite", exact=True)
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Was this season in Seattle unusual?").click()
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("SEATTLE season")
    expect(page.locator("article")).to_have_count(1)
    page.get_by_role("link", name="Was this season in Seattle unusual?").click()
    expect(page.get_by_role("heading", name="What it answers")).to_be_visible()
    wanda.picture("workflow")


def run_it_after_a_mistake(wanda: Visitor) -> None:
    page = wanda.page
    field, error = page.get_by_label("Window"), page.locator("#e-p-window")
    field.fill("99")
    page.get_by_label("Dry below").focus()
    expect(error).to_contain_text("31")  # said as the field is left
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(field).to_have_value("99")
    wanda.picture("mistake")
    page.get_by_role("alert").get_by_role("link").click()
    expect(field).to_be_focused()
    field.fill("14")
    page.get_by_label("Dry below").focus()
    expect(error).to_be_empty()
    page.get_by_role("button", name="Run", exact=True).click()
    wanda.run_id()
    wanda.wait_for_state("succeeded")
    report = page.frame_locator("iframe[title='Report of this run']")
    expect(report.locator("h1").first).to_contain_text("Seattle")
    expect(page.get_by_role("link", name="seattle-season-days.csv")).to_be_visible()
    wanda.picture("report")


def run_it_again_with_changes(wanda: Visitor) -> None:
    page = wanda.page
    first = wanda.run_id()
    page.get_by_role("link", name="Run again with changes").click()
    expect(page.get_by_label("Window")).to_have_value("14")
    page.get_by_label("rainfall").check()
    page.get_by_role("button", name="Run", exact=True).click()
    second = wanda.run_id()
    assert second != first
    wanda.wait_for_state("succeeded")
    expect(page.locator("dl").first).to_contain_text("rainfall")


def publish_a_file(wanda: Visitor, folder: Path) -> None:
    page = wanda.page
    file = folder / "output-as-it-comes.ipynb"
    page.get_by_role("link", name="Publish", exact=True).click()
    file.write_text(notebook("Broken", "1", parameters="steps = 0 if True else 1 = 2"))
    page.get_by_label("Drop a notebook here, or choose one").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("heading", name="This notebook cannot be published yet")).to_be_visible()
    page.get_by_role("link", name="Choose a notebook").click()
    file.write_text(notebook("Output <i>as it</i> comes", SLOW.replace("GATE", repr(str(folder / "gate")))))
    page.get_by_label("Drop a notebook here, or choose one").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_label("Steps")).to_have_value("6")
    page.get_by_label("Name").fill("Not a name!")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("alert")).to_contain_text("not-a-name")
    page.get_by_label("Name").fill("output-as-it-comes")
    page.get_by_label("Tags").fill("example, output")
    page.get_by_label("Everyone who can sign in").check()
    wanda.picture("publish")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()


def run_and_watch(wanda: Visitor, gate: Path) -> None:
    page = wanda.page
    page.get_by_role("button", name="Run", exact=True).click()
    wanda.run_id()
    output = page.get_by_role("log")
    expect(output).to_contain_text("step 2")
    assert page.locator("#run").get_attribute("data-state") == "running", "output came only at the end"
    expect(page.locator("#doing")).to_contain_text("Cell 2 of 2")
    wanda.picture("run")
    gate.touch()
    wanda.wait_for_state("succeeded")
    page.get_by_role("button", name="Show the output as it came").click()
    expect(output).to_contain_text("step 5")
    page.get_by_role("button", name="Use as example").click()
    expect(page.get_by_text("Example of its workflow")).to_be_visible()


def publish_from_the_server(wanda: Visitor) -> None:
    page = wanda.page
    with wanda.platform.api(WHO) as api:
        for path, body in (
            ("analysis", {"type": "directory"}),
            ("analysis/rain days.ipynb", {"type": "file", "format": "text", "content": notebook("Rain days", "steps")}),
        ):
            answer = api.put(f"/user/{WHO}/api/contents/{path}", json=body)
            assert answer.status_code in (200, 201), answer.text
    wanda.go("publish")
    page.get_by_role("link", name="Choose from my server").click()
    page.get_by_role("link", name="Ask the Hub").click()
    wanda.picture("confirm")
    page.locator("form [type=submit]").click()
    page.wait_for_url(f"**{SERVICE}publish/files*")
    page.get_by_role("link", name="analysis").click()
    wanda.picture("files")
    page.get_by_role("button", name="Choose rain days.ipynb").click()
    expect(page.get_by_label("Title")).to_have_value("Rain days")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()
    wanda.go("publish/files")
    expect(page.get_by_role("link", name="Ask the Hub")).to_be_visible()  # the permission was for that one file


def come_home(wanda: Visitor) -> None:
    page = wanda.page
    wanda.go("")
    expect(page.get_by_role("link", name="Run again")).to_have_count(3)
    expect(page.get_by_role("link", name="Was this season in Seattle unusual?").first).to_be_visible()
    wanda.picture("home")
    page.get_by_role("button", name="Dark or light").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    wanda.go("runs")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    wanda.picture("runs-dark")


def read_the_record(admin: Visitor) -> None:
    page = admin.page
    admin.sign_in("admin")
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("One trust domain.")).to_be_visible()
    page.get_by_label("Who").fill(WHO)
    page.get_by_label("What").fill("workflow.publish")
    page.get_by_role("button", name="Filter").click()
    row = page.get_by_role("row", name=f"{WHO} workflow.publish workflow {WHO}/output-as-it-comes")
    row.get_by_text("Open").click()
    expect(row).to_contain_text("sha256:")
    admin.picture("audit")
    page.get_by_role("link", name="Verify the record").click()
    expect(page.get_by_text("Intact.")).to_be_visible()
