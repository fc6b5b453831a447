"""From the bytes of a notebook file to a valid nbformat 4.5 notebook, or to an error in words.

Gaps with one obvious filling (a cell without an id, a code cell without outputs) are filled and older formats are
upgraded. nbformat itself warns, logs and gives random ids on the way; here the same bytes always give the same result.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat.validator import get_validator

from hub_ext.errors import InvalidInput, Problem, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

MIB = 2**20
MAX_DEPTH = 100  # JSON levels; charts reach about 20
MAX_CONTAINERS = 500_000  # lists and objects: what bounds the memory that a file of the size limit can take
MAX_PROBLEMS = 20

_STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OUTPUTS = ("execute_result", "display_data", "stream", "error")


def load(data: bytes, *, limit: int) -> NotebookNode:
    """Return the notebook that a file holds, as valid nbformat 4.5.

    Args:
        data: Content of the file.
        limit: Most bytes that it may have.

    Raises:
        TooLarge: It has more bytes than the limit.
        InvalidInput: It is not a notebook, or a broken one; `problems` name the cells.
    """
    if len(data) > limit:
        raise TooLarge(
            f"The file has {len(data) / MIB:.1f} MiB; a notebook may have {limit / MIB:.3g} MiB.",
            hint="Clear the large outputs in JupyterLab and save it again.",
        )
    raw = _modern(_parse(_decode(data)))
    _fill_gaps(raw)
    _refuse_invalid(raw)
    node = nbformat.v4.to_notebook_json(raw)
    _refuse_half_characters(node)
    return node


# --- from bytes to JSON -----------------------------------------------------------------------------------------------


def _bad(message: str, hint: str = "") -> InvalidInput:
    return InvalidInput.of("notebook", message, hint=hint)


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(
            f"is not UTF-8 text (byte {error.start + 1} cannot be read)", "Save it in JupyterLab as .ipynb."
        ) from None
    if not text.strip():
        raise _bad("is an empty file", "Save the notebook in JupyterLab and take the file from there.")
    return text


class _NotFiniteError(ValueError):
    """A number that JSON does not have."""


def _no_constant(name: str) -> float:
    raise _NotFiniteError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotFiniteError(text[:20])
    return number


def _parse(text: str) -> dict[str, Any]:
    _refuse_nesting(text)
    try:
        raw = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except _NotFiniteError as error:
        raise _bad(f"holds {error}, which is no JSON number", "Clear the outputs and save it again.") from None
    except json.JSONDecodeError as error:
        raise _bad(f"is not JSON: {error.msg}", "Take the .ipynb file itself.") from error
    except (ValueError, RecursionError):
        raise _bad("is JSON that cannot be read: a number in it has too many digits") from None
    if not isinstance(raw, dict) or type(raw.get("nbformat")) is not int:
        raise _bad("is JSON, but not a notebook: there is no `nbformat` number at its top")
    return raw


def _refuse_nesting(text: str) -> None:
    """Bound depth and number of lists and objects before anything is built from them."""
    depth = 0
    for count, bracket in enumerate(re.finditer(r"[\[{\]}]", _STRINGS.sub('""', text))):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise _bad(f"is nested more than {MAX_DEPTH} levels deep", "Clear the outputs and save it again.")
        if count > 2 * MAX_CONTAINERS:
            raise _bad(f"holds more than {MAX_CONTAINERS:,} lists and objects", "Clear the outputs and save it again.")


# --- from any version to a valid 4.5 ----------------------------------------------------------------------------------


def _modern(raw: dict[str, Any]) -> dict[str, Any]:
    major, minor = raw["nbformat"], raw.get("nbformat_minor", 0)
    if type(minor) is not int or minor < 0 or major < 1:
        raise _bad("is not a notebook: `nbformat` and `nbformat_minor` must be version numbers")
    if (major, minor) > (4, 5):
        raise _bad(f"has the format {str(major)[:8]}.{str(minor)[:8]}; the newest that is known here is 4.5")
    if major < 4:
        return _from_old(raw, major, minor)
    return {**raw, "nbformat_minor": 5}


def _from_old(raw: dict[str, Any], major: int, minor: int) -> dict[str, Any]:
    """Return a notebook of format 3 as 4.5. It is checked first: nbformat would log what it finds wrong."""
    problem = _bad(f"has the old format {major} and cannot be converted", "Open it in JupyterLab and save it again.")
    if major < 3 or next(iter(get_validator(3, 0).iter_errors(raw)), None) is not None:
        raise problem
    try:
        old = nbformat.v3.to_notebook_json(raw, minor=minor)
        new: dict[str, Any] = nbformat.convert(old, 4)
    except (AttributeError, KeyError, TypeError, ValueError, nbformat.ValidationError):
        raise problem from None
    for cell in new["cells"]:
        cell.pop("id", None)  # these are random; ours are not
    return new


def _fill_gaps(raw: dict[str, Any]) -> None:
    """Fill what has one obvious value, so that notebooks written by hand or by older tools are taken."""
    metadata = raw.setdefault("metadata", {})
    kernelspec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    if isinstance(kernelspec, dict):
        kernelspec.setdefault("name", "python3")
        kernelspec.setdefault("display_name", kernelspec["name"])
    cells = raw.get("cells")
    if not isinstance(cells, list):
        return
    seen: set[str] = set()
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict):
            continue
        cell.setdefault("metadata", {})
        if cell.get("cell_type") == "code":
            cell.setdefault("outputs", [])
            cell.setdefault("execution_count", None)
        _give_id(cell, number, seen)


def _give_id(cell: dict[str, Any], number: int, seen: set[str]) -> None:
    """Give a cell an id that is its own and the same each time the file is read."""
    present = str(cell.get("id", ""))
    if not _ID.fullmatch(present) or present in seen:
        source = cell.get("source")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        salt = f"{number}\n{cell.get('cell_type')}\n{text}"
        while (present := hashlib.sha256(salt.encode(errors="replace")).hexdigest()[:12]) in seen:
            salt += "\n"
    cell["id"] = present
    seen.add(present)


def _refuse_invalid(raw: dict[str, Any]) -> None:
    """Check against nbformat's schema: quickly first, and cell by cell only to say what is wrong."""
    if next(iter(get_validator(4, 5).iter_errors(raw)), None) is None:
        return
    problems = list(itertools.islice(_problems(raw), MAX_PROBLEMS))
    if not problems:
        problems = [Problem("notebook", "does not follow the notebook format")]
    raise InvalidInput(
        f"This is not a valid notebook: {problems[0].message}.",
        hint="Open it in JupyterLab and save it again.",
        problems=problems,
    )


