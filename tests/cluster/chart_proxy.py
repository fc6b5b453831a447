"""configurable-http-proxy as the chart runs it: the packages of images/proxy, installed once for each lock."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.layout import PROJECT, cache
from tests.cluster.locking import locked

_WHERE = PROJECT / "images" / "proxy"
_LISTS = ("package.json", "package-lock.json")
_CI = ("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def command() -> list[str]:
    """Return what starts the proxy; it needs node and npm."""
    lists = {name: (_WHERE / name).read_bytes() for name in _LISTS}
    folder = cache() / "npm" / f"proxy-{hashlib.sha256(b'|'.join(lists.values())).hexdigest()[:16]}"
    with locked("npm-proxy"):
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
                for name in _LISTS:
                    shutil.copy(_WHERE / name, partial)
                subprocess.run(_CI, cwd=partial, check=True)
                Path(partial).chmod(0o755)
                Path(partial).rename(folder)
                Path(partial).mkdir()  # what is removed now
    return ["node", str(folder / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy")]
