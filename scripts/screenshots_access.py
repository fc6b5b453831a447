"""The pictures of access, budgets and people: a platform where some have asked, were granted, and have used."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser  # noqa: E402

from tests.functional.browser import SERVICE, Visitor, chromium, visiting  # noqa: E402
from tests.functional.conftest import Platform, running  # noqa: E402

API = f"{SERVICE}api/v1/"
WHO = "ann"
ROLES = "cleo=curator,aude=auditor"
ASKED = (
    ("bea", "large-memory", "Two years of satellite pictures do not fit into 8 GB."),
    ("carl", "machine-learning", "To train the flood model of the spring campaign."),
)


def later(days: float) -> str:
    """Return a time to come."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def prepare(platform: Platform) -> None:
    """Let some ask, be granted, have budgets, and use what they have."""
    cleo = platform.api("cleo")
    for name, profile, reason in ASKED:
        body = {"profile": profile, "reason": reason, "until": later(60)}
        platform.api(name).post(f"{API}access-requests", json=body)  # a group of hers may already: then she need not
    ask = {"profile": "machine-learning", "reason": "To compare two forecasts of the river."}
    made = platform.api(WHO).post(f"{API}access-requests", json=ask).raise_for_status().json()
    grant = {"verdict": "grant", "until": later(5), "words": "Until the report is out."}
    cleo.post(f"{API}access-requests/{made['id']}/answer", json=grant).raise_for_status()
    for name, limits in ((WHO, {"servers": 2, "cpu_hours": 40, "storage_gb": 50}), ("bea", {"cpu_hours": 120})):
        cleo.put(f"{API}budgets/person/{name}", json=limits | {"reason": "The usual."}).raise_for_status()
    cleo.put(f"{API}budgets/group/analysts", json={"gpu_hours": 200, "cpu_hours": 2000}).raise_for_status()
    for name in (WHO, "bea"):
        hub = platform.api(name)
        hub.post(f"/hub/api/users/{name}/server", json={"profile": "quick-look"}).raise_for_status()
    time.sleep(20)  # hours have to come from somewhere


def walk(platform: Platform, browser: Browser, pictures: Path, **options: object) -> None:
    """Take the pictures."""
    shots = (
        ("dora", (("access-card", "/hub/spawn"),)),
        (WHO, (("access", "access"),)),
        ("cleo", tuple((one, f"access/{one}") for one in ("requests", "budgets"))),
        ("aude", (("person", f"access/people/{WHO}"), ("usage", "access/usage"))),
    )
    for name, pages in shots:
        with visiting(browser, platform, pictures, **options) as visitor:
            visitor.sign_in(name)
            for picture, path in pages:
                look(visitor, path)
                visitor.picture(picture)


def look(visitor: Visitor, path: str) -> None:
    """Open a page; on the start page, the form of a greyed card."""
    if not path.startswith("/"):
        visitor.go(path)
        return
    page = visitor.page
    page.goto(f"{visitor.platform.url}{path}")
    card = page.locator("section", has=page.get_by_role("heading", name="Machine learning"))
    card.get_by_text("Ask for access", exact=True).first.click()
    card.get_by_label("Why you need it").fill("To train the flood model of the spring campaign.")
    card.scroll_into_view_if_needed()


def take_access(folder: Path, browser: Browser, pictures: Path) -> None:
    """Take the pictures of access on a platform of their own."""
    with running(folder / "access", HUB_EXT_ROLES=ROLES) as platform:
        prepare(platform)
        walk(platform, browser, pictures)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="hub-ext-pictures-") as made, chromium() as found:
        take_access(Path(made), found, ROOT / "docs" / "images" if len(sys.argv) < 2 else Path(sys.argv[1]))
