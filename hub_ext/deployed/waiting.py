"""`python -m hub_ext.deployed.waiting`: return when the databases answer.

A pod that is started before its database would otherwise end, and be started again ever later.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hub_ext.db.addresses import driver

_VARIABLES = ("HUB_EXT_DATABASE_URL", "HUB_EXT_HUB_DATABASE_URL")
_WITHIN = 300.0  # seconds
_PAUSE = 0.25  # seconds
_TELL_EVERY = 10.0  # seconds


def _answers(url: str) -> str:
    """Return an empty text when a database answers, else what it said, without its address."""
    engine = create_engine(driver(url), poolclass=NullPool)
    try:
        with engine.connect():
            return ""
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).strip().splitlines()
        password = make_url(url).password
        text = said[0] if said else type(error).__name__
        return text.replace(str(password), "•••") if password else text


def wait(environ: Mapping[str, str], within: float = _WITHIN) -> int:
    """Wait; return an exit code.

    Args:
        environ: Holds the addresses; those that are not set are not waited for.
        within: Seconds.
    """
    until, told = time.monotonic() + within, 0.0
    for variable in _VARIABLES:
        while url := environ.get(variable):
            said = _answers(url)
            if not said:
                break
            now = time.monotonic()
            if now - told > _TELL_EVERY or now > until:
                told = now
                print(f"The database of {variable} does not answer: {said}", file=sys.stderr, flush=True)  # noqa: T201
            if now > until:
                return 1
            time.sleep(_PAUSE)
    return 0


if __name__ == "__main__":
    sys.exit(wait(os.environ))
