"""The description of the API is complete, valid and current."""

from __future__ import annotations

import json
from typing import Any

import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from hub_ext.web.api.description import FILE
from hub_ext.web.api.openapi import document
from hub_ext.web.api.operation import declared_by
from hub_ext.web.api.routes import PARTS, ROUTES, VERBS, routes
from hub_ext.web.base import BaseHandler


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def operations(described: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{verb} {path}", operation) for path, verbs in described["paths"].items() for verb, operation in verbs.items()
    ]


def test_it_is_valid(described: dict[str, Any]) -> None:
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(described)] == []


def test_the_file_is_current(described: dict[str, Any]) -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(described))


def test_every_method_of_every_handler_is_described(described: dict[str, Any]) -> None:
    for route in ROUTES:
        for verb in VERBS:
            written = getattr(route.handler, verb) is not getattr(BaseHandler, verb)
            assert written == (declared_by(route.handler, verb) is not None), f"{verb} {route.template}"
            assert written == (verb in described["paths"][f"/{route.template}"]), f"{verb} {route.template}"


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                _, kind, name = reference.removeprefix("#/").split("/")
                assert name in described["components"][kind], reference
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(described)


def test_operations_have_ids_of_their_own_and_say_what_they_do(described: dict[str, Any]) -> None:
    found = operations(described)
    assert len({operation["operationId"] for _, operation in found}) == len(found)
    assert all(operation["summary"] for _, operation in found)


def test_what_needs_a_sign_in_says_so(described: dict[str, Any]) -> None:
    public = {name for name, operation in operations(described) if operation.get("security") == []}
    assert public == {"get /health", "get /openapi.json"}
    for name, operation in operations(described):
        assert ("401" in operation["responses"]) == (name not in public), name


def test_every_part_of_an_address_is_a_parameter(described: dict[str, Any]) -> None:
    for route in ROUTES:
        assert set(route.parts) <= set(PARTS)
        for operation in described["paths"][f"/{route.template}"].values():
            parameters = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert parameters == route.parts


def test_addresses_are_matched_to_their_end() -> None:
    patterns = {spec.handler_class.__name__: spec.regex for spec in routes("/services/workflows/")}
    base = "/services/workflows/api/v1/"
    assert patterns["OneRun"].match(f"{base}runs/r-1")
    assert not patterns["OneRun"].match(f"{base}runs/r-1/")
    assert not patterns["OneRun"].match(f"{base}runs/r-1/report")
    assert not patterns["OneVersion"].match(f"{base}workflows/a/b/versions/0")
    assert not patterns["OneVersion"].match(f"{base}workflows/a/b/versions/one")
    found = patterns["OneArtifact"].match(f"{base}runs/r-1/artifacts/a/b%2Fc.csv")
    assert found
    assert found.groupdict() == {"run_id": "r-1", "path": "a/b%2Fc.csv"}
    owner = patterns["OneWorkflow"].match(f"{base}workflows/a%2Fb/name")
    assert owner
    assert owner.groupdict() == {"owner": "a%2Fb", "name": "name"}
