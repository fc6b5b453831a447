"""Take the pictures in docs/images: a platform of its own, an analyst who walks through it, Debian's Chromium."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser  # noqa: E402

from scripts.screenshots_access import take_access  # noqa: E402
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


MAPS = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: maps, version: {version}, title: Maps and terrain, owner: gis-team, tags: [gis, python]}}
spec:
  description: GeoPandas and GDAL for maps, terrain and satellite pictures.
  access: {{groups: [{groups}]}}
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: 2}}, memory: {{request: 1Gi, limit: {usual}}}}}
  options:
    memory: {{title: Memory, type: quantity, choices: [{memory}], default: {usual}, sets: resources.memory.limit}}
  storage: {{home: {{size: 10Gi}}}}
  network: {{egress: [{egress}]}}
"""
ROLES = "cleo=curator,eva=curator,omar=curator"


def propose(platform: Platform, message: str, approvers: tuple[str, ...], **about: object) -> None:
    """Propose a version of a profile as Cleo, and approve it as others."""
    text = MAPS.format(**about)
    path = f"{API}/profiles/maps/versions"
    made = platform.api("cleo").post(path, json={"content": text, "message": message}).raise_for_status().json()
    for name in approvers:
        body = {"verdict": "approve", "digest": made["digest"], "comment": "The catalog has what we need."}
        platform.api(name).post(f"{path}/{about['version']}/approvals", json=body).raise_for_status()


def curate(platform: Platform) -> None:
    """Bring a catalog to the middle of a curator's day."""
    first = {"version": 1, "groups": "analysts", "usual": "4Gi", "memory": "4Gi, 8Gi", "egress": ""}
    propose(platform, "For the new maps.", ("eva", "omar"), **first)
    start = {"profile": "maps", "options": {"memory": "8Gi"}}
    platform.api(WHO).post(f"/hub/api/users/{WHO}/server", json=start).raise_for_status()
    data = "{namespace: data, labels: {app: catalog}, ports: [443]}"
    second = {
        "version": 2,
        "groups": "analysts, map-makers",
        "usual": "6Gi",
        "memory": "4Gi, 6Gi, 16Gi",
        "egress": data,
    }
    propose(platform, "Satellite pictures need more memory, and the data catalog.", ("eva",), **second)


def walk_as_curator(omar: Visitor) -> None:
    """Take the pictures of the catalog."""
    page = omar.page
    omar.sign_in("omar")
    omar.go("profiles")
    deadline = time.monotonic() + 60
    while "being checked" in page.inner_text("main") and time.monotonic() < deadline:
        page.wait_for_timeout(500)
    omar.picture("curator-catalog")
    preview = "profiles/maps/1/preview?purpose=server&user=ann&o.maps.memory=8Gi"
    explain = f"profiles/explain?user={WHO}&profile=machine-learning"
    for name, path in (("version", "profiles/maps/2"), ("preview", preview), ("explain", explain)):
        omar.go(path)
        omar.picture(f"curator-{name}")


def take_curators(folder: Path, browser: Browser, pictures: Path) -> None:
    """Take the pictures of curators, who need two approvals on a platform of their own."""
    with running(folder / "curators", HUB_EXT_ROLES=ROLES, HUB_EXT_APPROVALS_REQUIRED="2") as platform:
        curate(platform)
        with visiting(browser, platform, pictures) as omar:
            walk_as_curator(omar)


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
        take_curators(Path(folder), browser, pictures)
        take_access(Path(folder), browser, pictures)
    print(f"{len(list(pictures.glob('*.png')))} pictures in {pictures.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
