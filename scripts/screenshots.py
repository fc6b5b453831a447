"""Take the pictures in docs/images: a platform of its own, an analyst who walks through it, Debian's Chromium."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.functional.browser import SERVICE, Visitor, chromium, visiting  # noqa: E402
from tests.functional.conftest import Platform, running  # noqa: E402

API = f"{SERVICE}api/v1"
WHO = "ann"
SEASON = "w/examples/seattle-season"
EARLIER = (
    ("seattle-season", {"window": 14}),
    ("seattle-season", {"measure": "rainfall"}),
    ("car-fuel-benchmark", {}),
    ("jobs-after-recession", {}),
    ("tumour-test-threshold", {}),
    ("relief-flight-route", {}),
)


def prepare(platform: Platform) -> None:
    """Run some workflows three times each, so that the gallery looks as after a day of use."""
    waiting = []
    with platform.api(WHO) as api:
        for name, parameters in EARLIER * 3:
            body = {"parameters": parameters}
            waiting.append(api.post(f"{API}/workflows/examples/{name}/runs", json=body).raise_for_status().json()["id"])
        for name in ("seattle-season", "jobs-after-recession"):
            api.put(f"{API}/workflows/examples/{name}/favourite").raise_for_status()
        deadline = time.monotonic() + 300
        while waiting and time.monotonic() < deadline:
            waiting = [one for one in waiting if not api.get(f"{API}/runs/{one}").raise_for_status().json()["ended_at"]]
            time.sleep(0.5)
    if waiting:
        sys.exit("The runs did not end in time.")


def walk(ann: Visitor) -> None:
    """Take the pictures that do not depend on each other."""
    page = ann.page
    ann.sign_in(WHO)
    page.goto(f"{ann.platform.url}/hub/spawn")
    page.get_by_role("heading", name="Standard analysis").wait_for()
    ann.picture("start")
    for name, path in (("home", ""), ("gallery", "gallery"), ("workflow", SEASON), ("profiles", "profiles")):
        ann.go(path)
        ann.picture(name)


def walk_a_run(ann: Visitor) -> None:
    """Take the pictures of a run that ends while it is looked at."""
    page = ann.page
    ann.go(SEASON)
    page.get_by_label("rainfall").check()
    page.get_by_role("button", name="Run", exact=True).click()
    ann.run_id()
    ann.wait_for_state("succeeded")
    page.frame_locator("iframe").locator("img").first.wait_for()
    ann.picture("run")


def walk_publishing(ann: Visitor) -> None:
    """Take the picture of a notebook that is about to be published."""
    page = ann.page
    ann.go("publish")
    page.set_input_files("#notebook", ROOT / "shared_notebooks" / "car-fuel-benchmark.ipynb")
    page.get_by_role("button", name="Look at it").click()
    page.get_by_role("button", name="Publish").wait_for()
    ann.picture("publish")


def main() -> int:
    """Take all pictures; return an exit code."""
    pictures = ROOT / "docs" / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="hub-ext-pictures-") as folder,
        running(Path(folder) / "state") as platform,
        chromium() as browser,
    ):
        prepare(platform)
        with visiting(browser, platform, pictures) as ann:
            walk(ann)
            walk_a_run(ann)
            walk_publishing(ann)
        with visiting(browser, platform, pictures) as admin:
            admin.sign_in("admin")
            admin.go("audit")
            admin.picture("audit")
        with visiting(browser, platform, pictures, color_scheme="dark") as ann:
            ann.sign_in(WHO)
            ann.go("gallery")
            ann.picture("gallery-dark")
    print(f"{len(list(pictures.glob('*.png')))} pictures in {pictures.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
