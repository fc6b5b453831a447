"""The one style sheet of our pages: Font Awesome, JupyterHub's with Bootstrap, and ours, put together.

As files they would come one after the other, since JupyterHub's imports two of Font Awesome: a page is drawn only when
the last is there. Of theirs it holds the rules for classes that some page, script or module of ours names, a fifth of
all: a browser reads each before it draws the first page. The font holds those icons alone, a twentieth of theirs.
"""

from __future__ import annotations

import functools
import posixpath
import re
from pathlib import Path

from jupyterhub._data import DATA_FILES_PATH

_WEB = Path(__file__).resolve().parent.parent
_HUBS = Path(DATA_FILES_PATH) / "static"
_OURS = "css/hub-ext.css"
_JUPYTERHUBS = "hub/css/style.min.css"
FONT_AWESOME = "hub/components/@fortawesome/fontawesome-free/webfonts/fa-solid-900.woff2"
ICONS = "vendor/icons/icons.woff2"  # of that font what pages show; made by scripts/generate.py
ICONS_FAMILY = "Pages Icons"

PATH = "css/pages.css"  # below static/

_IMPORT = re.compile(r'@import\s*"([^"]+)"\s*;')
_ADDRESS = re.compile(r'url\(\s*"?(?!data:|[a-z]+:|/|#|"|\')([^)"\']+)"?\s*\)')
_NOT_FOR_BROWSERS = re.compile(r"/\*# sourceMappingURL=.*?\*/")

_FAMILY = re.compile(r"Font Awesome \d+ Free")
_ICON = re.compile(r"""(?:--fa|content):\s*["']\\([0-9a-f]{4,6}|[^0-9a-f])["']""")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BY_BOOTSTRAP = frozenset({"collapse", "collapsing", "show"})  # its script puts these on the menus
_PART = re.compile(r"""/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]""", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ARGUMENT = re.compile(r"\([^()]*\)")
_COMMA = re.compile(r",(?![^()]*\))")
_CLASS = re.compile(r"\.(-?[A-Za-z_][A-Za-z0-9_-]*)")
_HOLDS_RULES = ("@media", "@supports", "@container", "@layer")


@functools.cache
def text() -> str:
    """Return the style sheet. Addresses in it are relative to its own, so that a version in that stays in them."""
    theirs = needed(whole(_JUPYTERHUBS), names()).replace(f"../{FONT_AWESOME}", f"../{ICONS}")
    return "\n".join([_FAMILY.sub(ICONS_FAMILY, theirs), _read(_OURS)])


def icons() -> frozenset[int]:
    """Return the code points of all icons that are in the style sheet."""
    return frozenset(int(found, 16) if len(found) > 1 else ord(found) for found in _ICON.findall(text()))


@functools.cache
def names() -> frozenset[str]:
    """Return every word of our pages, scripts and modules that may be the name of a class."""
    package = _WEB.parent
    files = [*package.rglob("*.html"), *(_WEB / "static" / "js").glob("*.js")]
    files += [path for folder in (_WEB, package / "spawner") for path in folder.rglob("*.py") if path != Path(__file__)]
    return _BY_BOOTSTRAP.union(*(_NAME.findall(path.read_text()) for path in files))


def needed(found: str, known: frozenset[str]) -> str:
    """Return a style sheet without the rules that can fit nothing.

    Args:
        found: It.
        known: Every class that there is.
    """
    kept, begin, opened, depth = [], 0, 0, 0
    for part in _PART.finditer(found):
        if part[0] == "{":
            opened = part.end() if depth == 0 else opened
            depth += 1
        elif part[0] == "}":
            depth -= 1
            if depth == 0:
                kept.append(_rule(found[begin : opened - 1], found[opened : part.start()], known))
                begin = part.end()
        elif part[0] == ";" and depth == 0:
            kept.append(found[begin : part.end()])
            begin = part.end()
    return "".join([*kept, found[begin:]])


def _rule(head: str, body: str, known: frozenset[str]) -> str:
    """Return a rule with those of its selectors that can fit; what is left of it else is its comments."""
    comments, selector = "".join(_COMMENT.findall(head)), _COMMENT.sub("", head).strip()
    if selector.startswith(_HOLDS_RULES):
        inner = needed(body, known)
        return f"{comments}{selector}{{{inner}}}" if inner.strip() else comments
    if selector.startswith("@"):
        return f"{comments}{selector}{{{body}}}"
    fitting = [one for one in _COMMA.split(selector) if _can_fit(one, known)]
    return f"{comments}{','.join(fitting)}{{{body}}}" if fitting else comments


def _can_fit(selector: str, known: frozenset[str]) -> bool:
    if "\\" in selector:
        return True  # nobody writes such names here; but then it is not for us to take apart
    while (plain := _ARGUMENT.sub("", selector)) != selector:  # of `:not(.x)` nothing follows
        selector = plain
    return known.issuperset(_CLASS.findall(selector))


def whole(path: str) -> str:
    """Return a style sheet with what it imports in its place.

    Args:
        path: Below `static/`.
    """
    folder = path.rpartition("/")[0]
    found = _NOT_FOR_BROWSERS.sub("", _read(path))
    return _IMPORT.sub(lambda match: relative(_read(f"{folder}/{match[1]}"), f"{folder}/{match[1]}"), found)


def relative(found: str, path: str) -> str:
    """Return a style sheet as it has to be at our address.

    Args:
        found: It.
        path: Where it was, below `static/`.
    """
    folder = path.rpartition("/")[0]
    return _ADDRESS.sub(lambda match: f'url("{posixpath.normpath(f"../{folder}/{match[1]}")}")', found)


def _read(path: str) -> str:
    file = _HUBS / path.removeprefix("hub/") if path.startswith("hub/") else _WEB / "static" / path
    return file.read_text(encoding="utf-8-sig")
