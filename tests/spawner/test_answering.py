"""Whether a server answers yet, and what it said when it did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from jupyterhub import orm
from jupyterhub.objects import Server

from hub_ext.embedded.processes import free_port
from hub_ext.spawner.answering import answer, answers, last_words

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: bytes | None) -> AsyncIterator[int]:
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answer is None:
            await over.wait()
        writer.write(answer or b"")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        over.set()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\n\r\n", False),
        (b"HTTP/1.1 503 Busy\r\n\r\n", False),
        (b"", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
    ],
)
async def test_only_200_is_an_answer(answer: bytes, expected: bool) -> None:
    async with serving(answer) as port:
        assert await answers(port, "/api") is expected


@pytest.mark.parametrize(
    ("line", "version"),
    [(b"X-JupyterHub-Version: 6.1.1\r\n", "6.1.1"), (b"x-jupyterhub-version:6.1.1\r\n", "6.1.1"), (b"", None)],
)
async def test_a_server_that_has_answered_is_asked_no_second_time(line: bytes, version: str | None) -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nServer: x\r\n" + line + b"\r\n") as port:
        found = await answer(port, "/api")
    assert found is not None
    server = Server(
        orm_server=orm.Server(proto="http", ip="127.0.0.1", port=port, base_url="/user/ana/", cookie_name="x")
    )
    found.spare(server)
    waited = await server.wait_up(http=True, timeout=0.1, ssl_context=None, extra_path="api")  # as JupyterHub waits
    assert waited.headers.get("X-JupyterHub-Version") == version


async def test_what_does_not_end_is_no_answer() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000) as port:
        assert await answers(port, "/api") is False


async def test_nobody_there_is_no_answer() -> None:
    assert await answers(free_port(), "/api") is False


async def test_a_server_that_takes_its_time_is_not_waited_for() -> None:
    async with asyncio.timeout(5):
        async with serving(None) as port:
            task = asyncio.create_task(answers(port, "/api", within=0.2))
            assert await task is False


async def test_a_cancellation_is_never_lost_between_two_questions() -> None:
    port = free_port()

    async def ask_on() -> None:
        for _ in range(10**6):
            await answers(port, "/api")

    for pause in range(20):
        task = asyncio.create_task(ask_on())
        await asyncio.sleep(pause / 5000)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done
        assert task.cancelled()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[I] one\nModuleNotFoundError: No module named 'jupyterhub'\n", "No module named 'jupyterhub'"),
        ("[I] one\n[C 2026] Running as root is not recommended.\n[I] later\n", "Running as root"),
        ("just a line\n\n", "just a line"),
        ("", ""),
    ],
)
def test_the_line_that_tells_why_is_found(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log").write_text(text)
    assert words in last_words(tmp_path / "log")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"Error: token=hunter2 and {'a1' * 16} do not fit\n")
    words = last_words(tmp_path / "log", ("hunter2",))
    assert words == "Error: token=••• and ••• do not fit"


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "log") == ""


def test_what_was_said_before_the_present_start_is_not_its_reason(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("OSError: of last week\n")
    size = log.stat().st_size
    assert last_words(log, since=size) == ""
    with log.open("a") as stream:
        stream.write("ValueError: of today\n[I] going on\n")
    assert last_words(log, since=size) == "ValueError: of today"


def test_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x\n" * 10**6 + "OSError: the last\n")
    assert last_words(tmp_path / "log") == "OSError: the last"
