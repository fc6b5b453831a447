"""Static files: ours first, then JupyterHub's; addresses change with their content; nothing else is served."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_ext.web.pages import assets, rendering, theme

REPORTS_LOAD = ["vendor/require.js", "vendor/jquery.min.js", "vendor/mathjax/tex-svg-full.js"]
PAGES_LOAD = ["hub/components/bootstrap/dist/js/bootstrap.bundle.min.js", "hub/favicon.ico"]


@pytest.mark.parametrize("path", [*REPORTS_LOAD, *PAGES_LOAD, "css/hub-ext.css", "vendor/htmx.min.js"])
def test_what_pages_and_reports_load_is_there(path: str) -> None:
    folder, found = assets.locate(path)
    assert found.is_file()
    assert found.resolve().is_relative_to(folder.resolve())


def templates() -> Iterator[Path]:
    """Yield every template."""
    yield from (assets.OURS.parent / "templates").glob("*.html")


def test_every_file_that_a_template_names_is_there() -> None:
    named = {name for path in templates() for name in re.findall(r"static\('([^']+)'\)", path.read_text())}
    assert "js/run.js" in named
    assert [name for name in named if not assets.locate(name)[1].is_file()] == []


def test_no_page_script_or_style_names_another_host() -> None:
    own = [*templates(), *(assets.OURS / "js").glob("*.js"), *(assets.OURS / "css").glob("*.css")]
    found = {
        (path.name, link)
        for path in own
        for link in re.findall(r"(?:https?:)?//[a-z0-9][^\s\"'<>)]*", path.read_text())
    }
    assert {link for link in found if "www.w3.org" not in link[1]} == set()


def test_templates_hold_no_script_no_style_and_no_handler() -> None:
    for path in templates():
        text = path.read_text()
        text = text.replace("<script>{{ theme }}</script>", "")  # a file of ours, which the policy names by its digest
        assert re.findall(r"<script(?![^>]*\bsrc=)", text) == [], path.name
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=", text) == [], path.name


def test_the_policy_lets_the_script_in_the_head_run_and_no_other() -> None:
    head = rendering.environment().from_string("<script>{{ theme }}</script>").render()
    script = re.search(r"<script>(.*?)</script>", head, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert theme.source() == f"'sha256-{digest}'"


def test_an_address_changes_with_the_content() -> None:
    link = rendering.static_link("/services/workflows/", "css/hub-ext.css")
    assert link == f"/services/workflows/static/v-{assets.digest()}/css/hub-ext.css"


def test_licences_are_beside_what_others_made() -> None:
    listed = (assets.OURS / "vendor" / "LICENSES.md").read_text()
    files = [path for path in (assets.OURS / "vendor").rglob("*") if path.suffix in (".js", ".woff2")]
    assert files
    assert all(path.relative_to(assets.OURS / "vendor").as_posix() in listed for path in files)
