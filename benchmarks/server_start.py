"""Server start: asked → ready event (T1), beside the same server's own boot, exec → its first 200 (T0).

Peer: stock JupyterHub 6 with the simple local spawner and the same proxy, in turn with ours.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from benchmarks.harness import Platform, hub_ext, progress, show, stock, summary, token


class Boot(threading.Thread):
    """Watches from outside for the server of a user: when it was executed, and when it first answers."""

    def __init__(self, user: str) -> None:
        super().__init__(daemon=True)
        self.user, self.executed, self.answered = user, 0.0, 0.0

    def run(self) -> None:
        """Poll every 5 ms; only the server's own port is asked."""
        process = self._find()
        self.executed = time.time()  # the system's own record counts from a boot time in whole seconds
        url = ""
        while not url:
            url = process.environ().get("JUPYTERHUB_SERVICE_URL", "")
        parts = urlsplit(url)
        with httpx.Client(trust_env=False) as client:
            while True:
                try:
                    if client.get(f"http://127.0.0.1:{parts.port}{parts.path}api").status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.005)
        self.answered = time.time()

    def _find(self) -> psutil.Process:
        seen: dict[int, float] = {}  # since when, by our own clock: a virtual machine's boot time may be off
        while True:
            for pid in psutil.pids():
                if time.monotonic() - seen.setdefault(pid, time.monotonic()) > 1:
                    continue  # it had a second to become a server
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(pid)
                    is_server = "singleuser" in " ".join(process.cmdline())
                    if is_server and process.environ().get("JUPYTERHUB_USER") == self.user:
                        return process
            time.sleep(0.005)


def start_once(platform: Platform, user: str, body: dict[str, object], user_token: str) -> tuple[float, float]:
    """Start a server, wait for its ready event, stop it.

    Returns:
        T1 and T0 in seconds.
    """
    boot = Boot(user)
    boot.start()
    with platform.client(user_token) as client:
        asked = time.time()
        client.post(f"/hub/api/users/{user}/server", json=body).raise_for_status()
        for event in progress(client, f"/hub/api/users/{user}/server"):
            if event.get("failed"):
                raise RuntimeError(event)
            if event.get("ready"):
                break
        ready = time.time()
        boot.join(30)
        stopped = client.delete(f"/hub/api/users/{user}/server")
        stopped.raise_for_status()
        while client.get(f"/hub/api/users/{user}").json()["servers"]:
            time.sleep(0.1)
    return ready - asked, boot.answered - boot.executed


def main(folder: Path, pairs: int = 20) -> None:
    """Print the figures."""
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    with hub_ext(folder / "ours") as platform, stock(folder / "stock") as peer:
        mine = token(platform.url, "bench")
        with peer.client(peer.admin_token) as client:
            client.post("/hub/api/users/bench").raise_for_status()
        for _ in range(pairs):
            ours.append(start_once(platform, "bench", {"profile": "standard"}, mine))
            theirs.append(start_once(peer, "bench", {}, peer.admin_token))
    boots = (summary([t0 for _, t0 in ours]), summary([t0 for _, t0 in theirs]))
    figures: dict[str, object] = {
        "ours T1 (s)": summary([t1 for t1, _ in ours]),
        "ours T0 (s)": boots[0],
        "ours T1 / T0": summary([t1 / t0 for t1, t0 in ours]),
        "stock T1 (s)": summary([t1 for t1, _ in theirs]),
        "stock T0 (s)": boots[1],
        "stock T1 / T0": summary([t1 / t0 for t1, t0 in theirs]),
        "T0 ours / stock": round(boots[0]["median"] / boots[1]["median"], 3),
        "pairs": pairs,
    }
    show("server start", figures, "ours T1/T0 <= 1.1, T0 ours/stock <= 1.05")
