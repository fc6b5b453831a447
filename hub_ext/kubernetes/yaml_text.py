"""Manifests as YAML, line by line, each with its reason as a comment where one is wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.render import label_of

# What YAML takes for text without quotes, whatever version of it reads.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*(?: [A-Za-z0-9/._-]+)*")
_MEANS_MORE = re.compile(r"(?i:null|true|false|yes|no|on|off|y|n|[0-9.+-].*)")
_COLUMN = 78  # comments stand there, or behind a longer line


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _MEANS_MORE.fullmatch(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _lines(value: Any, path: str, indent: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a mapping or list with the path of what stands in each."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{indent}{_scalar(key)}:", item, f"{path}.{key}" if path else str(key), indent)
    else:
        for index, item in enumerate(value):
            below = f"{path}[{label_of(item, index)}]"
            if isinstance(item, Mapping | list) and item:
                first, *rest = _lines(item, below, indent + "  ")
                yield f"{indent}- {first[0].lstrip()}", first[1]
                yield from rest
            else:
                yield f"{indent}- {_leaf(item)}", below


def _entry(head: str, item: Any, path: str, indent: str) -> Iterator[tuple[str, str]]:
    if isinstance(item, Mapping) and item:
        yield head, ""
        yield from _lines(item, path, indent + "  ")
    elif isinstance(item, list | tuple) and item:
        yield head, ""
        yield from _lines(list(item), path, indent)
    else:
        yield f"{head} {_leaf(item)}", path


def _leaf(item: Any) -> str:
    if isinstance(item, Mapping):
        return "{}"
    return "[]" if isinstance(item, list | tuple) else _scalar(item)


def lines_of(manifest: Manifest, reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the lines of a manifest as YAML, each with its reason; empty for a line that holds no value.

    Args:
        manifest: The object.
        reasons: Path of a leaf → why it is as it is.
    """
    return [(line, reasons.get(path, "")) for line, path in _lines(manifest, "", "")]


def to_yaml(manifests: Sequence[Manifest], reasons: Sequence[Mapping[str, str]] | None = None) -> str:
    """Return manifests as documents of one YAML text.

    Args:
        manifests: The objects.
        reasons: For each of them, path of a leaf → why it is as it is; put behind the line as a comment.
    """
    documents = []
    for number, manifest in enumerate(manifests):
        why = lines_of(manifest, reasons[number] if reasons is not None else {})
        lines = [f"{line.ljust(_COLUMN)}  # {reason}" if reason else line for line, reason in why]
        documents.append("\n".join(lines) + "\n")
    return "---\n".join(documents)
