"""Files of all three kinds are read strictly; what is wrong is told by line and field, with the nearest known name."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from hub_ext.catalog.documents import FileProblem, parse
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import Enclave, PolicyRules

PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: standard, version: 1, title: Standard, owner: platform-team}
spec:
  description: For tests.
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 2}, memory: {request: 1Gi, limit: 4Gi}}
  options:
    memory:
      title: Memory
      type: quantity
      choices: [2Gi, 4Gi]
      default: 4Gi
      sets: resources.memory.limit
  network:
    egress:
      - {namespace: data, ports: [443]}
"""
RULES = """\
apiVersion: hub-ext/v1
kind: PolicyRules
metadata: {name: ours, title: Ours, owner: platform-team}
rules:
  - id: small
    title: Small
    "on": request
    severity: warn
    controls: [SC-6]
    message: Too large.
    cel: request.cpu <= 2.0
"""
ENCLAVE = """\
apiVersion: hub-ext/v1
kind: Enclave
metadata: {name: low, title: Low side, owner: platform-team}
spec:
  domain: open
  registries: [registry.low]
  largest: {cpu: 16, memory: 64Gi}
"""


def wrong(text: str, model: type[BaseModel]) -> list[str]:
    found = parse(text, "file.yaml", model)
    assert isinstance(found, list), found
    return [str(problem) for problem in found]


@pytest.mark.parametrize(("text", "model"), [(PROFILE, Profile), (RULES, PolicyRules), (ENCLAVE, Enclave)])
def test_a_good_file_is_read(text: str, model: type[BaseModel]) -> None:
    assert isinstance(parse(text, "file.yaml", model), model)


@pytest.mark.parametrize(
    ("text", "model", "old", "new", "told"),
    [
        (PROFILE, Profile, "image:", "imge:", "file.yaml:6: spec.imge: is not known here; did you mean image?"),
        (PROFILE, Profile, "limit: 2}", "limt: 2}", "file.yaml:7: spec.resources.cpu.limt: is not known here; did you"),
        (PROFILE, Profile, "title: Memory", "titel: Memory", "spec.options.memory.titel: is not known here; did you"),
        (PROFILE, Profile, "type: quantity", "type: quantty", "file.yaml:11: spec.options.memory.type: "),
        (PROFILE, Profile, "type: quantity", "type: quantty", "did you mean quantity?"),
        (PROFILE, Profile, "ports:", "port:", "file.yaml:17: spec.network.egress.0.port: is not known here; did you"),
        (PROFILE, Profile, "kind: Profile", "kind: Profil", "file.yaml:2: kind: Input should be 'Profile'; did you"),
        (PROFILE, Profile, "network:", "zebra:", "file.yaml:15: spec.zebra: is not known here; take it out"),
        (RULES, PolicyRules, "severity: warn", "severty: warn", "file.yaml:8: rules.0.severty: is not known here; did"),
        (RULES, PolicyRules, '"on": request', '"on": requst', "did you mean request?"),
        (RULES, PolicyRules, "request.cpu <= 2.0", "request.cpu <=", "file.yaml:11: rules.0.cel: does not parse"),
        (RULES, PolicyRules, "request.cpu <= 2.0", "object.kind == ''", "rules.0.cel: refers to object; known are req"),
        (RULES, PolicyRules, "request.cpu <= 2.0", "size(request.user) > 1", "rules.0.cel: size() counts bytes"),
        (RULES, PolicyRules, "[SC-6]", "[]", "file.yaml:9: rules.0.controls: "),
        (ENCLAVE, Enclave, "registries:", "registrys:", "file.yaml:6: spec.registrys: is not known here; did you mean"),
        (ENCLAVE, Enclave, "memory: 64Gi", "memory: lots", "file.yaml:7: spec.largest.memory: must be a size"),
        (ENCLAVE, Enclave, "domain: open", "domain: open\n\tx: 1", "file.yaml:6: is not YAML: a tab stands where"),
        (ENCLAVE, Enclave, "domain: open", "domain: open\n  domain: shut", "file.yaml:6: is not YAML: the key"),
        (ENCLAVE, Enclave, "domain: open", "domain: &a open\n  storage_class: *a", "file.yaml:6: is not YAML: aliases"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_would_be_right(
    text: str, model: type[BaseModel], old: str, new: str, told: str
) -> None:
    assert any(told in problem for problem in wrong(text.replace(old, new, 1), model))


@pytest.mark.parametrize("model", [Profile, PolicyRules, Enclave])
def test_a_file_of_another_kind_is_told_as_such(model: type[BaseModel]) -> None:
    for text in (PROFILE, RULES, ENCLAVE):
        found = parse(text, "file.yaml", model)
        if isinstance(found, list):
            assert any("kind: " in str(problem) for problem in found)


def test_a_problem_is_shown_with_its_place() -> None:
    assert str(FileProblem("a.yaml", "is wrong", 3)) == "a.yaml:3: is wrong"
    assert str(FileProblem("a.yaml", "is wrong")) == "a.yaml: is wrong"
