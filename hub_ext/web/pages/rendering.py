"""Templates, compiled once for the life of the process."""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from hub_ext import __version__
from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.web.pages import assets, sheet, theme, words

_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


class Compiled(FileSystemBytecodeCache):
    """Templates as they were compiled last, kept as Python keeps modules: that takes a second of processor.

    Each is believed only for the very text that it was made of. Where nothing can be kept, it is compiled each time.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), "%s.cache")
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take one that is kept, if there is one."""
        with contextlib.suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep one."""
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                super().dump_bytecode(bucket)


@functools.lru_cache(4096)
def _part(text: object) -> str:
    """Return a text as one part of a path."""
    return quote(str(text), safe="")


def query(given: dict[str, Any]) -> str:
    """Return a query string with its question mark, without what is empty; nothing for nothing."""
    text = urlencode({key: value for key, value in given.items() if value not in (None, "", False)}, doseq=True)
    return f"?{text}" if text else ""


@functools.lru_cache(4096)
def placeholder(name: str) -> str:
    """Return the drawing of a workflow without a picture; there are many in a gallery, so each is made once."""
    return environment().get_template("_placeholder.html").render(name=name)


@functools.cache
def environment() -> Environment:
    """Return the one environment; every template in it is compiled."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        bytecode_cache=Compiled(_TEMPLATES / "__pycache__"),
        autoescape=True,
        auto_reload=False,
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "part": _part,
        "path": lambda path: quote(str(path), safe="/"),
        "quantity": lambda text: human_size(parse_size(text)),
        "when": words.when,
        "duration": words.duration,
        "minutes": words.minutes,
        "size": human_size,
        "value": words.json_text,
        "plain": words.plain,
    }
    made.globals |= {
        "drawing": words.drawing,
        "release": __version__,
        "icons": sheet.ICONS,
        "sheet": sheet.PATH,
        "states": words.STATES,
        "theme": Markup(theme.text()),  # noqa: S704  # a file of ours
        "ended": words.ENDED,
        "count": words.count,
        "placeholder": placeholder,
        "query": query,
    }
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    return made


def static_link(prefix: str, path: str) -> str:
    """Return the address of a static file, which changes with its content.

    Args:
        prefix: Path of the service.
        path: Below `static/`.
    """
    return f"{prefix}static/v-{assets.digest()}/{path}"


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Its file.
        values: What it shows.
    """
    return environment().get_template(template).render(**values)
