"""Addresses of databases as people write them."""

from __future__ import annotations

from sqlalchemy import make_url


def driver(url: str) -> str:
    """Return a database's address with the driver that is installed.

    Args:
        url: SQLAlchemy address.
    """
    found = make_url(url)
    if found.drivername in ("postgresql", "postgres"):
        found = found.set(drivername="postgresql+psycopg")
    return found.render_as_string(hide_password=False)
