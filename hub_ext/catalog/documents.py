"""YAML files → models: strict, and told by file, line and field, with the nearest known name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

LARGEST = 256 * 1024

# Kinds of pydantic's errors that say more in our words.
_KINDS = {
    "extra_forbidden": "is not known here; take it out",
    "missing": "is missing",
    "model_type": "must be a mapping of fields",
    "model_attributes_type": "must be a mapping of fields",
}
_QUOTED = re.compile(r"'([^']*)'")
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with a file.

    Attributes:
        path: The file, relative to the profiles folder.
        message: What is wrong; names the field.
        line: Line in the file (from 1), where it is known.
    """

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class _Events(CParser):
        """Events of a document, from libyaml: thirty times as fast, which 10,000 files need."""

else:  # pragma: no cover  # a PyYAML that was built without libyaml
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class _Events(Reader, Scanner, Parser):  # type: ignore[no-redef]
        """Events of a document, from PyYAML itself."""

        def __init__(self, stream: Any) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)


class _Loader(Composer, _Events, SafeConstructor, Resolver):
    """YAML as people write it: no aliases (no bombs), tags, merging or duplicate keys, and dates stay text."""

    def __init__(self, text: str) -> None:
        _Events.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()
        what = "aliases (*name)" if self.check_event(yaml.AliasEvent) else ""
        if not what and getattr(event, "tag", None) is not None:
            what = "tags (!name)"
        if what:
            raise yaml.composer.ComposerError(None, None, f"{what} are not used in profiles", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            wrong = _wrong_key(key, seen)
            if wrong:
                raise yaml.constructor.ConstructorError(None, None, wrong, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _wrong_key(key: Any, seen: set[str]) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return "a key must be plain text"
    if key.tag == "tag:yaml.org,2002:merge":
        return "merging (<<) is not used in profiles"
    return f"the key {key.value[:80]!r} is there twice" if key.value in seen else ""


def read(path: Path, where: str, model: type[_Model]) -> _Model | list[FileProblem]:
    """Read one file.

    Args:
        path: The file.
        where: How it is named in problems.
        model: What it must be.
    """
    try:
        if path.stat().st_size > LARGEST:
            return [FileProblem(where, f"is larger than {LARGEST // 1024} KiB")]
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        return [FileProblem(where, f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return [FileProblem(where, "is not text in UTF-8")]
    return parse(text, where, model)


def parse(text: str, where: str, model: type[_Model]) -> _Model | list[FileProblem]:
    """Read a text.

    Args:
        text: One YAML document.
        where: How it is named in problems.
        model: What it must be.

    Returns:
        The model, or everything that is wrong.
    """
    if len(text) > LARGEST:
        return [FileProblem(where, f"is larger than {LARGEST // 1024} KiB")]
    try:
        node, content = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        return [FileProblem(where, f"is not YAML: {_why(error, text, line)}", line)]
    except RecursionError:
        return [FileProblem(where, "is nested too deeply")]
    except yaml.reader.ReaderError as error:
        return [FileProblem(where, f"is not YAML: it holds the character U+{int(error.character):04X}")]
    except UnicodeEncodeError:
        return [FileProblem(where, "is not text in UTF-8")]
    except ValueError:
        return [FileProblem(where, "holds a number that is longer than numbers are")]
    try:
        return model.model_validate(content)
    except ValidationError as error:
        return list(_tell(error, where, node, model))


def line_of(path: Path, location: tuple[int | str, ...]) -> int | None:
    """Return the line of a field in a file that was read before; None where it is not known (any more).

    Args:
        path: The file.
        location: The field, as a model has it.
    """
    try:
        node, _ = _compose(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    return _line(node, location)


def _why(error: yaml.MarkedYAMLError, text: str, line: int | None) -> str:
    lines = text.splitlines()
    if line is not None and line <= len(lines) and "\t" in lines[line - 1][: _indent(lines[line - 1])]:
        return "a tab stands where spaces must; YAML is indented by spaces alone"
    return str(error.problem or error.context or "it ends in the middle")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _compose(text: str) -> tuple[Any, Any]:
    """Return the tree of a document, for its lines, and what it says."""
    loader = _Loader(text)
    node = loader.get_single_node()
    return node, loader.construct_document(node) if node is not None else None


def _tell(error: ValidationError, where: str, node: Any, model: type[BaseModel]) -> Iterator[FileProblem]:
    for item in error.errors(include_url=False, include_context=False):
        location = item["loc"]
        message = _message(item, model)
        if not location and message.startswith("options."):
            for problem in message.split("; options."):
                option, _, rest = problem.removeprefix("options.").partition(": ")
                at = _line(node, ("spec", "options", option))
                yield FileProblem(where, f"spec.options.{option}: {rest}", at)
            continue
        name = ".".join(str(part) for part in location)
        yield FileProblem(where, f"{name}: {message}" if name else message, _line(node, location))


def _message(item: Any, model: type[BaseModel]) -> str:
    """Return what is wrong, with the nearest name that would be right."""
    kind, location = item["type"], item["loc"]
    message = _KINDS.get(kind, str(item["msg"]).removeprefix("Value error, "))
    if kind == "extra_forbidden":
        near = get_close_matches(str(location[-1]), _fields_at(model, location[:-1]), n=1)
        return f"is not known here; did you mean {near[0]}?" if near else message
    if kind == "literal_error":
        near = get_close_matches(str(item["input"])[:80], _QUOTED.findall(item["msg"]), n=1, cutoff=0.5)
        return f"{message}; did you mean {near[0]}?" if near else message
    return message


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the names of the fields that a model has at a place."""
    root = _schema(model)
    at = root
    for part in location:
        at = _resolved(root, at)
        named = [*at.get("patternProperties", {}).values(), at.get("additionalProperties") or {}]
        at = at.get("items", {}) if isinstance(part, int) else at.get("properties", {}).get(part, named[0])
    return list(_resolved(root, at).get("properties", {}))


def _resolved(root: dict[str, Any], at: dict[str, Any]) -> dict[str, Any]:
    for one in at.get("anyOf", ()):
        if "$ref" in one or "properties" in one:
            at = one
            break
    if "$ref" in at:
        at = root["$defs"][at["$ref"].rpartition("/")[2]]
    return at


def _line(node: Any, location: tuple[int | str, ...]) -> int | None:
    """Return the line of the deepest part of a location that the file has."""
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
