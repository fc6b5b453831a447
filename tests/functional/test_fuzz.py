"""schemathesis asks the running API what its own description allows, and much that it does not.

No answer may be a 5xx, none may be one that the description does not know. Streams are left out: they have no end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import nbformat
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, checks

from hub_ext.web.api.openapi import document

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

API = "/services/workflows/api/v1"
NAME = "to-be-fuzzed"
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: to-be-fuzzed, version: 1, title: To be fuzzed, owner: clara}
spec:
  description: Nobody may use it.
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 1}, memory: {request: 1Gi, limit: 2Gi}}
"""

# Their tests are made when this one runs, not in every worker when it collects: that takes five seconds of processor.
schema = schemathesis.pytest.from_fixture("described").exclude(path_regex="events$")

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.ignored_auth,
]


@dataclass(frozen=True)
class Target:
    """The API, and what is there to be found."""

    url: str
    headers: dict[str, str]
    parts: dict[str, Any]


@pytest.fixture
def described(request: pytest.FixtureRequest) -> Any:
    """The API as it describes itself."""
    request.node._nodeid = request.node.nodeid  # schemathesis names each operation there, and pytest 9.2 has it no more
    return schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def target(platform: Any) -> Iterator[Target]:
    headers = {"Authorization": f"token {platform.token('clara')}"}  # a curator: the acts on the catalog answer her
    with httpx.Client(base_url=platform.url, headers=headers, timeout=60, trust_env=False) as client:
        cell = nbformat.v4.new_code_cell("n: int = 1", id="one", metadata={"tags": ["parameters"]})
        notebook = dict(nbformat.v4.new_notebook(cells=[cell]))
        made = client.post(f"{API}/workflows", json={"name": NAME, "notebook": notebook})
        assert made.status_code in (200, 201), made.text
        run = client.post(f"{API}/workflows/clara/{NAME}/runs", json={}).json()["id"]
        proposed = client.post(f"{API}/profiles/{NAME}/versions", json={"content": PROFILE})
        assert proposed.status_code in (200, 201), proposed.text
        yield Target(f"{platform.url}{API}", headers, {"owner": "clara", "name": NAME, "run_id": run, "number": 1})
        for item in client.get(f"{API}/runs", params={"limit": 100, "state": "queued"}).json()["items"]:
            client.post(f"{API}/runs/{item['id']}/cancel")


@schema.parametrize()
@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_description(case: Case, target: Target) -> None:
    for part, made_up in (case.path_parameters or {}).items():
        if part in target.parts and len(str(made_up)) % 2:  # half of them at something that is there
            case.path_parameters[part] = target.parts[part]
    case.call_and_validate(base_url=target.url, headers=target.headers, checks=CHECKS)
