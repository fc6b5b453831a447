"""An open terminal is use of a server: told by a real Jupyter server, as it starts with our extension."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio
from jupyter_server.serverapp import ServerApp

async def main():
    app = ServerApp()
    extensions = {"hub_ext.executor.announce": True, "jupyter_server_terminals": True}
    app.initialize([f"--ServerApp.jpserver_extensions={extensions}", "--allow-root"], new_httpserver=False)
    print(bool(app.extension_manager.any_activity()))
    terminals = app.web_app.settings["terminal_manager"]
    made = terminals.create()
    for _ in range(800):  # extensions are loaded once the loop runs
        if app.extension_manager.any_activity():
            break
        await asyncio.sleep(0.05)
    print(bool(app.extension_manager.any_activity()))
    await terminals.terminate(made["name"], force=True)
    print(bool(app.extension_manager.any_activity()))

asyncio.run(main())
"""


def test_it_counts_from_when_it_is_opened_until_it_is_closed(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path), "SHELL": "/bin/sh"}
    command = [sys.executable, "-c", SCRIPT]
    options = {"capture_output": True, "text": True, "timeout": 120, "check": False}
    found = subprocess.run(command, cwd=tmp_path, env=environment, **options)
    assert found.stdout.split() == ["False", "True", "False"], found.stderr
