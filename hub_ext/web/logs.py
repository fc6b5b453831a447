"""The log of the service: JSON lines on stderr, with the id of the request and the name of the person."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor
from tornado.web import RequestHandler

_log = structlog.get_logger("hub_ext.web.access")

# Said for each request by libraries; the access line says it once. `tornado.application` is also the Hub's library,
# which tells of session ids.
_CHATTY = ("tornado.access", "tornado.application", "aiohttp.access", "alembic.runtime.migration")


def configure(level: str) -> None:
    """Send everything that this process logs, libraries included, to stderr as JSON.

    Args:
        level: Least severe level that is written (``INFO``).
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    render: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=render))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # The Hub's library warns of each request that a browser of before 2020, or curl, sends with a cookie.
    logging.getLogger("tornado.application").addFilter(_not_insecure_notice)


def _not_insecure_notice(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Skipping XSRF check for insecure request")


def access(handler: RequestHandler) -> None:
    """Write the access line of a request: never its query, which may hold what should not be kept."""
    request = handler.request
    status = handler.get_status()
    write = _log.info if status < 500 else _log.warning
    write(
        "request",
        method=request.method,
        path=request.path,
        status=status,
        milliseconds=round(request.request_time() * 1000, 1),
    )