def _schema() -> Any:
    """Return the slower validator, whose errors say where they are."""
    return get_validator(4, 5, name="jsonschema")


def _problems(raw: dict[str, Any]) -> Iterator[Problem]:
    cells = raw.get("cells")
    if not isinstance(cells, list):
        yield Problem("notebook", "it has no list of cells")
        return
    for error in _schema().iter_errors({**raw, "cells": []}):
        yield Problem("notebook", f"the notebook {_words(error)}")
    for number, cell in enumerate(cells, start=1):
        kind = cell.get("cell_type") if isinstance(cell, dict) else None
        if kind not in ("code", "markdown", "raw"):
            yield Problem(f"cells.{number}", f"cell {number} must be a code, markdown or raw cell")
            continue
        for error in _errors(cell, f"{kind}_cell"):
            yield Problem(f"cells.{number}", f"cell {number} {_words(error)}")


def _errors(instance: Any, ref: str) -> Iterator[Any]:
    """Yield what is wrong, looking into an output by its own type, where the schema only says "none of these"."""
    for error in _schema().iter_errors(instance, {"$ref": f"#/definitions/{ref}"}):
        output = error.instance
        kind = output.get("output_type") if isinstance(output, dict) else None
        inner = list(_errors(output, kind)) if error.validator == "oneOf" and kind in _OUTPUTS else []
        for deeper in inner:
            deeper.relative_path.extendleft(reversed(error.relative_path))
        yield from inner or [error]


def _words(error: Any) -> str:
    """Return what a schema error means, as the end of a sentence that begins with the cell."""
    place = "".join(f" {part + 1}" if isinstance(part, int) else f" `{part[:40]}`" for part in error.relative_path)
    where = f"is wrong at{place}: it " if place else ""
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{where}has no `{missing[0]}`"
    if error.validator == "additionalProperties":
        extra = sorted(set(error.instance) - set(error.schema.get("properties", ())))
        return f"{where}has an unknown field `{extra[0][:40]}`"
    kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    texts = {
        "type": f"must be of type {' or '.join(map(str, kinds))}",
        "oneOf": "must be text, or a list of lines",
        "enum": f"must be one of {', '.join(map(str, kinds))}",
        "uniqueItems": "names something twice",
        "pattern": f"must be text of the form {error.validator_value}",
        "minimum": f"must be at least {error.validator_value}",
    }
    return where + texts.get(str(error.validator), "is not as the notebook format wants it")


def _refuse_half_characters(node: NotebookNode) -> None:
    for number, cell in enumerate(node.cells, start=1):
        try:
            json.dumps(cell, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _bad(
                f"holds half of a character (a lone surrogate) in cell {number}", "Delete it, or clear the output."
            ) from None
    try:
        json.dumps(node.metadata, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _bad("holds half of a character (a lone surrogate) in its metadata") from None
