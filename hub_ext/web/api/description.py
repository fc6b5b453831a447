"""`openapi.json`, as it ships beside this package."""

from __future__ import annotations

import functools
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hub_ext.web.api.operation import Answer, ApiHandler, operation

FILE = Path(__file__).resolve().parent.parent / "openapi.json"


class Document(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


@functools.cache
def _text() -> bytes:
    return FILE.read_bytes()


class Description(ApiHandler):
    """`openapi.json`."""

    public = True

    @operation("Describe the API", {200: Answer("This document", Document)})
    async def get(self) -> None:
        """Describe the API."""
        self.set_header("Content-Type", "application/json")
        self.finish(_text())
