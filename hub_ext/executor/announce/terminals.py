"""An open terminal counts as use of a server, as docs/analysts.md says.

jupyter_server_terminals means to say so, and does not: its `terminals_available`, by which it tells the server, is set
nowhere (0.5.4). So a server with an open terminal would end as one that nobody uses, with what runs in it.
"""

from __future__ import annotations

from typing import Any

from tornado.ioloop import IOLoop

_NAME = "jupyter_server_terminals"
_AFTER = 10.0  # seconds: extensions are loaded one after the other, and a server looks first after a minute


def count_terminals(server: Any) -> None:
    """Let the terminals of a server count from when its extensions are loaded.

    Args:
        server: The Jupyter server, in its running loop.
    """
    IOLoop.current().call_later(_AFTER, _count, server)


def _count(server: Any) -> None:
    for apps in server.extension_manager.extension_apps.values():
        for app in apps:
            if app.name == _NAME and hasattr(app, "terminal_manager"):
                app.terminals_available = True
