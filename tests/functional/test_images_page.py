"""The images of an enclave, from a real registry: what stands, what does not, verified now, and who may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hub_ext.catalog.locks import ImagesLock
from hub_ext.kubernetes.yaml_text import to_yaml
from tests.functional.browser import chromium, visiting
from tests.functional.conftest import Platform, running
from tests.images.conftest import NAME, PUBLIC, HttpRegistry, Shelf

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

S = "/services/workflows/"
API = f"{S}api/v1/"
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: maps, version: 1, title: Maps, owner: gis-team}
spec:
  description: For tests.
  access: {groups: [analysts]}
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 1}, memory: {request: 1Gi, limit: 2Gi}}
"""


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    """What the registry has."""
    return Shelf()


@pytest.fixture(scope="module")
def registry(shelf: Shelf) -> Iterator[HttpRegistry]:
    """The registry."""
    made = HttpRegistry(shelf)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, registry: HttpRegistry, shelf: Shelf) -> Iterator[Platform]:
    """A platform in an enclave whose images must be signed: one is, and one is not."""
    good = shelf.image()
    shelf.signed(good)
    bad = shelf.manifest(shelf.layer(b"other files", "application/vnd.oci.image.layer.v1.tar+gzip"), tag="other")
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "_enclaves").mkdir()
    (folder / "maps").mkdir()
    (folder / "maps" / "1.yaml").write_text(PROFILE)
    enclave = {
        "apiVersion": "hub-ext/v1",
        "kind": "Enclave",
        "metadata": {"name": "low", "title": "Low side", "owner": "platform-team"},
        "spec": {
            "domain": "open",
            "registries": [registry.host],
            "without_tls": [registry.host],
            "largest": {"cpu": 4, "memory": "8Gi"},
            "signatures": 0,
            "verify": "required",
            "sbom": "warn",
            "image_keys": {"builds": PUBLIC["builds"]},
        },
    }
    (folder / "_enclaves" / "low.yaml").write_text(to_yaml([enclave]))
    names = {"notebooks/standard": good, "notebooks/other": bad}
    lock = ImagesLock.of("low", 1, {name: f"{registry.host}/{NAME}@{digest}" for name, digest in names.items()})
    (folder / "_enclaves" / "low.images.lock").write_text(to_yaml([lock.model_dump(mode="json", by_alias=True)]))
    settings = {
        "HUB_EXT_ROLES": "clara=curator,rene=reviewer",
        "HUB_EXT_PROFILES_DIR": str(folder),
        "HUB_EXT_ENCLAVE": "low",
    }
    with running(tmp_path_factory.mktemp("town") / "state", **settings) as found:
        yield found


def test_how_images_stand_by_rest_and_who_may_verify_them(town: Platform, registry: HttpRegistry) -> None:
    verified = town.api("clara").post(f"{API}images/verification")
    assert verified.status_code == 200, verified.text
    found = {one["name"]: one for one in verified.json()["items"]}
    standard, other = found["notebooks/standard"], found["notebooks/other"]
    assert (standard["state"], standard["signed_by"], standard["doubts"][0]["denies"]) == (
        "verified", ["builds"], False,
    )  # fmt: skip
    assert (other["state"], other["signed_by"], other["doubts"][0]["denies"]) == ("refused", [], True)
    asked = len(registry.asked)
    assert town.api("rene").get(f"{API}images").json()["items"] == verified.json()["items"]
    for name in ("ann", "rene"):
        assert town.api(name).post(f"{API}images/verification").status_code == 403
    assert town.api("ann").get(f"{API}images").status_code == 403
    assert len(registry.asked) == asked


def test_the_page_in_a_browser(town: Platform, registry: HttpRegistry, tmp_path: Path) -> None:
    with chromium() as browser, visiting(browser, town, tmp_path) as clara:
        clara.sign_in("clara")
        clara.go("profiles")
        page = clara.page
        page.get_by_role("link", name="Images").click()
        page.get_by_role("button", name="Verify now").click()
        expect(page.get_by_text("The registries were asked")).to_be_visible()
        good = page.get_by_role("row").filter(has=page.get_by_text("notebooks/standard", exact=True))
        expect(good.get_by_text("Verified", exact=True)).to_be_visible()
        expect(good.get_by_text("builds")).to_be_visible()
        expect(good.get_by_text("has no list of its parts")).to_be_visible()
        bad = page.get_by_role("row").filter(has=page.get_by_text("notebooks/other", exact=True))
        expect(bad.get_by_text("Refused")).to_be_visible()
        expect(bad.get_by_text("starts nothing")).to_be_visible()
        clara.picture("images")
        registry.first = lambda request: True  # it answers nothing more
        page.get_by_role("button", name="Verify now").click()
        expect(good.get_by_text("It could not be looked at last")).to_be_visible()
        expect(good.get_by_text("Verified", exact=True)).to_be_visible()
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= 360")
        clara.picture("images-narrow", whole=True)
        assert clara.foreign == []
        assert clara.refused == []


def test_who_looks_without_the_role_of_a_curator_has_no_button(town: Platform) -> None:
    page = town.login("rene").get(f"{S}profiles/images")
    assert "notebooks/standard" in page.text
    assert "Verify now" not in page.text
    client = town.login("ann")
    assert client.get(f"{S}profiles/images").status_code == 403
    found = re.search(r'name="_xsrf" value="([^"]+)"', client.get(f"{S}publish").text)
    assert found
    assert client.post(f"{S}profiles/images/verify", data={"_xsrf": found[1]}).status_code == 403
