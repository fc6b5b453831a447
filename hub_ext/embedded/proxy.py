"""The proxy of the embedded default: traefik, with its files in the state folder, found again after a crash."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import unquote

import bcrypt
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy
from jupyterhub_traefik_proxy.traefik_utils import generate_alias
from tornado.ioloop import PeriodicCallback
from traitlets import Unicode, default

from hub_ext.embedded.processes import Recorded
from hub_ext.embedded.supervisor import die_with_parent

_LOOK_EVERY = 500  # milliseconds
_ASK_AFTER = 0.05  # seconds until traefik is asked first whether it has a route
_ASK_EVERY = 0.1  # seconds between two such questions
_MOST_ROUTES = 100_000
_ESCAPED = re.compile("(?:%[0-9A-Fa-f]{2})+")
_RESERVED = {one: f"%{ord(one):02X}" for one in ":/?#[]@!$&'()*+,;=%"}


class LocalProxy(TraefikFileProviderProxy):
    """traefik as a child of the Hub: written down, with a log, started again when it dies, gone with the Hub."""

    record_file = Unicode(help="Where its process is written down.").tag(config=True)
    log_file = Unicode(help="Where its output goes.").tag(config=True)

    _watch: PeriodicCallback | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._answering: set[str] = set()  # routes that this traefik was seen to have
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []  # names of routers, and who waits for them
        self._asking: asyncio.Task[None] | None = None

    @default("traefik_api_hashed_password")
    def _quick_hash(self) -> str:
        """Return the hash that traefik checks at each of our requests: at the usual cost each takes 0.2 s.

        Slow hashes are for passwords that people choose; this one is 32 random bytes.
        """
        return bcrypt.hashpw(self.traefik_api_password.encode(), bcrypt.gensalt(4)).decode("ascii")

    async def start(self) -> None:
        """Start traefik, and again whenever it dies; its routes are in its file."""
        await super().start()
        self._watch = PeriodicCallback(self._look, _LOOK_EVERY)
        self._watch.start()

    async def stop(self) -> None:
        """Stop traefik."""
        if self._watch is not None:
            self._watch.stop()
        await super().stop()

    def _look(self) -> None:
        code = self.traefik_process.poll()
        if code is not None:
            self.log.error("The proxy ended unexpectedly (%s); starting it again.", code)
            self._start_traefik()

    def _start_traefik(self) -> None:
        self._answering.clear()
        beside = Path(sys.executable).parent / "traefik"
        program = str(beside) if beside.exists() else "traefik"
        with Path(self.log_file).open("ab") as output:
            self.traefik_process = Popen(  # noqa: S603
                [program, "--configfile", str(Path(self.static_config_file).absolute())],
                env=os.environ | dict(self.traefik_env),
                stdin=-3,  # subprocess.DEVNULL
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_the_hub,  # one call of the kernel, no lock is taken
            )
        recorded = Recorded.of(self.traefik_process.pid)
        if recorded is not None:
            recorded.save(Path(self.record_file))

    def _dynamic_config_for_route(self, routespec: str, target: str, data: dict[str, Any]) -> Any:
        """Let the route of a name that needs escaping be matched by the traefik of today, too."""
        config, known = super()._dynamic_config_for_route(routespec, target, data)
        path = as_matched(routespec)
        if path != unquote(routespec):
            for router in config["http"]["routers"].values():
                router["rule"] += f" || PathPrefix(`{path}`) || Path(`{path.rstrip('/')}`)"
        return config, known

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Add a route, and return when traefik answers on it; at once for one that is there already."""
        spec = self.validate_routespec(routespec)
        known = await self.get_route(spec)
        same = known is not None and known["target"] == target and known["data"] == data
        if same and (spec in self._answering or await self._is_loaded(spec)):
            return
        self._answering.discard(spec)
        await super().add_route(spec, target, data)
        self._answering.add(spec)

    async def delete_route(self, routespec: str) -> None:
        """Take a route away."""
        self._answering.discard(self.validate_routespec(routespec))
        await super().delete_route(routespec)

    async def _wait_for_route(self, routespec: str) -> None:
        """Wait until traefik has a route; of all that are waited for at once, one look asks.

        Raises:
            TimeoutError: If it does not come.
        """
        loaded = asyncio.get_running_loop().create_future()
        wanted = f"{generate_alias(routespec, 'router')}@{self.provider_name}"
        self._waiting.append((wanted, loaded))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_until_all_are_loaded())
        async with asyncio.timeout(self.check_route_timeout):
            await loaded

    async def _ask_until_all_are_loaded(self) -> None:
        pause = _ASK_AFTER
        while self._waiting:
            await asyncio.sleep(pause)
            began = time.monotonic()
            loaded = await self._routers()
            for one in [one for one in self._waiting if one[0] in loaded or one[1].done()]:
                self._waiting.remove(one)
                if not one[1].done():  # whoever waited for it may have given up
                    one[1].set_result(None)
            pause = max(_ASK_EVERY, 5 * (time.monotonic() - began))  # the list may be long

    async def _routers(self) -> set[str]:
        """Return the names of the routers that traefik has; it loads its file as a whole, the services with them."""
        try:
            answer = await self._traefik_api_request(f"/api/http/routers?per_page={_MOST_ROUTES}")
            return {str(one["name"]) for one in json.loads(answer.body)}
        except Exception as error:  # noqa: BLE001  # whatever it is: it may be about to start again, and many wait
            self.log.warning("The proxy does not say which routes it has: %s", error)
            return set()

    async def _is_loaded(self, routespec: str) -> bool:
        return bool(await self._check_for_traefik_service(routespec, "router"))


def as_matched(path: str) -> str:
    """Return a path as traefik compares it since 3.4: decoded, but for characters that mean something in addresses.

    Args:
        path: The path, escaped as JupyterHub does.
    """
    return _ESCAPED.sub(lambda run: "".join(_RESERVED.get(one, one) for one in unquote(run[0])), path)


def _die_with_the_hub() -> None:
    die_with_parent(signal.SIGTERM)
