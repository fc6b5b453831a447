"""Notebook servers as local processes: one trust domain, limits are advisory, but for the time limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jupyterhub.slugs import safe_slug
from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.utils import url_path_join
from traitlets import default

from hub_ext import executor
from hub_ext.catalog.idleness import idle_arguments
from hub_ext.catalog.models import Profile, Spec
from hub_ext.catalog.quantities import parse_size
from hub_ext.embedded.processes import Recorded, descendants, end, free_port, signal_all
from hub_ext.runtimes.identity import age, marked
from hub_ext.spawner.answering import answers, last_words
from hub_ext.spawner.base import DecidedSpawner, StartFailed
from hub_ext.spawner.ledger import Outcome

_LOOK_EVERY = 0.01  # seconds between two questions whether the server answers
_ROUTE_WITHIN = 1.5  # seconds that a route which is being added gets, before it is taken away
_GRACE = 5.0  # seconds that a server gets to end by itself
_MARK = "HUB_EXT_SERVER_START"
_KEPT = ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TZ"]
# Not imported here: it needs Jupyter Server, and the Hub does not.
_ANNOUNCE = "hub_ext.executor.announce"
_QUICKLY = "hub_ext.executor.quickly"
_LAB_EXTENSIONS = Path(executor.__file__).parent / "announce" / "labextensions"
_JUPYTER = Path(__file__).parent / "jupyter"  # settings of JupyterLab: it asks nobody outside for news
_AGAIN = "Try again; if it happens again, tell an admin the time."


def _is_ours(python: str) -> bool:
    """Return whether hub-ext is in an environment: in somebody's own it is not."""
    return python == sys.executable


def server_command(python: str) -> list[str]:
    """Return the command of a server, without its arguments; in our environment it imports nothing that only costs.

    Args:
        python: Path of the executable.
    """
    quickly = ["-P", "-m", _QUICKLY] if _is_ours(python) else ["-m"]
    return [python, *quickly, "jupyterhub.singleuser"]


