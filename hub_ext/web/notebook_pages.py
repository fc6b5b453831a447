"""Notebooks as pages: rendered once, by a process of its own, and kept in the store.

nbconvert is heavy, and what it reads is user content: neither belongs into the process that serves everybody.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import sys
import tempfile
from pathlib import Path

import structlog

from hub_ext import __version__
from hub_ext.errors import Unavailable, Unsupported
from hub_ext.web.content import File
from hub_ext.web.context import Context

log = structlog.get_logger("hub_ext.web.notebook_pages")

_LONGEST = 60.0  # seconds
_one_at_a_time = asyncio.Semaphore(1)


async def page_of(context: Context, notebook: File) -> File:
    """Return the page that shows a notebook.

    Args:
        context: The parts of the service.
        notebook: The notebook, in the store under a key that names its content.

    Raises:
        NotFound: If it is not in the store any more.
        Unsupported: If it cannot be rendered.
        Unavailable: If that takes too long.
    """
    stem = posixpath.splitext(posixpath.basename(notebook.key))[0]
    page = File(f"pages/{stem}-{__version__}.html", f"{Path(notebook.name).stem}.html")
    if not await asyncio.to_thread(context.store.exists, page.key):
        async with _one_at_a_time:
            if not await asyncio.to_thread(context.store.exists, page.key):
                await _make(context, notebook.key, page.key)
    return page


async def _make(context: Context, source: str, target: str) -> None:
    with tempfile.TemporaryDirectory(prefix="hub-ext-page-") as folder:
        notebook, page = Path(folder) / "in.ipynb", Path(folder) / "out.html"
        notebook.write_bytes(await asyncio.to_thread(context.store.get, source))
        await _render(notebook, page, f"{context.prefix}static")
        await asyncio.to_thread(context.store.put_file, target, page)


async def _render(notebook: Path, page: Path, assets: str) -> None:
    command = [sys.executable, "-m", "hub_ext.executor.render", str(notebook), str(page), "--assets", assets]
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=notebook.parent,
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), _LONGEST)
    except TimeoutError:
        raise Unavailable("Showing this notebook takes too long.", hint="Download it instead.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        log.warning("a notebook could not be rendered", code=process.returncode, errors=errors.decode()[-2000:])
        raise Unsupported("This notebook cannot be shown as a page.", hint="Download it instead.")
