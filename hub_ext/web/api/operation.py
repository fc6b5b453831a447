"""One way to write an operation: what it takes and gives is declared, and the declaration is also its documentation."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from hub_ext.web.api import parsing
from hub_ext.web.base import BaseHandler

JSON = "application/json"
PROBLEM = "application/problem+json"
MULTIPART = "multipart/form-data"
CSV = "text/csv"


class NoQuery(BaseModel):
    """A query without anything in it."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Answer:
    """A response that an operation gives.

    Attributes:
        description: What it means.
        model: Its JSON; None for no body, or another media type.
        media: Media types of what is not JSON.
        headers: Names of headers with what they say.
    """

    description: str
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """What an operation takes.

    Attributes:
        model: As JSON.
        files: Fields that a multipart form may send as a file; none: JSON alone is taken.
        optional: Whether it may be left out.
    """

    model: type[BaseModel]
    files: tuple[str, ...] = ()
    optional: bool = False

    def read(self, handler: BaseHandler) -> BaseModel:
        """Return the body of a request as the model.

        Raises:
            HubExtError: What is wrong with it.
        """
        request = handler.request
        if self.optional and not request.body:
            return self.model()
        kinds = (JSON, MULTIPART) if self.files else (JSON,)
        if parsing.require(request, *kinds) == MULTIPART:
            return parsing.form_of(request, self.model, self.files)
        return parsing.validated(self.model, parsing.json_of(request.body), strict=True)


@dataclass(frozen=True)
class Raw:
    """A body that an operation takes as it comes, piece by piece.

    Attributes:
        media: Its media type.
        description: What it holds.
    """

    media: str
    description: str


@dataclass(frozen=True)
class Operation:
    """The declaration of an operation.

    Attributes:
        summary: What it does, in a line.
        answers: Responses by status, but for problems.
        query: Model of the query.
        body: What it takes.
        headers: Request headers that it reads, with what they do.
        problems: Statuses of problems beyond those that its kind always has.
        description: More words.
    """

    summary: str
    answers: Mapping[int, Answer]
    query: type[BaseModel] = NoQuery
    body: Body | Raw | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    description: str = ""


Method = Callable[..., Awaitable[None]]


def operation(summary: str, answers: Mapping[int, Answer], **more: Any) -> Callable[[Method], Method]:
    """Declare an operation: its method gets `query` and `body` as models where it declares them.

    Args:
        summary: What it does, in a line.
        answers: Responses by status.
        more: The other fields of `Operation`.
    """
    declared = Operation(summary, answers, **more)

    def decorate(function: Method) -> Method:
        @functools.wraps(function)
        async def method(self: BaseHandler, **path: str) -> None:
            given: dict[str, Any] = dict(path)
            query = parsing.query_of(self.request, declared.query)
            if declared.query is not NoQuery:
                given["query"] = query
            if isinstance(declared.body, Body):
                given["body"] = await self.call(declared.body.read, self)
            await function(self, **given)

        method.operation = declared  # type: ignore[attr-defined]  # read by `declared_by`
        return method

    return decorate


def declared_by(handler: type[BaseHandler], verb: str) -> Operation | None:
    """Return the declaration of a handler's method, None when it has no such method.

    Args:
        handler: The handler.
        verb: ``get``, ``post``, …
    """
    found: Operation | None = getattr(getattr(handler, verb), "operation", None)
    return found


class ApiHandler(BaseHandler):
    """Base of the API's handlers."""

    def answer(self, model: BaseModel, status: int = 200, **headers: str) -> None:
        """Answer with JSON.

        Args:
            model: What to say.
            status: The status.
            headers: More headers; ``_`` stands for ``-``.
        """
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name.replace("_", "-"), value)
        self.set_header("Content-Type", "application/json")
        self.finish(model.model_dump_json(by_alias=True))

    async def send_pieces(self, pieces: Iterator[bytes]) -> None:
        """Send a body piece by piece, as fast as it is taken.

        Args:
            pieces: The body; each piece is made in a thread.
        """
        while (piece := await self.call(next, pieces, None)) is not None:
            self.write(piece)
            await self.flush()
        self.finish()

    def nothing(self) -> None:
        """Answer that it is done (204)."""
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()
