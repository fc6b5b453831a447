"""What somebody sent, made into models: strict, and every refusal names its field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from tornado.httputil import HTTPServerRequest

from hub_ext.errors import InvalidInput, Problem, Unsupported
from hub_ext.web.errors import Malformed

Model = TypeVar("Model", bound=BaseModel)

_DEEPEST = 100
_WIDEST = 2**63  # integers beyond 64 bits overflow somewhere: in the database, or in what reads the answer

# Names in a query that are no part of any operation: a browser's EventSource cannot send the header.
_NO_QUERY = frozenset({"_xsrf"})


class _Bad:
    """Stands in parsed JSON where something cannot be accepted, until its place is known."""

    def __init__(self, message: str) -> None:
        self.message = message


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found[key] = _Bad("is there twice")
            seen.add(key)
    return found


def _integer(text: str) -> int | _Bad:
    if len(text) > 20:
        return _Bad("is a number beyond 64 bits")
    value = int(text)
    return value if -_WIDEST <= value < _WIDEST else _Bad("is a number beyond 64 bits")


def _float(text: str) -> float | _Bad:
    value = float(text)
    return value if math.isfinite(value) else _Bad("is a number beyond what a double holds")


def _faults(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield place and message of everything that cannot be accepted."""
    if isinstance(value, _Bad):
        yield path, value.message
    elif isinstance(value, str):
        yield from _text_faults(value, path)
    elif isinstance(value, dict | list):
        if depth >= _DEEPEST:
            yield path, f"is nested deeper than {_DEEPEST} levels"
            return
        items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(key, str):
                yield from _text_faults(key, path)
            yield from _faults(item, f"{path}.{key}" if path else str(key), depth + 1)


def _text_faults(text: str, path: str) -> Iterator[tuple[str, str]]:
    if text.isascii():
        if "\x00" in text:
            yield path, "holds a NUL character"
        return
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        yield path, "holds a NUL character, or half of a character (a lone surrogate)"


def json_of(data: bytes) -> Any:
    """Return the JSON of a body.

    Args:
        data: The body.

    Raises:
        Malformed: If it is not JSON in UTF-8.
        InvalidInput: If it holds what JSON cannot or should not: NaN, a key twice, a number beyond 64 bits, NUL, half
            characters, or more than a hundred levels.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed.of("body", f"is not UTF-8 (at byte {error.start})") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=lambda name: _Bad(f"is {name}, which is not JSON"),
        )
    except json.JSONDecodeError as error:
        empty = "is empty; JSON is expected" if not text.strip() else f"is not JSON: {error.msg}, column {error.colno}"
        raise Malformed.of("body", empty, line=error.lineno) from None
    except RecursionError:
        raise Malformed.of("body", f"is nested deeper than {_DEEPEST} levels") from None
    for path, message in _faults(value, "", 0):
        raise InvalidInput.of(_shown(path) or "body", message)
    return value


def media_type(request: HTTPServerRequest) -> str:
    """Return the media type of a request's body, without parameters, in lower case."""
    return str(request.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def require(request: HTTPServerRequest, *accepted: str) -> str:
    """Return the media type of a request's body.

    Raises:
        Unsupported: If it is none of those accepted, or compressed; an empty body without a type passes as the first.
    """
    coding = str(request.headers.get("Content-Encoding", "identity"))
    if coding.lower() != "identity":
        raise _unsupported("Content-Encoding", "left out: bodies are taken as they are", coding)
    found = media_type(request)
    if found in accepted:
        return found
    if not found and not request.body:
        return accepted[0]
    raise _unsupported("Content-Type", " or ".join(accepted), found)


def _unsupported(header: str, right: str, sent: str) -> Unsupported:
    detail = f"{header}: must be {right}, not {sent[:80] or 'nothing'}."
    return Unsupported(detail, problems=[Problem(header, f"must be {right}")])


def validated(model: type[Model], content: object, *, strict: bool) -> Model:
    """Return content as a model.

    Args:
        model: The model.
        content: What was sent.
        strict: Types must be right as they are (JSON); otherwise texts are read (query, form).

    Raises:
        InvalidInput: If it does not fit; `problems` name each field.
    """
    if not isinstance(content, dict):
        raise InvalidInput.of("body", "must be a JSON object")
    try:
        return model.model_validate(content, strict=strict)
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:50]:
        field = _shown(".".join(str(part) for part in item["loc"]))
        problems.append(Problem(field, _words(item["type"], item["msg"])))
    text = "; ".join(
        f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in problems
    )
    raise InvalidInput(f"{text}.", problems=problems) from None


def _shown(field: str) -> str:
    return field if len(field) <= 120 else field[:117] + "…"


def _words(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not known here"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ").removeprefix("Input ")


def query_of(request: HTTPServerRequest, model: type[Model]) -> Model:
    """Return the query of a request as a model.

    Raises:
        Malformed: If it is not UTF-8.
        InvalidInput: If a name is not known, is there twice, or its value does not fit.
    """
    sent = {name: values for name, values in request.query_arguments.items() if name not in _NO_QUERY}
    return validated(model, _texts(sent, model), strict=False)


def form_of(request: HTTPServerRequest, model: type[Model], files: Iterable[str]) -> Model:
    """Return a multipart form as a model.

    Args:
        request: The request.
        model: The model; a field that takes a list takes a name that comes several times.
        files: Fields that may come as a file; they become bytes.

    Raises:
        Malformed: If a text is not UTF-8.
        InvalidInput: If it does not fit.
    """
    content: dict[str, Any] = _texts(request.body_arguments, model)
    content.pop("_xsrf", None)
    for name, parts in request.files.items():
        if name not in files:
            raise InvalidInput.of(_shown(name), "is not known here")
        if len(parts) > 1 or name in content:
            raise InvalidInput.of(name, "is there twice")
        content[name] = parts[0].body
    return validated(model, content, strict=False)


def _texts(sent: Mapping[str, list[bytes]], model: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in sent.items():
        try:
            texts = [value.decode("utf-8") for value in values]
        except UnicodeDecodeError:
            raise Malformed.of(_shown(name), "is not UTF-8") from None
        for text in (name, *texts):
            for _, message in _text_faults(text, name):
                raise InvalidInput.of(_shown(name), message)
        if _takes_list(model, name):
            found[name] = texts
        elif len(texts) > 1:
            raise InvalidInput.of(_shown(name), "is there twice")
        else:
            found[name] = texts[0]
    return found


def _takes_list(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and "list[" in str(field.annotation)
