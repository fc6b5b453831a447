"""Values of a run against the stored schema of a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hub_ext.errors import InvalidInput, Problem
from hub_ext.sharing.parameters.checks import check, nearest, screen
from hub_ext.sharing.parameters.kinds import BASE, WORDS, branches, kind_of
from hub_ext.sharing.parameters.model import DIALECT, EXTENSION, Fragment, MisfitError, refusal
from hub_ext.sharing.parameters.names import is_name

MAX_TEXT: Final = 10**6  # bytes of text in all values of a run together
MAX_PROBLEMS: Final = 50


def validate(schema: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the values of a run, and fill in defaults.

    Args:
        schema: As :meth:`Parameters.json_schema` made it.
        values: JSON, by name of the parameter.

    Returns:
        The values in the order of the form: dates and numbers in one way of writing, defaults filled in. A parameter
        whose default only the notebook knows (computed, or a secret's) and that has no value is left out.

    Raises:
        InvalidInput: `problems` hold one for each field, ``parameters.<name>``. No message holds a secret.
    """
    if not isinstance(values, Mapping):
        raise InvalidInput.of("parameters", 'must be an object with a value for each name, such as {"years": 5}')
    properties: dict[str, Fragment] = schema["properties"]
    problems = [_unknown(name, list(properties)) for name in values if name not in properties]
    result: dict[str, Any] = {}
    room = MAX_TEXT
    for name, fragment in properties.items():
        try:
            if name in values:
                room -= screen(values[name])
                if room < 0:
                    raise MisfitError(f"brings the text of all values together above {MAX_TEXT:,} bytes")
                result[name] = check(fragment, values[name])
            elif "default" in fragment:
                result[name] = check(fragment, fragment["default"])
            elif name in schema["required"]:
                raise MisfitError(f"is missing; it must be {_expected(fragment)}")
        except MisfitError as error:
            problems.append(Problem(f"parameters.{name}", str(error)))
    if problems:
        raise refusal(problems[:MAX_PROBLEMS], "{count} parameters cannot be accepted.")
    return result


def _unknown(name: Any, known: list[str]) -> Problem:
    text = name if isinstance(name, str) else repr(name)
    clean = text[:100].encode(errors="replace").decode()
    listed = f"this workflow has {', '.join(known[:20])}" if known else "this workflow has no parameters"
    return Problem(
        f"parameters.{clean}", f"is not a parameter of this workflow{nearest(clean, known) or f'; {listed}'}"
    )


def _expected(fragment: Fragment) -> str:
    if "enum" in fragment:
        return "one of: " + ", ".join(str(choice) for choice in fragment["enum"][:20] if choice is not None)
    return WORDS.get(kind_of(fragment), "given")


def split_secrets(schema: dict[str, Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what may be stored and shown, and the secrets, which may not.

    Args:
        schema: The stored schema.
        values: As :func:`validate` returned them.

    Returns:
        The plain values, and each secret that was given, by name of the parameter. A secret that is None is plain.
    """
    secret = {
        name: value
        for name, value in values.items()
        if value is not None and kind_of(schema["properties"][name]) == "secret"
    }
    return {name: value for name, value in values.items() if name not in secret}, secret


def check_schema(schema: dict[str, Any]) -> None:
    """Check that a stored schema is one of ours, so that code made from it can be trusted.

    Raises:
        InvalidInput: It is not.
    """
    properties = schema.get("properties")
    if schema.get("$schema") != DIALECT or not isinstance(properties, dict) or not isinstance(schema["required"], list):
        raise InvalidInput.of(
            "parameters", "are described by a schema that was not made here; publish the notebook again"
        )
    for name, fragment in properties.items():
        if not is_name(name) or not _is_ours(fragment):
            raise InvalidInput.of(f"parameters.{name[:100]}", "is described by a schema that was not made here")


def _is_ours(fragment: Any) -> bool:
    if not isinstance(fragment, dict) or not isinstance(fragment.get(EXTENSION), dict):
        return False
    kind = fragment[EXTENSION].get("kind")
    if kind not in BASE or kind == "null":
        return False
    if kind == "enum" and not is_name(fragment[EXTENSION].get("enum_class", "")):
        return False
    inner: list[Any] = []
    if kind == "union":
        inner = branches(fragment)
    elif kind == "dict":
        inner = [fragment.get("additionalProperties")]
    elif kind == "list":
        inner = fragment.get("prefixItems") or [fragment.get("items")]
    return all(map(_is_ours, inner))
