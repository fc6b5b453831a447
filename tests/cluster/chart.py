"""Values of the chart for a cluster of this machine: its images, its enclave, and a trial of everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster import enclave
from tests.cluster.layout import PROJECT

FOLDER = PROJECT / "helm" / "hub-ext"


def values(catalog: Path, images: Mapping[str, str]) -> str:
    """Return values.yaml, as JSON, which is YAML.

    Args:
        catalog: A profiles folder with the cluster's enclave.
        images: Name → registry, name and digest.
    """
    folder = catalog / "_enclaves"
    found = _read(folder / f"{enclave.NAME}.yaml")
    spec = {key: value for key, value in found["spec"].items() if key != "system_namespace"}
    about = found["metadata"]
    content = {
        "images": {name: images[f"hub-ext/{name}"] for name in ("hub", "proxy", "postgresql")},
        "postgresql": {"trial": True, "size": "1Gi"},
        "state": {"size": "1Gi"},
        "signIn": {"kind": "one-password", "allowOnePassword": True},
        "enclave": {
            "name": about["name"],
            "title": about["title"],
            "owner": about["owner"],
            "spec": spec,
            "lock": (folder / f"{enclave.NAME}.images.lock").read_text(),
        },
    }
    return json.dumps(content, indent=2) + "\n"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
