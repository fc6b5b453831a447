"""Environments of this machine as images: for a local process, the digest of what it runs stands for one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from hub_ext.catalog.policy import Enclave
from hub_ext.settings import HubExt

log = structlog.get_logger("hub_ext.governance.environments")

_TIMEOUT = 30.0
_TRY_AGAIN = 5.0  # seconds until a Python that could not be run is tried again
# Says what a Python has installed: each distribution with the hash of its list of files, which holds their hashes. The
# parser of mail that `metadata` uses takes more than half of the time, so it is asked where ours finds nothing.
_ASK = """
import hashlib, importlib.metadata as m, json, platform, sys
sys.path[:] = [p for p in sys.path if p]
found = {}
for d in m.distributions():
    try:
        head = (d.read_text("METADATA") or d.read_text("PKG-INFO") or d.read_text("") or "").partition("\\n\\n")[0]
        said = dict(line.partition(": ")[::2] for line in reversed(head.splitlines()))
        name = (said.get("Name") or d.metadata["Name"]).lower().replace("_", "-")
        version = said.get("Version") or d.version
        text = d.read_text("RECORD") or d.read_text("METADATA") or d.read_text("PKG-INFO") or ""
    except Exception:
        continue  # half-installed; the folder changes again when it is whole
    found.setdefault(name, [version, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()])
about = [platform.python_implementation(), platform.python_version(), sys.platform, platform.machine()]
print(json.dumps({"python": about, "distributions": sorted(found.items()), "paths": sys.path}))
"""


@dataclass(frozen=True)
class _Known:
    """What was found out about a Python, and the state of its folders then."""

    digest: str
    paths: tuple[str, ...]
    stamps: tuple[int, ...]


_known: dict[str, _Known] = {}
_failed: dict[str, float] = {}
_lock = threading.Lock()


def _stamps(paths: tuple[str, ...]) -> tuple[int, ...]:
    """Return when the folders were changed last: installing and removing something changes one of them."""
    found = []
    for path in paths:
        try:
            found.append(Path(path).stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


def digest_of(python: str) -> str | None:
    """Return the digest of what a Python has installed; None when it cannot be run.

    Found out once, and again when something was installed or removed.

    Args:
        python: Path of the executable.
    """
    with _lock:
        known = _known.get(python)
        if known is not None and known.stamps == _stamps(known.paths):
            return known.digest
        if time.monotonic() - _failed.get(python, -_TRY_AGAIN) < _TRY_AGAIN:
            return None
        found = _ask(python)
        if found is None:
            _failed[python] = time.monotonic()
            return None
        _known[python] = found
        return found.digest


def _ask(python: str) -> _Known | None:
    try:
        done = subprocess.run(  # noqa: S603  # an interpreter that the operator named
            [python, "-c", _ASK], cwd="/", capture_output=True, timeout=_TIMEOUT, check=True, stdin=subprocess.DEVNULL
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said_last = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()[-1:]
        log.warning("an environment cannot be run", error=type(error).__name__, said=said_last)
        return None
    paths = tuple(said.pop("paths"))
    text = json.dumps(said, sort_keys=True).encode()
    return _Known("sha256:" + hashlib.sha256(text).hexdigest(), paths, _stamps(paths))


def environment_images(settings: HubExt) -> dict[str, str]:
    """Return the environments that this machine has, each with the digest of what it runs as an image.

    Args:
        settings: Says which Python each environment is.
    """
    found = {}
    for name in ("default", *settings.environments):
        python = settings.python(name)
        digest = digest_of(python) if python else None
        if digest is not None:
            found[name] = f"localhost/environment/{name}@{digest}"
    return found


def local_images(settings: HubExt, enclave: Enclave) -> dict[str, str] | None:
    """Return what stands for images here, as `environment_images` does; None where images themselves are used.

    Args:
        settings: Say where servers and runs are, and which Python each environment is.
        enclave: The network.
    """
    if settings.runtime == "kubernetes" or not enclave.spec.local:
        return None
    return environment_images(settings)
