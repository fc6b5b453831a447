"""Addresses of databases as people write them, and how long one is waited for."""

from __future__ import annotations

from sqlalchemy import make_url

# A machine that vanished says no goodbye: without these, whoever asks it waits for minutes.
_PATIENCE = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 5,  # seconds
    "keepalives_interval": 3,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,  # milliseconds
}


def driver(url: str) -> str:
    """Return a database's address with the driver that is installed.

    Args:
        url: SQLAlchemy address.
    """
    found = make_url(url)
    if found.drivername in ("postgresql", "postgres"):
        found = found.set(drivername="postgresql+psycopg")
    return found.render_as_string(hide_password=False)


def patience(url: str) -> dict[str, int]:
    """Return what a connection is opened with, so that nobody waits long for a machine that is gone.

    What the address itself says wins.

    Args:
        url: SQLAlchemy address.
    """
    found = make_url(driver(url))
    if found.get_backend_name() != "postgresql":
        return {}
    return {name: value for name, value in _PATIENCE.items() if name not in found.query}
