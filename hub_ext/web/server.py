"""The process of the sharing service: `python -m hub_ext.web.server`, started by the Hub.

What it starts, it ends. SIGTERM makes it unready, and stops reconciler and sealer, whose leases another process takes
at once; it answers for `drain_seconds` more, then closes what listens, lets requests end, and event streams go on
elsewhere. Runs are processes of their own and go on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from hub_ext.db.migrate import upgrade
from hub_ext.errors import HubExtError
from hub_ext.keys import secret_key
from hub_ext.longlived import keep_what_is_there
from hub_ext.settings import HubExt
from hub_ext.web import executors, logs, parts
from hub_ext.web.application import LONGEST_BODY, Service
from hub_ext.web.context import Context

log = structlog.get_logger("hub_ext.web.server")

_NEEDED = ("JUPYTERHUB_SERVICE_URL", "JUPYTERHUB_API_URL", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_CLIENT_ID")
_THREADS = 8  # for calls of the database and the store
_LAST_REQUESTS = 5.0  # seconds that requests get to end when the service stops


def address(url: str) -> tuple[str, int]:
    """Return host and port to listen on.

    Args:
        url: What the Hub calls the service's address (`JUPYTERHUB_SERVICE_URL`).

    Raises:
        ValueError: If it is not http://host:port.
    """
    parts_ = urlsplit(url)
    if parts_.scheme != "http" or not parts_.hostname or not parts_.port:
        msg = f"JUPYTERHUB_SERVICE_URL must be http://host:port, not {url!r}"
        raise ValueError(msg)
    return parts_.hostname, parts_.port


async def serve(settings: HubExt, environ: dict[str, str]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: All settings.
        environ: Holds what the Hub told the service (`JUPYTERHUB_…`).

    Raises:
        ValueError: If something that the Hub has to say is missing, or its address cannot be listened on.
    """
    missing = [name for name in _NEEDED if not environ.get(name)]
    if missing:
        msg = f"{' and '.join(missing)} must be set, as the Hub does for a service"
        raise ValueError(msg)
    host, port = address(environ["JUPYTERHUB_SERVICE_URL"])
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="call"))
    context = await asyncio.to_thread(_prepare, settings, environ)
    context.hub.open()
    servers = await _listen(context, host, port)
    keep_what_is_there()
    try:
        await parts.run(context, _told_to_end(context))
        await asyncio.sleep(float(settings.drain_seconds))
    finally:
        for one in servers:
            one.stop()
        await _drain(servers, context)
        await context.hub.close()
        context.database.dispose()
    log.info("stopped")


async def _listen(context: Context, host: str, port: int) -> list[HTTPServer]:
    key = await asyncio.to_thread(secret_key, context.settings.state / "keys" / "service-cookie-secret")
    server = HTTPServer(
        Service(context, key),
        xheaders=True,  # the proxy says for whom it asks; nobody else reaches this port
        max_body_size=LONGEST_BODY,
        idle_connection_timeout=120,
        body_timeout=600,
    )
    server.add_sockets(bind_sockets(port, host))
    log.info("listening", host=host, port=port, prefix=context.prefix)
    return [server, *([executors.serve(context)] if context.executors else [])]


def _told_to_end(context: Context) -> asyncio.Event:
    """Return what is set by SIGTERM and SIGINT; from then on nobody new is asked to come here."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def end() -> None:
        context.requests.ending = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    return stop


def _prepare(settings: HubExt, environ: dict[str, str]) -> Context:
    context = parts.build(settings, environ)
    upgrade(context.database)
    return context


async def _drain(servers: Sequence[HTTPServer], context: Context) -> None:
    """Let the requests that are being answered end, within reason; then close what is open."""
    context.streams.close()
    if not await context.requests.ended(_LAST_REQUESTS):
        log.warning("some requests were cut", count=len(context.requests))
    for one in servers:
        await one.close_all_connections()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the service until it is told to end.

    Args:
        argv: Arguments; there are none but ``--help``.
    """
    description = "The sharing service of hub-ext. The Hub starts it; its settings come from the environment."
    argparse.ArgumentParser("hub_ext.web.server", description=description).parse_args(argv)
    logs.configure("INFO")
    try:
        settings = HubExt.from_environment()
        logs.configure(str(settings.log_level))
        asyncio.run(serve(settings, dict(os.environ)))
    except (HubExtError, OSError, ValueError) as error:
        log.error("the service cannot start", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
