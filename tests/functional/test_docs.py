"""Every command in README and docs runs as it stands; what cannot run here is marked untested, with the reason."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:<!-- (?P<mark>tested|untested): (?P<why>.+?) -->\n)?```sh\n(?P<code>.*?)```", re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

pytestmark = [pytest.mark.functional]


def blocks(document: Path) -> list[str]:
    """Return the shell blocks of a document that are to be run, in order."""
    found = BLOCK.finditer(document.read_text(encoding="utf-8"))
    return [match["code"] for match in found if not match["mark"]]


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if blocks(path)], ids=lambda path: path.name)
def test_commands_run_as_they_stand_in_the_document(document: Path, platform: Any, tmp_path: Path) -> None:
    for name in (".venv", "shared_notebooks", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = "set -eu\n" + "\n".join(blocks(document))
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("HUB_EXT", "JUPYTER"))}
    environ |= {
        "HUB_EXT_URL": platform.url,
        "HUB_EXT_PASSWORD": platform.password,
        "HUB_EXT_STATE": str(platform.state),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_every_link_and_picture_in_the_documents_exists() -> None:
    missing = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if not target.startswith(("http:", "https:")) and not (document.parent / target).exists():
                missing.append(f"{document.name}: {target}")
    assert missing == []
