"""`openapi.json`, made from what the handlers declare; `scripts/generate.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from apispec import APISpec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hub_ext import __version__
from hub_ext.web.api import models
from hub_ext.web.api.operation import JSON, MULTIPART, PROBLEM, Answer, Body, Operation, Raw
from hub_ext.web.api.routes import BASE, PARTS, ROUTES, Route

PREFIX = "/services/workflows/"

_ABOUT = (
    "Profiles, workflows and runs. A Hub token authenticates (`Authorization: token <token>`); a browser's session "
    "does too, and then sends the `_xsrf` cookie back as `X-XSRFToken`. Errors are problems (RFC 9457); `errors` names "
    "the fields at fault. Lists are `{items, next}`: `next` is the cursor of the following part, null at the end."
)
_Mode = Literal["validation", "serialization"]

_PARSED = ("json", "yaml")  # media types of which clients make values, of any shape
_REF = "#/components/schemas/{model}"
_TAGS = {
    "profiles": "What servers and runs may be.",
    "catalog": "How profiles come to be that: proposed, checked, approved, explained, ended.",
    "access": "Who may use what, until when, why, and who asks for it.",
    "people": "Who may come in, and who has left.",
    "servers": "Notebook servers of the caller: when they end.",
    "workflows": "Notebooks that others can run.",
    "runs": "Executions of workflows.",
    "results": "What runs made. It is user content: sandboxed, never trusted.",
    "events": "What changes, as it changes (server-sent events).",
    "audit": "Who did what.",
    "service": "The service itself.",
}
_PROBLEMS = {
    400: "The request cannot be read.",
    401: "Nobody is signed in.",
    403: "The caller may not do this.",
    404: "There is no such thing, or the caller may not know of it.",
    409: "It does not fit the present state.",
    413: "The request is too large.",
    415: "The media type is not taken here.",
    416: "The file has no such bytes.",
    422: "Something in the request cannot be accepted; `errors` names it.",
    500: "Something unexpected went wrong; `instance` finds it in the log.",
    503: "A part that is needed does not answer now.",
    507: "There is no space left.",
}


def document() -> dict[str, Any]:
    """Return the whole document."""
    spec = APISpec(
        title="hub-ext",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": _ABOUT, "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"}},
        servers=[{"url": f"{PREFIX}{BASE}".rstrip("/")}],
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        security=[{"token": []}],
    )
    spec.components.security_scheme(
        "token", {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`token <a Hub token>`"}
    )
    names = _components(spec)
    for status in _PROBLEMS:
        spec.components.response(str(status), _problem(status))
    for route in ROUTES:
        operations = {verb: _operation(route, verb, found, names) for verb, found in route.operations().items()}
        spec.path(f"/{route.template}", operations=operations)
    found: dict[str, Any] = spec.to_dict()
    return found


def _components(spec: APISpec) -> dict[type[BaseModel], str]:
    """Put all models into the document and return their names."""
    taken: set[type[BaseModel]] = set()
    given: set[type[BaseModel]] = {models.Problem}
    for route in ROUTES:
        for found in route.operations().values():
            taken |= {found.body.model} if isinstance(found.body, Body) else set()
            given |= {answer.model for answer in found.answers.values() if answer.model}
    by_name = sorted([*taken, *given], key=lambda model: model.__name__)
    pairs: list[tuple[type[BaseModel], _Mode]] = [
        (model, "validation" if model in taken else "serialization") for model in by_name
    ]
    keys, schemas = models_json_schema(pairs, ref_template=_REF)
    for name, schema in sorted(schemas["$defs"].items()):
        spec.components.schema(name, schema)
    return {model: keys[model, mode]["$ref"].rpartition("/")[2] for model, mode in pairs}


def _operation(route: Route, verb: str, found: Operation, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _id(route, verb),
        "summary": found.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(found), *_header_parameters(found)],
        "responses": {
            **{str(status): _answer(answer, names) for status, answer in found.answers.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in _statuses(route, verb, found)},
        },
    }
    if found.description:
        made["description"] = found.description
    if found.body is not None:
        made["requestBody"] = _body(found, names)
    if route.handler.public:
        made["security"] = []
    return made


def _id(route: Route, verb: str) -> str:
    return "-".join([verb, *(piece.strip("{}") for piece in route.template.replace(".", "-").split("/"))])


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for part in route.parts:
        pattern, about = PARTS[part]
        schema: dict[str, Any] = {"type": "string", "pattern": f"^{pattern}$", "minLength": 1}
        if part == "number":
            schema = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
        yield {"name": part, "in": "path", "required": True, "description": about, "schema": schema}


def _query_parameters(found: Operation) -> Iterator[dict[str, Any]]:
    schema = found.query.model_json_schema(ref_template=_REF)
    for name, field in schema.get("properties", {}).items():
        plain = _without_null({key: value for key, value in field.items() if key not in ("title", "description")})
        parameter = {"name": name, "in": "query", "schema": plain, "required": name in schema.get("required", [])}
        yield parameter | ({"description": field["description"]} if "description" in field else {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: it leaves a name out."""
    kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    return schema | (kinds[0] if kinds else {})


def _header_parameters(found: Operation) -> Iterator[dict[str, Any]]:
    for name, about in found.headers.items():
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        yield {"name": name, "in": "header", "required": False, "description": about, "schema": schema}


def _body(found: Operation, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    body = found.body
    if body is None:
        return {}
    if isinstance(body, Raw):
        content = {body.media: {"schema": {"type": "string", "description": body.description}}}
        return {"required": True, "content": content}
    reference = {"schema": {"$ref": _REF.format(model=names[body.model])}}
    content = {JSON: reference}
    if body.files:
        content[MULTIPART] = {"schema": _form(body.model, body.files)}
    return {"required": not body.optional, "content": content}


def _form(model: type[BaseModel], files: tuple[str, ...]) -> dict[str, Any]:
    """Return the schema of a form: the model's, with its files as files, and nothing that is null."""
    schema = model.model_json_schema(ref_template=_REF)
    fields = {name: _without_null(dict(field)) for name, field in schema["properties"].items()}
    for name in files:
        fields[name] = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {**schema, "title": f"{schema['title']}Form", "properties": fields}


def _answer(answer: Answer, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": answer.description}
    if answer.model is not None:
        made["content"] = {JSON: {"schema": {"$ref": _REF.format(model=names[answer.model])}}}
    if answer.media:
        made["content"] = {
            media: {} if "json" in media or "yaml" in media else {"schema": {"type": "string"}}
            for media in answer.media
        }
    if answer.headers:
        made["headers"] = {
            name: {"description": about, "schema": {"type": "string"}} for name, about in answer.headers.items()
        }
    return made


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _PROBLEMS[status],
        "content": {PROBLEM: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }


def _statuses(route: Route, verb: str, found: Operation) -> list[int]:
    statuses = {400, 422, 500, *found.problems}
    if not route.handler.public:
        statuses |= {401, 403, 503}
    if route.parts:
        statuses.add(404)
    if found.body is not None:
        statuses |= {413, 415}
    if verb == "get" and any(answer.media for answer in found.answers.values()):
        statuses.add(416)
    return sorted(statuses)
