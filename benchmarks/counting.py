"""A proxy in front of an API server that counts what is asked, and costs little itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from urllib.parse import urlsplit

from tests.kubernetes.api_proxy import ApiProxy

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


class Counting(ApiProxy):
    """Reads the head of each request and passes everything on as it comes; it makes no trouble.

    One that takes requests and answers apart takes more of the machine than the Hub that is measured: whoever asks more
    would be measured by that.
    """

    async def _begin(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = urlsplit(self._target)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            answers, asking = await asyncio.open_connection(there.hostname, there.port or 443, ssl=self._ssl)
            with contextlib.closing(asking):
                passing = asyncio.create_task(_pass(answers, writer))
                try:
                    while True:
                        await self._ask(reader, asking)
                finally:
                    passing.cancel()
                    await asyncio.gather(passing, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, asking: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.partition(b"\r\n")[0].decode().split(" ")
        if _CHUNKED.search(head):
            message = f"nobody has said how long the body of this is: {method} {path}"
            raise NotImplementedError(message)
        self.asked.append(f"{method} {path}")
        asking.write(head)
        if length := _LENGTH.search(head):
            asking.write(await reader.readexactly(int(length[1])))
        await asking.drain()


async def _pass(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass answers on until either side ends."""
    with contextlib.suppress(OSError):
        while some := await answers.read(2**16):
            writer.write(some)
            await writer.drain()
    writer.close()
