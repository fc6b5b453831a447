"""The catalog by REST: proposed, checked, judged, explained, ended; and what is sent in bad faith or at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub_ext.catalog.documents import LARGEST
from hub_ext.governance.curation import read_profile
from hub_ext.web.api.routes import BASE
from tests.functional.conftest import Platform

pytestmark = [pytest.mark.functional]

API = f"/services/workflows/{BASE}"
SOON = (datetime.now(UTC) + timedelta(days=20)).isoformat()
PROFILE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: {version}, title: Rivers, owner: river-team}}
spec:
  description: For rivers.
  access: {{groups: [{group}]}}
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: 1}}, memory: {{request: 1Gi, limit: {memory}}}}}
  options:
    memory: {{title: Memory, type: quantity, choices: [{memory}, 4Gi], default: {memory}, sets: resources.memory.limit}}
"""


def text(name: str, version: int = 1, *, memory: str = "2Gi", group: str = "river-people") -> str:
    return PROFILE.format(name=name, version=version, memory=memory, group=group)


class Caller:
    """Somebody with a token."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.name = name
        self._client = platform.api(name)

    def ask(self, verb: str, path: str, status: int, **options: Any) -> Any:
        answer = self._client.request(verb, API + path, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def propose(self, content: str, status: int = 201) -> Any:
        name = read_profile(content).name
        return self.ask("POST", f"profiles/{name}/versions", status, json={"content": content})

    def judge(self, found: dict[str, Any], status: int = 200, verdict: str = "approve", comment: str = "") -> Any:
        body = {"verdict": verdict, "digest": found["digest"], "comment": comment}
        return self.ask("POST", f"profiles/{found['name']}/versions/{found['version']}/approvals", status, json=body)


@pytest.fixture(scope="module")
def clara(platform: Platform) -> Caller:
    """A curator."""
    return Caller(platform, "clara")


@pytest.fixture(scope="module")
def admin(platform: Platform) -> Caller:
    """Another one."""
    return Caller(platform, "admin")


@pytest.fixture(scope="module")
def nora(platform: Platform) -> Caller:
    """An analyst."""
    return Caller(platform, "nora")


def test_from_a_text_to_a_version_that_can_be_started_and_to_its_end(
    clara: Caller, admin: Caller, nora: Caller
) -> None:
    first = clara.propose(text("rivers"))
    assert (first["state"], first["author"], first["created"]) == ("proposed", "clara", True)
    assert clara.propose(text("rivers"), 200)["created"] is False
    own = clara.judge(first, 403)
    assert own["detail"] == "You proposed this version yourself."
    assert admin.judge(first)["state"] == "approved"
    assert nora.ask("GET", "profiles/rivers", 200)["usable"] is False

    second = clara.propose(text("rivers", 2, memory="3Gi", group="everybody-else"))
    shown = admin.ask("GET", "profiles/rivers/versions/2", 200)
    assert "Members of everybody-else may use it." in shown["diff"]["further"]
    lines = {(one["path"], one["before"], one["after"]) for one in shown["diff"]["changes"] if one["object"] == "Pod"}
    assert ("spec.containers[notebook].resources.limits.memory", "2Gi", "3Gi") in lines
    assert shown["findings"] == []
    refused = admin.judge(second, 422, "refuse")
    assert refused["errors"][0]["field"] == "comment"
    admin.judge(second, verdict="refuse", comment="Too wide.")
    admin.judge(second, comment="We talked about it.")
    newest = clara.ask("GET", "profiles/rivers/versions/newest", 200)
    assert (newest["version"], newest["state"]) == (2, "approved")
    assert [one["comment"] for one in newest["approvals"]] == ["We talked about it."]
    back = clara.ask("GET", "profiles/rivers/versions/1?against=2", 200)["diff"]
    assert (back["before"]["version"], back["after"]["version"]) == (2, 1)

    end = {"removal": SOON, "successor": "rivers@2"}
    ended = clara.ask("POST", "profiles/rivers/versions/1/deprecation", 200, json=end)
    assert (ended["state"], ended["successor"]) == ("deprecated", "rivers@2")


def test_what_was_looked_at_is_what_is_approved(clara: Caller, admin: Caller) -> None:
    found = clara.propose(text("brooks"))
    wrong = admin.judge(found | {"digest": "sha256:" + "0" * 64}, 422)
    assert wrong["errors"][0]["field"] == "digest"
    body = {"verdict": "maybe", "digest": found["digest"]}
    admin.ask("POST", "profiles/brooks/versions/1/approvals", 422, json=body)


def test_two_who_judge_at_once_are_both_heard(clara: Caller, platform: Platform) -> None:
    found = clara.propose(text("twins"))
    callers = [Caller(platform, "admin"), Caller(platform, "admin")]
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda one: one._client.post(**_approval(found)), callers))
    assert sorted(one.status_code for one in answers) in ([200, 200], [200, 409])
    shown = clara.ask("GET", "profiles/twins/versions/1", 200)
    assert (shown["state"], len(shown["approvals"])) == ("approved", 1)


def _approval(found: dict[str, Any]) -> dict[str, Any]:
    path = f"{API}profiles/{found['name']}/versions/{found['version']}/approvals"
    return {"url": path, "json": {"verdict": "approve", "digest": found["digest"]}}


def test_two_contents_for_one_number_at_once_are_one_version(platform: Platform, clara: Caller) -> None:
    texts = [text("race", memory=memory) for memory in ("2Gi", "3Gi")]
    with ThreadPoolExecutor(2) as both:
        answers = list(
            both.map(
                lambda one: Caller(platform, "clara")._client.post(
                    f"{API}profiles/race/versions", json={"content": one}
                ),
                texts,
            )
        )
    assert sorted(one.status_code for one in answers) == [201, 409]
    refused = next(one for one in answers if one.status_code == 409).json()
    assert refused["hint"] == "Make this one version 2."
    assert len(clara.ask("GET", "profiles/race/versions", 200)["items"]) == 1


BOMB = "a: &a [x]\nb: &b [*a, *a]\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "must be a mapping"),
        (BOMB, "aliases (*name) are not used in profiles"),
        ("x: !!python/object:os.system {}", "tags (!name) are not used in profiles"),
        ("[" * 5000, "nested too deeply"),
        ("kind: Profile\nkind: Profile\n", "the key 'kind' is there twice"),
        ("kind:\n\t- Profile", "a tab stands where spaces must"),
        ("#" * (LARGEST + 1), "is larger than 256 KiB"),
        ("- 1\n- 2", "must be a mapping"),
        (text("bad").replace("limit: 1}", "limit: 0.1}"), "request must not be more than limit"),
        (text("bad").replace("default: 2Gi", "default: 8Gi"), "default '8Gi' is not one of 2Gi, 4Gi"),
        (text("bad").replace("owner: river-team", "owner: river-team, colour: blue"), "is not known here"),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_no_profile_is_refused_by_line_and_nothing_is_kept(clara: Caller, content: str, told: str) -> None:
    for path in ("profiles/bad/versions", "profile-checks"):
        problem = clara.ask("POST", path, 422, json={"content": content})
        assert told in problem["detail"], problem
    assert clara.ask("GET", "profiles/bad/versions", 200)["items"] == []


def test_a_file_is_proposed_under_its_own_name(clara: Caller) -> None:
    problem = clara.ask("POST", "profiles/lakes/versions", 422, json={"content": text("seas")})
    assert "metadata.name says seas" in problem["detail"]


def test_what_ships_is_no_proposal_and_its_number_is_taken(clara: Caller) -> None:
    content = text("standard")
    problem = clara.ask("POST", "profiles/standard/versions", 409, json={"content": content})
    assert problem["hint"] == "Make this one version 2."


def test_a_draft_is_checked_and_nothing_is_kept(clara: Caller) -> None:
    draft = clara.ask("POST", "profile-checks", 200, json={"content": text("marsh", memory="512Gi")})
    assert [one["rule"] for one in draft["findings"]] == ["memory-limit"]
    assert (draft["next"], draft["diff"]["before"]) == (1, None)
    clara.ask("GET", "profiles/marsh/versions/1", 404)


def test_what_breaks_a_rule_cannot_be_approved_until_an_exception_allows_it(clara: Caller, admin: Caller) -> None:
    found = clara.propose(text("delta", memory="512Gi"))
    checked = clara.ask("GET", "profiles/delta/versions/1/checks", 200)
    assert (checked["passed"], checked["findings"][0]["rule"]) == (False, "memory-limit")
    problem = admin.judge(found, 409)
    assert problem["errors"][0]["field"] == "memory-limit"
    wish = {"profile": "delta", "rule": "memory-limit", "reason": "One flood.", "until": SOON, "users": ["nora"]}
    wrong = clara.ask("POST", "exceptions", 422, json=wish | {"rule": "memory-limits", "until": "yesterday"})
    assert wrong["errors"][0]["field"] == "until"
    wrong = clara.ask("POST", "exceptions", 422, json=wish | {"rule": "memory-limits", "users": ["clara"]})
    assert {one["field"] for one in wrong["errors"]} == {"rule", "users"}
    granted = clara.ask("POST", "exceptions", 201, json=wish)
    assert (granted["owner"], granted["users"]) == ("clara", ["nora"])
    assert admin.judge(found)["state"] == "approved"
    path = f"exceptions/{granted['id']}/revocation"
    clara.ask("POST", path, 422, json={"reason": " "})
    assert admin.ask("POST", path, 200, json={"reason": "The flood is over."})["revoked_by"] == "admin"
    admin.ask("POST", path, 409, json={"reason": "Again."})
    listed = clara.ask("GET", "exceptions?ended=true", 200)["items"]
    assert granted["id"] in [one["id"] for one in listed]
    assert granted["id"] not in [one["id"] for one in clara.ask("GET", "exceptions", 200)["items"]]


def test_a_rendering_is_exact_and_each_line_has_its_reason(clara: Caller) -> None:
    path = "profiles/standard/versions/1/rendering"
    found = clara.ask("POST", path, 200, json={"options": {"memory": "8Gi"}, "user": "nora"})
    assert found["objects"][0]["kind"] == "Namespace"
    pod = next(number for number, one in enumerate(found["objects"]) if one["kind"] == "Pod")
    where = "spec.containers[notebook].resources.limits.memory"
    assert found["reasons"][pod][where] == "option memory=8Gi"
    assert "# option memory=8Gi" in found["yaml"]
    assert found["broken"] == []
    run = clara.ask("POST", path, 200, json={"purpose": "run"})
    assert run["objects"][-1]["kind"] == "Job"
    assert clara.ask("POST", path, 200)["values"] == {"memory": "4Gi", "idle": 60}
    wrong = clara.ask("POST", path, 422, json={"options": {"memory": "5Gi", "x": [1]}})
    assert {one["field"] for one in wrong["errors"]} == {"options.memory", "options.x"}


def test_everybody_may_ask_about_herself(nora: Caller) -> None:
    found = {one["profile"]: one for one in nora.ask("GET", "explanations", 200)["items"]}
    assert found["standard"]["allowed"]
    assert not found["machine-learning"]["allowed"]
    assert found["machine-learning"]["reasons"][0]["ask"] == "modelling-team"
    one = nora.ask("GET", "explanations?profile=machine-learning", 200)["items"][0]
    assert any(part["about"] == "group" and not part["holds"] for part in one["parts"])
    nora.ask("GET", "explanations?user=clara", 403)
    nora.ask("GET", "explanations?user=nobody-at-all", 403)


@pytest.mark.parametrize("name", ["nobody-at-all", "..", ".", "../groups", "%2e%2e", "a/b", "?", "#", "%00"])
def test_a_curator_asks_about_whom_the_hub_knows(clara: Caller, nora: Caller, name: str) -> None:
    nora.ask("GET", "explanations", 200)  # she has signed in
    found = clara.ask("GET", "explanations", 200, params={"user": "nora", "profile": "standard"})["items"]
    assert found[0]["sentence"] == "nora may start Standard analysis now."
    problem = clara.ask("GET", "explanations", 404, params={"user": name})
    assert "knows nobody" in problem["detail"]


def test_all_versions_come_page_by_page(clara: Caller) -> None:
    for version in (1, 2, 3):
        clara._client.post(f"{API}profiles/pages/versions", json={"content": text("pages", version)})
    found: list[tuple[str, int]] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = clara.ask("GET", "profile-versions", 200, params=query)
        found += [(one["name"], one["version"]) for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == sorted(set(found))
    assert {("pages", 1), ("pages", 2), ("pages", 3), ("standard", 1)} <= set(found)
    clara.ask("GET", "profile-versions?cursor=x", 422)


def test_a_file_reads_back_to_the_same_version(clara: Caller) -> None:
    proposed = clara.propose(text("round-trip"))
    answer = clara._client.get(f"{API}profiles/round-trip/versions/1/file")
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="round-trip-1.yaml"'
    assert read_profile(answer.text).digest == proposed["digest"]


def test_a_withdrawn_proposal_is_no_proposal(clara: Caller, admin: Caller) -> None:
    found = clara.propose(text("gone"))
    path = "profiles/gone/versions/1/withdrawal"
    assert clara.ask("POST", path, 200, json={})["state"] == "withdrawn"
    clara.ask("POST", path, 409)
    admin.judge(found, 409)
    assert clara.propose(text("gone"))["state"] == "proposed"
    assert admin.ask("POST", path, 200)["state"] == "withdrawn"


@pytest.mark.parametrize(
    "removal", ["2020-01-01", "tomorrow", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
def test_an_end_is_a_time_to_come(clara: Caller, admin: Caller, removal: str) -> None:
    clara._client.post(f"{API}profiles/ends/versions", json={"content": text("ends")})
    admin._client.post(**_approval({"name": "ends", "version": 1, "digest": read_profile(text("ends")).digest}))
    problem = clara.ask("POST", "profiles/ends/versions/1/deprecation", 422, json={"removal": removal})
    assert problem["errors"][0]["field"] == "removal"


def test_the_state_of_the_catalog_is_told(clara: Caller) -> None:
    found = clara.ask("GET", "catalog", 200)
    assert found["snapshot"].startswith("sha256:")
    assert (found["enclave"], found["required"], found["problems"]) == ("local", 1, [])
    rules = clara.ask("GET", "policy/rules", 200)["items"]
    assert len(rules) >= 25
    assert {one["owner"] for one in rules} == {"platform-team"}


def test_every_act_and_every_attempt_is_on_record(clara: Caller, nora: Caller, admin: Caller) -> None:
    clara.propose(text("recorded"))
    nora.ask("POST", "profiles/recorded/versions", 403, json={"content": text("recorded", 2)})
    found = admin.ask("GET", "audit", 200, params={"object": "profile:recorded@1"})["items"]
    assert [(one["actor"], one["action"], one["outcome"]) for one in found] == [("clara", "profile.propose", "allowed")]
    denied = admin.ask("GET", "audit", 200, params={"actor": "nora", "action": "profile.propose"})["items"]
    assert denied[0]["outcome"] == "denied"


def test_no_answer_is_cached_for_others(clara: Caller) -> None:
    answer: httpx.Response = clara._client.get(f"{API}catalog")
    assert answer.headers["Cache-Control"] == "no-cache, private"
