"""The way from pods to the door for executors: a Service of the cluster, and a proxy that cuts connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

_PIECE = 64 * 1024


class Door:
    """Passes bytes on, in a thread of its own, and cuts the next connections where it is told to.

    Args:
        host: Address that pods reach it by.
        target: Port of this machine that it passes bytes on to.
    """

    def __init__(self, host: str, target: int) -> None:
        self._host = host
        self._target = target
        self.cuts: list[int] = []  # the next connection that brought so many bytes is cut, then the one after
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="door", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._pass, host, 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _call(self, work: Any) -> Any:
        async def wait() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(60)

    def manifests(self, namespace: str, name: str = "executors") -> list[dict[str, Any]]:
        """Return a Service that leads here.

        Args:
            namespace: Where it lives.
            name: Its name; pods know it as `name.namespace.svc`.
        """
        about = {"name": name, "namespace": namespace}
        service = {"ports": [{"port": self._target, "protocol": "TCP"}]}
        here = {"addresses": [self._host], "conditions": {"ready": True}}
        return [
            {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": service},
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**about, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [{"name": "", "port": self.port, "protocol": "TCP"}],
                "endpoints": [here],
            },
        ]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the service is away
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(back)
        ways = [asyncio.create_task(self._copy(reader, back, cut=True)), asyncio.create_task(self._copy(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ways:
                one.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()
                self._open.discard(end)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cut: bool = False) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                passed += len(piece)
                if cut and self.cuts and passed >= self.cuts[0]:
                    self.cuts.pop(0)
                    return
                writer.write(piece)
                await writer.drain()

    def close(self) -> None:
        """End it."""

        async def end() -> None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await asyncio.sleep(0)
            tasks = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
