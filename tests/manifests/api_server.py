"""An API server of a few lines, that answers as a test says: for what a real one does only when it is in trouble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(code: int, reason: str = "", message: str = "", **headers: str) -> web.Response:
    """Return what the API server sends when it says no."""
    said = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return web.json_response(said, status=code, headers=headers)


class ApiServer:
    """Keeps objects by path; a test may put answers before its own."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.answers: list[Answer | None] = []  # taken in turn, before the ordinary ones; None drops the connection
        self.port = 0
        self._version = 1

    async def start(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    def kubeconfig(self, folder: Path) -> str:
        """Return a file that leads here."""
        path = folder / "kubeconfig"
        named = {"cluster": {"server": f"http://127.0.0.1:{self.port}"}, "name": "here"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [named],
            "users": [{"name": "me", "user": {"token": "secret-token"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "here",
        }
        path.write_text(json.dumps(content))
        return str(path)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self.answers:
            answer = self.answers.pop(0)
            if answer is None:
                assert request.transport is not None
                request.transport.abort()
                await asyncio.sleep(5)
            else:
                return await answer(request)
        return await self.ordinary(request)

    async def ordinary(self, request: web.Request) -> web.StreamResponse:
        there = self.objects.get(request.path)
        if request.method == "GET":
            return web.json_response(there) if there else status(404, "NotFound")
        if request.method == "DELETE":
            return web.json_response(self.objects.pop(request.path)) if there else status(404, "NotFound")
        body = await request.json()
        path = request.path if request.method == "PATCH" else f"{request.path}/{body['metadata']['name']}"
        if request.method == "POST" and path in self.objects:
            return status(409, "AlreadyExists")
        if request.content_type == "application/merge-patch+json":
            if there is None:
                return status(404, "NotFound")
            for field, value in body["metadata"].items():
                there["metadata"][field] = (
                    there["metadata"].get(field, {}) | value if isinstance(value, dict) else value
                )
            return web.json_response(there)
        self._version += 1
        body["metadata"] |= {"resourceVersion": str(self._version), "uid": f"uid-{self._version}"}
        self.objects[path] = body
        return web.json_response(body, status=201)
