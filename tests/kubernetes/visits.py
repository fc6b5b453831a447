"""What somebody does in front of a browser on a platform in a cluster, from signing in to the report of a run."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import nbformat
from playwright.sync_api import expect

from tests.functional.browser import SERVICE, Visitor
from tests.kubernetes.platforms import wait_for


def sign_in_by_the_provider(visitor: Visitor, who: str, issuer: str) -> None:
    """Sign in at the provider, as somebody who may, and come to the first page."""
    page = visitor.page
    page.context.route(re.compile("googleapis"), lambda route: route.abort())  # a font that the provider's pages want
    url = f"{visitor.platform.url}/hub/login"
    wait_for(lambda: "oauth_login" in httpx.get(url, trust_env=False, timeout=5).text, told="the old Hub answers still")
    visitor.go("")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    visitor.picture("chart-sign-in-by-provider")
    page.click("#login_submit")
    page.wait_for_url(f"{issuer}/**")
    page.fill("input[name=login]", who)
    page.fill("input[name=password]", "anything")
    page.click("[type=submit]")
    page.locator("input[name=prompt][value=consent]").wait_for(state="attached")
    page.click("[type=submit]")
    page.wait_for_url(f"{visitor.platform.url}{SERVICE}")
    visitor.picture("chart-home")
    visitor.foreign.clear()  # the provider is elsewhere, and the only thing that is
    visitor.refused.clear()


def start_a_server(visitor: Visitor, who: str) -> None:
    """Start a server by its card, and wait until JupyterLab is there."""
    page = visitor.page
    page.get_by_role("link", name="Start a server").click()
    page.click("button[aria-label='Start Quick look']")
    page.wait_for_url(f"**/user/{who}/lab**")
    page.wait_for_selector(".jp-Launcher")


def compute(visitor: Visitor, who: str) -> None:
    """Have a kernel of a server that runs say something, which comes by a websocket."""
    page = visitor.page
    page.goto(f"{visitor.platform.url}/user/{who}/lab")
    page.click(".jp-LauncherCard[data-category='Notebook']")
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    cell.click()
    page.keyboard.type("print(6 * 7)")
    output = page.locator(".jp-OutputArea-output pre:has-text('42')")

    def shown() -> bool:  # JupyterLab loses what is run before it is connected to the kernel
        cell.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
        return output.count() > 0

    wait_for(shown, told="the cell prints nothing")
    visitor.picture("chart-gateway")


def publish(visitor: Visitor, tmp_path: Path) -> None:
    """Publish a notebook that doubles a number."""
    cells = [
        nbformat.v4.new_code_cell("n: int = 2", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('twice is', n * 2)"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "twice.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})))
    page = visitor.page
    visitor.go("publish")
    page.get_by_label("Drop a notebook here, or choose one").set_input_files(path)
    page.get_by_role("button", name="Look at it").click()
    page.get_by_label("Profile").select_option("quick-look")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()


def run_to_a_report(visitor: Visitor) -> None:
    """Run it, and read its report."""
    page = visitor.page
    page.get_by_label("N", exact=True).fill("21")
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.run_id()
    visitor.wait_for_state("succeeded")
    report = page.frame_locator("iframe[title='Report of this run']")
    expect(report.get_by_text("twice is 42")).to_be_visible()
