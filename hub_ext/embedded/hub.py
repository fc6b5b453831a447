"""JupyterHub as the embedded default runs it: `python -m hub_ext.embedded.hub -f …`."""

from __future__ import annotations

import ssl
from sqlite3 import Connection
from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.crypto import CryptKeeper
from jupyterhub.services.service import Service
from jupyterhub.spawner import Spawner
from sqlalchemy import event
from tornado.ioloop import PeriodicCallback
from traitlets import Unicode, default

from hub_ext.db.full import say_when_full
from hub_ext.embedded.cookies import RenamingApplication

_LOOK_EVERY = 1000  # milliseconds; JupyterHub looks after a managed service every half minute, which cannot be set


class EmbeddedHub(JupyterHub):
    """JupyterHub whose cookies do not meet those of another platform, and that goes on when its service does not."""

    name = "jupyterhub"

    cookie_suffix = Unicode(help="What is appended to the name of each cookie.").tag(config=True)

    @default("classes")
    def _load_classes(self) -> list[type]:
        """Return what may be set on a command line; JupyterHub imports every spawner that is installed to tell."""
        return [Spawner, Authenticator, CryptKeeper]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._watches: list[PeriodicCallback] = []

    def init_db(self) -> None:
        """Open the Hub's database; what it cannot write is told as such on the Hub's pages."""
        super().init_db()
        engine = self.db.get_bind()
        event.listen(engine, "handle_error", say_when_full)
        event.listen(engine, "connect", _write_ahead)
        for listener in [*engine.dispatch.engine_connect]:  # it asks whether the file is still there, each time
            event.remove(engine, "engine_connect", listener)
        engine.dispose()  # connections from before know nothing of it

    def init_tornado_application(self) -> None:
        """Make the web application."""
        self.tornado_application = RenamingApplication(
            self.handlers, cookie_suffix=self.cookie_suffix, **self.tornado_settings
        )

    async def start_service(
        self, service_name: str, service: Service, ssl_context: ssl.SSLContext | None = None
    ) -> bool:
        """Start a managed service without waiting for its answer: its supervisor sees to it, and `hub-ext up` asks."""
        if not service.managed:
            return bool(await super().start_service(service_name, service, ssl_context))
        await service.start()
        # The service makes itself a new spawner at each start.
        watch = PeriodicCallback(lambda: service.spawner.poll_and_notify(), _LOOK_EVERY)
        watch.start()
        self._watches.append(watch)
        return True

    async def cleanup(self) -> None:
        """Stop servers and services; nobody is to start them again."""
        for watch in self._watches:
            watch.stop()
        await super().cleanup()


def _write_ahead(connection: Connection, _record: object) -> None:
    """Commit without waiting for the disk, as our own database does: a sign-in commits seven times, in one process.

    No crash of a process loses or undoes anything; where the machine loses power, the last seconds may be lost.
    """
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


main = EmbeddedHub.launch_instance

if __name__ == "__main__":
    from hub_ext.embedded import hub  # the class has to be the imported one, not __main__'s

    hub.main()
