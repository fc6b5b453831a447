"""Install the provider of the tests from its lock, once for this user: `python -m tests.functional.oidc.installing`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.cluster.layout import cache
from tests.cluster.locking import locked

HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", ".npmrc")


def installed() -> Path:
    """Return the folder `node_modules` with what the lock names; it is made if it is not there."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in _FILES)).hexdigest()[:12]
    folder = cache() / f"provider-{digest}"
    with locked("provider"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name in _FILES:
                shutil.copy(HERE / name, folder)
            subprocess.run(["npm", "ci", "--loglevel=error"], cwd=folder, check=True, timeout=240)
            (folder / "done").touch()
    return folder / "node_modules"


if __name__ == "__main__":
    print(f"The provider of the tests is in {installed()}")
