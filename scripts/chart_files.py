"""values.yaml, values.schema.json and docs/reference/values.md of the chart, from its values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import chart_values
from pydantic import BaseModel

from hub_ext.catalog.policy import EnclaveSpec


def _children(model: type[BaseModel]) -> Iterator[tuple[str, Any, type[BaseModel] | None]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
        yield field.alias or name, field, inner if is_model else None


def schema() -> str:
    """Return values.schema.json."""
    found = chart_values.Chart.model_json_schema()
    found["$schema"] = "http://json-schema.org/draft-07/schema#"
    found["definitions"] = found.pop("$defs") | _enclave_definitions()
    found["definitions"]["Enclave"]["properties"]["spec"] = {"$ref": "#/definitions/EnclaveSpec"}
    text = json.dumps(_plain(found), indent=2, ensure_ascii=False) + "\n"
    return text.replace("#/$defs/", "#/definitions/")


def _enclave_definitions() -> dict[str, Any]:
    """Return what an enclave may say, from its own model; what it must say is looked at when it is read."""
    found = EnclaveSpec.model_json_schema()
    inner = found.pop("$defs")
    for one in ("system_namespace", "local"):
        del found["properties"][one]
    found["required"] = []
    return {"EnclaveSpec": found, **inner}


def _plain(node: Any) -> Any:
    """Return a schema without what only repeats the name of a property, and without defaults (values.yaml has them)."""
    if isinstance(node, dict):
        dropped = {"default"} | ({"title"} if isinstance(node.get("title"), str) else set())
        return {key: _plain(value) for key, value in node.items() if key not in dropped}
    return [_plain(one) for one in node] if isinstance(node, list) else node


def values() -> str:
    """Return values.yaml."""
    lines = ["# Made from scripts/chart_values.py by scripts/generate.py; do not edit.", ""]
    lines += _yaml(chart_values.Chart, "")
    return "\n".join(lines).rstrip() + "\n"


def _yaml(model: type[BaseModel], indent: str) -> list[str]:
    lines: list[str] = []
    for name, field, inner in _children(model):
        if name == "global":
            continue
        about = field.description or (inner.__doc__ if inner else "") or ""
        if not indent and lines:
            lines.append("")
        if inner is None:
            lines += [f"{indent}# {about}", f"{indent}{name}: {json.dumps(field.default, ensure_ascii=False)}"]
        elif inner is chart_values.Settings:
            lines += [f"# {about}", f"{name}: {{}}"]
        else:
            lines += [f"{indent}# {about}", f"{indent}{name}:", *_yaml(inner, indent + "  ")]
    return lines


def reference() -> str:
    """Return docs/reference/values.md."""
    lines = ["# Values of the chart", "", "Made from `scripts/chart_values.py` by `scripts/generate.py`; do not edit."]
    lines += ["A value that is not here is refused by its name, and so is one of a wrong type.", ""]
    lines += ["| value | default | meaning |", "| --- | --- | --- |", *_rows(chart_values.Chart, "")]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], path: str) -> Iterator[str]:
    for name, field, inner in _children(model):
        about = (field.description or (inner.__doc__ if inner else "") or "").replace("|", "\\|")
        if name == "global":
            continue
        if inner is None:
            default = "" if model is chart_values.Settings else f"`{json.dumps(field.default, ensure_ascii=False)}`"
            yield f"| `{path}{name}` | {default} | {about} |"
        else:
            yield f"| **`{path}{name}`** | | {about} |"
            yield from _rows(inner, f"{path}{name}.")
