"""The whole path on a cluster in a real browser: a server from a profile, its notebook published, runs as Jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from hub_ext.kubernetes.places import namespace_name
from tests.functional.browser import SERVICE, Visitor, chromium, picture_folder, visiting
from tests.kubernetes.platforms import ClusterPlatform, Person
from tests.kubernetes.test_runs import Analyst

pytestmark = [pytest.mark.functional, pytest.mark.browser, pytest.mark.timeout(600)]

GATE = "/tmp/gate"
# It goes on after its third step when the test has seen that.
STEPS = f"""
import os, time
for step in range(6):
    print("step", step, flush=True)
    while step == 2 and not os.path.exists("{GATE}"):
        time.sleep(0.05)
open("steps.csv", "w").write("steps\\n6\\n")
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are left: `HUB_EXT_PICTURES`, or the test's own folder."""
    return picture_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as found:
        yield found


def test_from_a_profile_to_a_report(platform: ClusterPlatform, browser: Browser, pictures: Path) -> None:
    person, runs = platform.person("paula"), Analyst(platform, "paula")
    assert runs.namespace == namespace_name(person.name)
    with visiting(browser, platform, pictures) as paula:
        paula.sign_in(person.name)
        start_a_server(paula, person)
        publish_from_it(paula, person)
        person.stop()
        run_watch_and_read(paula, runs)
        run_and_cancel(paula)
        assert paula.foreign == []
        assert paula.refused == []
    runs.is_clean()


def start_a_server(paula: Visitor, person: Person) -> None:
    page = paula.page
    page.get_by_role("link", name="Start a server").click()
    page.click("button[aria-label='Start Small']")
    page.wait_for_url(f"**/user/{person.name}/lab**")
    expect(page.locator(".jp-LabShell")).to_be_visible()
    expect(page.locator(".jp-Launcher")).to_be_visible()
    paula.picture("cluster-lab")


def publish_from_it(paula: Visitor, person: Person) -> None:
    cells = [nbformat.v4.new_markdown_cell("# Steps on a cluster"), nbformat.v4.new_code_cell(STEPS)]
    content = nbformat.writes(nbformat.v4.new_notebook(cells=cells))
    body = {"type": "file", "format": "text", "content": content}
    answer = person.client.put(f"/user/{person.name}/api/contents/steps.ipynb", json=body)
    assert answer.status_code in (200, 201), answer.text
    page = paula.page
    paula.go("publish")
    page.get_by_role("link", name="Choose from my server").click()
    page.get_by_role("link", name="Ask the Hub").click()
    page.locator("form [type=submit]").click()
    page.wait_for_url(f"**{SERVICE}publish/files*")
    page.get_by_role("button", name="Choose steps.ipynb").click()
    expect(page.get_by_label("Title")).to_have_value("Steps on a cluster")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()


def run(paula: Visitor) -> str:
    """Run what is shown in a profile that fits a small node, until its output comes; return the run's id."""
    page = paula.page
    scratch = page.get_by_label("Scratch", exact=True)
    if not scratch.is_visible():
        page.get_by_text("Where it runs").click()
    scratch.check()
    paula.picture("cluster-form")
    page.get_by_role("button", name="Run", exact=True).click()
    found = paula.run_id()
    expect(page.get_by_role("log")).to_contain_text("step 2")
    assert page.locator("#run").get_attribute("data-state") == "running", "output came only at the end"
    return found


def run_watch_and_read(paula: Visitor, runs: Analyst) -> None:
    page = paula.page
    run(paula)
    paula.picture("cluster-run")
    runs.kubectl("exec", runs.pod(), "-n", runs.namespace, "--", "touch", GATE)
    paula.wait_for_state("succeeded")
    report = page.frame_locator("iframe[title='Report of this run']")
    expect(report.locator("h1").first).to_contain_text("Steps on a cluster")
    expect(report.get_by_text("step 5")).to_be_visible()
    expect(page.get_by_role("link", name="steps.csv")).to_be_visible()
    paula.picture("cluster-report")


def run_and_cancel(paula: Visitor) -> None:
    page = paula.page
    page.get_by_role("link", name="Run again with changes").click()
    run(paula)
    page.get_by_text("Cancel this run…").click()
    page.get_by_role("button", name="Cancel the run").click()
    paula.wait_for_state("cancelled")
    report = page.frame_locator("iframe[title='Report of this run']")
    expect(report.get_by_text("step 2")).to_be_visible()
    paula.picture("cluster-cancelled")