class LocalSpawner(DecidedSpawner, SimpleLocalProcessSpawner):
    """Starts `jupyterhub-singleuser` of the decided environment, with a home in the state folder."""

    proc: subprocess.Popen[bytes] | None  # this and `server`: JupyterHub's, which has no types
    server: Any
    recorded: Recorded | None = None
    adopted = False
    _starting = False
    _routing: asyncio.Task[None] | None = None
    _hub_url = ""
    _limit = ""

    @default("env_keep")
    def _env_keep_default(self) -> list[str]:
        return list(_KEPT)

    @default("home_dir")
    def _home(self) -> str:
        return str(self.settings_of_ours.state / "homes" / safe_slug(self.user.name))

    @default("default_url")
    def _open_lab(self) -> str:
        return "/lab"

    @property
    def log_path(self) -> Path:
        """Where the server's output goes."""
        name = safe_slug(self.user.name) + (f"--{safe_slug(self.name)}" if self.name else "")
        return Path(self.settings_of_ours.state / "logs" / "servers" / f"{name}.log")

    # Starting.

    async def start(self) -> str:
        """Start; while that goes on, the server counts as running."""
        self._starting = True
        try:
            return await super().start()
        finally:
            self._starting = False

    async def launch(self, profile: Profile, spec: Spec) -> str:
        """Start the process, register its route while it boots, and return when it answers."""
        python = self.settings_of_ours.python(spec.local.environment)
        if python is None:
            raise StartFailed("Its environment is not on this machine any more.", f"Ask {profile.metadata.owner}.")
        self._apply(spec, python)
        self._save()  # from here on a crash leaves something that is found by its mark
        self._execute([*server_command(python), *self.get_args()])
        self._save()
        telling = asyncio.create_task(self.tell_launch(profile))
        self._routing = asyncio.create_task(self._add_route())
        try:
            await self._until_it_answers()
            await asyncio.shield(self._routing)
        finally:
            telling.cancel()
        return f"http://127.0.0.1:{self.port}"

    def _apply(self, spec: Spec, python: str) -> None:
        self.ip, self.port = "127.0.0.1", free_port()
        self.mem_limit, self.mem_guarantee = parse_size(spec.resources.memory.limit), None
        self.cpu_limit, self.cpu_guarantee = spec.resources.cpu.limit, None
        self.args = [*idle_arguments(spec.lifetime.idle), *self._announcing(python)]
        if os.geteuid() == 0:  # in a container, mostly; JupyterLab wants to be asked
            self.args.append("--allow-root")
        self._limit = f"{spec.lifetime.maximum} minutes"
        self._hub_url = str(self.hub.api_url)
        proxy = self.user.settings.get("proxy")
        self.environment = {
            "PATH": f"{Path(python).parent}:{os.environ.get('PATH', os.defpath)}",
            "HUB_EXT_URL": str(getattr(proxy, "public_url", "")).rstrip("/"),
            "HUB_EXT_SERVICE_PREFIX": self.service_prefix,
            "JUPYTER_CONFIG_PATH": str(_JUPYTER),
            _MARK: self.start_id,
        }
        self.remember_token()

    def _announcing(self, python: str) -> list[str]:
        """Return what has JupyterLab tell of the server's end; in an environment of somebody's own, hub-ext is not."""
        if not _is_ours(python):
            return []
        return [
            f"--ServerApp.jpserver_extensions={{'{_ANNOUNCE}': True}}",
            f"--LabApp.extra_labextensions_path={_LAB_EXTENSIONS}",
        ]

    def _execute(self, command: list[str]) -> None:
        home = Path(self.home_dir)
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.log_path.open("wb") as output:
                self.proc = subprocess.Popen(  # noqa: S603
                    command,
                    env=self.get_env(),
                    cwd=home,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        except OSError as error:
            raise StartFailed(f"The process could not be started: {os.strerror(error.errno or 0)}.", _AGAIN) from error
        self.pid = self.proc.pid
        self.recorded = Recorded.of(self.pid)

    async def _until_it_answers(self) -> None:
        path = url_path_join(self.server.base_url, "api")
        until = time.monotonic() + self.start_timeout - 2  # before JupyterHub's own, which looks like a cancellation
        while not await answers(self.port, path):
            if self.proc is None or self.proc.poll() is not None:
                words = last_words(self.log_path, (self.api_token,))
                why = f"The notebook server ended by itself while it started: {words or 'it said nothing'}."
                raise StartFailed(why, "Look at what you installed or set up last in your home folder. " + _AGAIN)
            if time.monotonic() > until:
                raise StartFailed(f"The notebook server did not answer within {self.start_timeout} seconds.", _AGAIN)
            await asyncio.sleep(_LOOK_EVERY)

    async def _add_route(self) -> None:
        """Register the route early: a proxy may need a moment to load it. The Hub confirms it afterwards."""
        proxy = self.user.settings.get("proxy")
        if proxy is None:
            return
        target = f"http://127.0.0.1:{self.port}"
        try:
            await proxy.add_route(self.proxy_spec, target, {"user": self.user.name, "server_name": self.name})
        except (TimeoutError, OSError) as error:
            self.log.warning("The route of %s is not there yet: %s", self._log_name, error)

    async def withdraw(self) -> None:
        """End the process and take its route away."""
        await self._end_tree(0.0)
        proxy = self.user.settings.get("proxy")
        if proxy is None or self._routing is None:
            return
        await asyncio.wait([self._routing], timeout=_ROUTE_WITHIN)
        self._routing.cancel()
        with contextlib.suppress(TimeoutError, OSError):
            await proxy.delete_route(self.proxy_spec)

    # What has to be found again.

    def _save(self) -> None:
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    def get_state(self) -> dict[str, Any]:
        """Return what finds the server again after the Hub was started anew."""
        state: dict[str, Any] = super().get_state()
        if not self.start_id:
            return state
        if self.recorded is not None:
            state |= {"pid": self.recorded.pid, "started": self.recorded.started, "port": self.port}
        return state | {
            "start": self.start_id,
            "hub": self._hub_url,
            "lasts": self.lasts,
            "extensions": self.extensions,
            "limit": self._limit,
            "token": self.token_id,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what an earlier Hub saved."""
        super().load_state(state)
        self.start_id = str(state.get("start", ""))
        self._hub_url = str(state.get("hub", ""))
        self.lasts, self._limit = float(state.get("lasts", 0)), str(state.get("limit", ""))
        self.extensions = int(state.get("extensions", 0))
        self.token_id = state.get("token")
        if "pid" in state and "started" in state:
            self.recorded = Recorded(int(state["pid"]), str(state["started"]))
            self.port = int(state.get("port", 0))

    def clear_state(self) -> None:
        """Forget a server that has ended."""
        super().clear_state()
        self.recorded, self.lasts, self.extensions, self.adopted = None, 0.0, 0, False

    async def get_url(self) -> str:
        """Return the server's address, also of one that an earlier Hub only half started."""
        if self.port and self.recorded is not None:
            return f"http://127.0.0.1:{self.port}{self.server.base_url}"
        return str(self.server.url)

    # Looking and ending.

    async def poll(self) -> int | None:
        """Return None while the server runs or starts, else an exit status (0 for one that was never made)."""
        if self.proc is None and self._starting:
            return None
        status = self._status()
        if status is None:
            if not self._starting and self.recorded is not None and await self.is_overdue(self._lived()):
                await self._end_tree(_GRACE)
                self._gone(f"It reached its time limit of {self._limit}.")
                return 0
            return None
        await self._end_tree(0.0)  # kernels that the server left behind, or a half-made one without a record
        self._gone("It ended by itself." if self.proc is not None else "It ended while the Hub was not running.")
        return status

    def _lived(self) -> float:
        return age({"started": self.recorded.started}) or 0.0 if self.recorded is not None else 0.0

    def _status(self) -> int | None:
        if self.proc is not None:
            return self.proc.poll()
        if self.recorded is None or not self.recorded.alive:
            return 0
        if self._hub_url != str(self.hub.api_url):
            return 0  # it knows the Hub under an address that is no more, so it cannot serve anybody
        if not self.adopted and self.start_id:
            self.adopted = True
            self.write_down(Outcome(self.start_id, "ready"))
        return None

    def _gone(self, reason: str) -> None:
        if not self._starting:
            self.finish(Outcome(self.start_id, "stopped", reason, self.ended_by))
            self.revoke_token()
            self.clear_state()

    async def stop(self, now: bool = False) -> None:
        """End the server and all its processes.

        Args:
            now: Do not wait for it to end by itself.
        """
        await self._end_tree(0.0 if now else _GRACE)
        if self.proc is not None:
            self.proc.poll()
        self._gone(self.words_of_end())

    async def _end_tree(self, grace: float) -> None:
        root = self.recorded.process() if self.recorded else None
        start_id = self.start_id
        if root is None and not start_id:
            return

        def end_all() -> None:
            tree = descendants(root) if root is not None else []
            if grace and root is not None:
                end([root], grace)  # it ends its kernels in good order
            left = {process.pid: process for process in tree}
            if start_id:
                left |= {process.pid: process for process in marked(_MARK, start_id)}
            signal_all(left.values(), kill=True)
            end(left.values(), 1.0)

        await asyncio.to_thread(end_all)
