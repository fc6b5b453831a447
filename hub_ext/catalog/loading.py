"""Profile files → one immutable snapshot of the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hub_ext.catalog.models import Profile

_LARGEST = 256 * 1024

# Kinds of pydantic's errors that say more in our words.
_KINDS = {
    "extra_forbidden": "is not known here; take it out",
    "missing": "is missing",
    "model_type": "must be a mapping of fields",
    "model_attributes_type": "must be a mapping of fields",
}


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with a profile file.

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


@dataclass(frozen=True)
class Catalog:
    """All profiles of one moment.

    Attributes:
        profiles: Every version, by name and number.
        problems: Files that could not be read as a profile.
    """

    profiles: tuple[Profile, ...]
    problems: tuple[FileProblem, ...] = ()
    _by_name: dict[str, list[Profile]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for profile in self.profiles:
            self._by_name.setdefault(profile.name, []).append(profile)
        for versions in self._by_name.values():
            versions.sort(key=lambda profile: profile.version)

    def versions(self, name: str) -> list[Profile]:
        """Return the versions of a profile that may be started, the lowest first; none for an unknown name."""
        return self._by_name.get(name, [])

    def newest(self) -> list[Profile]:
        """Return the highest version of each profile, by title."""
        return sorted(
            (versions[-1] for versions in self._by_name.values()), key=lambda one: one.metadata.title.casefold()
        )

    @cached_property
    def digest(self) -> str:
        """Identity of the snapshot."""
        lines = sorted(f"{profile.name} {profile.version} {profile.digest}" for profile in self.profiles)
        return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _Loader(yaml.SafeLoader):
    """YAML as people write it: no aliases (no bombs), tags, merging or duplicate keys, and dates stay text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in PyYAML
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


def load(folder: Path) -> Catalog:
    """Read all profile files of a folder (``<name>/<n>.yaml``; folders that begin with ``_`` hold other things).

    A file that is wrong becomes a problem and leaves the others as they are.

    Args:
        folder: The profiles folder.
    """
    profiles: list[Profile] = []
    problems: list[FileProblem] = []
    for path in sorted(folder.glob("[!_]*/*.yaml")):
        where = path.relative_to(folder).as_posix()
        result = read_file(path, where)
        if isinstance(result, Profile):
            profiles.append(result)
        else:
            problems += result
    return Catalog(tuple(profiles), tuple(problems))


def read_file(path: Path, where: str) -> Profile | list[FileProblem]:
    """Read one profile file.

    Args:
        path: The file.
        where: How it is named in problems.
    """
    try:
        if path.stat().st_size > _LARGEST:
            return [FileProblem(where, f"is larger than {_LARGEST // 1024} KiB")]
        node, content = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [FileProblem(where, f"cannot be read: {error.strerror}")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return [FileProblem(where, f"is not YAML: {error.problem}", mark.line + 1 if mark else None)]
    except RecursionError:
        return [FileProblem(where, "is nested too deeply")]
    except UnicodeDecodeError:
        return [FileProblem(where, "is not text in UTF-8")]
    except yaml.reader.ReaderError as error:
        return [FileProblem(where, f"is not YAML: it holds the character U+{int(error.character):04X}")]
    except ValueError:
        return [FileProblem(where, "holds a number that is longer than numbers are")]
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        return list(_tell(error, where, node))
    if (profile.name, f"{profile.version}.yaml") != (path.parent.name, path.name):
        expected = f"{profile.name}/{profile.version}.yaml"
        return [FileProblem(where, f"metadata says {expected}: a version is one file, named for its number")]
    return profile


def _parse(text: str) -> tuple[Any, Any]:
    """Return the tree of a document, for its lines, and what it says."""
    loader = _Loader(text)
    node = loader.get_single_node()
    return node, loader.construct_document(node) if node is not None else None


def _tell(error: ValidationError, where: str, node: Any) -> Iterator[FileProblem]:
    for item in error.errors(include_url=False, include_context=False):
        location = item["loc"]
        message = _KINDS.get(item["type"], item["msg"].removeprefix("Value error, "))
        if not location and message.startswith("options."):
            for problem in message.split("; options."):
                option, _, rest = problem.removeprefix("options.").partition(": ")
                at = _line(node, ("spec", "options", option))
                yield FileProblem(where, f"spec.options.{option}: {rest}", at)
            continue
        name = ".".join(str(part) for part in location)
        yield FileProblem(where, f"{name}: {message}" if name else message, _line(node, location))


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
