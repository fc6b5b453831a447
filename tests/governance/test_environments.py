"""The digest of an environment is of what it has installed: the same until something is installed or removed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub_ext.governance.environments import digest_of, environment_images, local_images
from hub_ext.governance.store import CatalogStore
from hub_ext.settings import HubExt


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python environment of its own."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def install(environment: Path, name: str, version: str = "1.0", content: str = "") -> Path:
    """Put a distribution there, as pip leaves it."""
    (site,) = environment.glob("lib/python*/site-packages")
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "RECORD").write_text(f"{name}.py,sha256={content},10\n")
    return folder


def test_it_changes_with_what_is_installed_and_only_then(environment: Path) -> None:
    python = str(environment / "bin" / "python")
    bare = digest_of(python)
    assert bare is not None
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", bare)
    assert digest_of(python) == bare
    first = install(environment, "maps")
    with_maps = digest_of(python)
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    assert digest_of(python) == bare
    second = install(environment, "maps", content="other")
    assert len({bare, with_maps, digest_of(python)}) == 3
    (second / "METADATA").unlink()
    (second / "RECORD").unlink()


def test_what_cannot_be_run_is_no_environment(settings: HubExt, tmp_path: Path) -> None:
    ends = tmp_path / "python"
    ends.write_text("#!/bin/sh\nexit 1\n")
    ends.chmod(0o700)
    settings.environments = {"gone": "/nowhere/python", "ends": str(ends), "here": sys.executable}
    found = environment_images(settings)
    assert set(found) == {"default", "here"}
    assert found["here"].startswith("localhost/environment/here@sha256:")
    assert found["here"].partition("@")[2] == found["default"].partition("@")[2]


def test_in_a_cluster_images_are_used_whatever_the_enclave_says(settings, database):
    enclave = CatalogStore(settings, database).current().enclave
    assert enclave.spec.local
    assert "default" in (local_images(settings, enclave) or {})
    settings.runtime = "kubernetes"
    assert local_images(settings, enclave) is None
