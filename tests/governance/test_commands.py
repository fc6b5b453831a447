"""A curator's day by command line alone: check, render, propose, approve, explain, deprecate; and the policy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from hub_ext.db.session import Database
from hub_ext.settings import HubExt, shipped
from tests.governance.conftest import profile_text

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(settings: HubExt, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Arguments for the state folder of a platform with an empty catalog, and three curators."""
    monkeypatch.setenv("HUB_EXT_PROFILES_DIR", str(folder))
    monkeypatch.setenv("HUB_EXT_DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("HUB_EXT_ROLES", "cleo=curator,eva=curator,uma=curator,ben=reviewer")
    monkeypatch.setenv("HUB_EXT_APPROVALS_REQUIRED", "2")
    return ["--state", settings.state]


# --- check -----------------------------------------------------------------------------------------------------------


def test_what_ships_passes(run: Run) -> None:
    code, printed, _ = run("profiles", "check")
    assert code == 0
    assert "4 versions of 4 profiles, 57 rules, 0 problems, 0 warnings" in printed


@pytest.fixture
def wrong(folder: Path, put: Any) -> Path:
    """A folder with a file that cannot be read, one that breaks a rule, and a rule that runs for ever."""
    put(profile_text().replace("image:", "imge:"))
    put(profile_text("rivers", memory="128Gi"), "rivers/1.yaml")
    return folder


def test_what_is_wrong_is_told_by_file_line_and_rule(run: Run, wrong: Path) -> None:
    code, printed, told = run("profiles", "check", wrong)
    assert code == 1
    assert "maps/1.yaml:7: deny: file: spec.imge: is not known here; did you mean image?" in told
    assert "rivers/1.yaml: deny: memory-limit: " in told
    assert "There are no rules in _policy: the baseline that ships holds." in printed


@pytest.mark.parametrize("kind", ["json", "sarif", "junit", "text"])
def test_reports_are_printed_or_written(run: Run, wrong: Path, tmp_path: Path, kind: str) -> None:
    code, printed, _ = run("profiles", "check", wrong, "--format", kind)
    path = tmp_path / "report"
    assert run("profiles", "check", wrong, "--format", kind, "--output", path)[0] == code == 1
    if kind == "text":
        assert "rivers/1.yaml: deny: memory-limit" in path.read_text()
        return
    assert path.read_text() == printed
    if kind == "junit":
        assert ET.fromstring(printed).attrib["failures"] == "2"
    elif kind == "sarif":
        found = json.loads(printed)["runs"][0]["results"]
        place = found[1]["locations"][0]["physicalLocation"]
        assert place == {"artifactLocation": {"uri": "maps/1.yaml"}, "region": {"startLine": 7}}
    else:
        assert [one["rule"] for one in json.loads(printed)["findings"]] == ["file", "file", "memory-limit"]


def test_a_rule_that_runs_for_ever_is_told(run: Run, folder: Path, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub_ext.catalog.timing._PATIENCE", 2.0)
    numbers = "[1,2,3,4,5,6,7,8,9]"
    text = "".join(f"{numbers}.all({name}, " for name in "abcdefgh") + "a > 0" + ")" * 8
    about = "apiVersion: hub-ext/v1\nkind: PolicyRules\nmetadata: {name: ours, title: Ours, owner: us}\nrules:\n"
    rule = f'  - {{id: endless, title: Endless, "on": pod, controls: [CM-7], message: No., cel: "{text}"}}\n'
    put(about + rule, "_policy/ours.yaml")
    code, _, told = run("profiles", "check", folder)
    assert code == 1
    assert "_policy: deny: file: the rule endless runs for ever" in told


def test_the_hook_for_pre_commit_runs_the_check() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    command = [str(Path(sys.executable).parent / "hub-ext"), *hook["entry"].split()[1:], *hook["args"]]
    done = subprocess.run(command, cwd=shipped("profiles"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 problems" in done.stdout


# --- render, diff ----------------------------------------------------------------------------------------------------


def test_render_prints_what_a_start_makes(run: Run) -> None:
    code, printed, _ = run("profiles", "render", "large-memory", "--option", "memory=16Gi", "--user", "amy")
    assert code == 0
    made = list(yaml.safe_load_all(printed))
    assert [one["kind"] for one in made][-1] == "Pod"
    assert made[-1]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "16Gi"
    assert made[0]["metadata"]["name"] == "hub-ext-amy"
    explained = run("profiles", "render", "large-memory", "-o", "memory=16Gi", "--user", "amy", "--explain")[1]
    assert list(yaml.safe_load_all(explained)) == made
    assert "# option memory=16Gi" in explained
    as_json = json.loads(run("profiles", "render", "large-memory@1", "-o", "memory=16Gi", "--user", "amy", "--json")[1])
    assert as_json["objects"] == made


def test_render_of_a_run_is_a_job_and_a_file_can_be_rendered(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    path.write_text(profile_text(memory="128Gi"))
    code, printed, told = run("profiles", "render", path, "--purpose", "run", "--name", "l-01")
    assert (code, list(yaml.safe_load_all(printed))[-1]["kind"]) == (1, "Job")
    assert told.startswith("deny: memory-limit:")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["standrad"], 3, "Did you mean standard?"),
        (["standard", "--version", "9"], 3, "There is no profile 'standard@9'"),
        (["standard", "-o", "memory=9Gi"], 2, "Memory cannot be 9Gi; it can be one of"),
        (["standard", "-o", "memory"], 2, "is not NAME=VALUE"),
        (["standard", "-o", "idle=soon"], 2, "must be a whole number"),
        (["nothing.yaml"], 2, "cannot be read: FileNotFoundError"),
    ],
)
def test_render_says_what_it_cannot(run: Run, arguments: list[str], code: int, told: str) -> None:
    found = run("profiles", "render", *arguments)
    assert found[0] == code
    assert told in found[2]


def test_diff_shows_what_servers_would_become(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "2.yaml"
    text = (shipped("profiles") / "large-memory" / "1.yaml").read_text()
    path.write_text(text.replace("version: 1", "version: 2").replace("16Gi]", "16Gi, 32Gi]"))
    code, printed, _ = run("profiles", "diff", "large-memory@1", path)
    assert code == 0
    assert "memory was one of 8Gi, 12Gi, 16Gi and is one of 8Gi, 12Gi, 16Gi, 32Gi." in printed
    assert "Reaches further: It can have more memory: 32 GB in place of 16 GB." in printed
    assert json.loads(run("profiles", "diff", "large-memory", path, "--json")[1])["further"]
    assert "Nothing would change." in run("profiles", "diff", "standard", "standard@1")[1]


def test_the_schemas_of_all_files_are_printed(run: Run) -> None:
    titles = [
        json.loads(run("profiles", "schema", "--kind", kind)[1])["title"] for kind in ("profile", "policy", "enclave")
    ]
    assert titles == ["Profile", "PolicyRules", "Enclave"]


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_curators_day(run: Run, state: list[object], put: Any) -> None:
    assert "There are no profiles." in run("profiles", "list", *state, "--as", "cleo")[1]
    path = put(profile_text())
    code, printed, _ = run("profiles", "propose", path, "--message", "New.", *state, "--as", "cleo")
    assert (code, "maps@1 is proposed" in printed, "0 of 2 approvals." in printed) == (0, True, True)
    shown = json.loads(run("profiles", "show", "maps@1", *state, "--as", "eva", "--json")[1])
    digest = shown["digest"]
    code, _, told = run("profiles", "approve", "maps@1", "--digest", digest, *state, "--as", "cleo")
    assert (code, "You proposed this version yourself." in told) == (3, True)
    assert "1 of 2" in run("profiles", "approve", "maps@1", "--digest", digest, *state, "--as", "eva")[1]
    approved = run("profiles", "approve", "maps@1", "--digest", digest, *state, "--as", "uma")
    assert "maps@1 is approved" in approved[1]
    code, printed, _ = run("profiles", "explain", "ann", "maps", "--group", "analysts", *state, "--as", "eva")
    assert (code, "ann may start Maps now." in printed) == (0, True)
    assert "which is approved by eva and uma." in printed
    second = put(profile_text(version=2, memory="8Gi"), "maps/2.yaml")
    run("profiles", "propose", second, *state, "--as", "cleo")
    printed = run("profiles", "show", "maps@2", *state, "--as", "eva")[1]
    assert "Reaches further: It can have more memory: 8 GB in place of 4 GB." in printed
    refused = run("profiles", "refuse", "maps@2", "--comment", "Too much.", *state, "--as", "eva")
    assert refused[0] == 0
    assert "eva refuses it: Too much." in run("profiles", "show", "maps@2", *state, "--as", "uma")[1]
    assert "withdrawn" in run("profiles", "withdraw", "maps@2", *state, "--as", "cleo")[1]
    ended = run("profiles", "deprecate", "maps@1", "--removal", "2099-01-31", *state, "--as", "uma")
    assert "maps@1 is deprecated" in ended[1]
    listed = json.loads(run("profiles", "list", *state, "--as", "ben", "--json")[1])
    assert [(one["version"], one["state"]) for one in listed] == [(1, "deprecated"), (2, "withdrawn")]


def test_an_approval_is_of_what_was_looked_at(run: Run, state: list[object], put: Any) -> None:
    run("profiles", "propose", put(profile_text()), *state, "--as", "cleo")
    code, _, told = run("profiles", "approve", "maps@1", "--digest", "sha256:" + "0" * 64, *state, "--as", "eva")
    assert code == 2
    assert "is not that of maps@1, which is sha256:" in told


@pytest.mark.parametrize("who", ["nobody", "ben"])
def test_who_is_no_curator_changes_nothing(run: Run, state: list[object], put: Any, who: str) -> None:
    path = put(profile_text())
    assert run("profiles", "propose", path, *state, "--as", who)[0] == 3
    assert run("profiles", "list", *state, "--as", who)[0] == (3 if who == "nobody" else 0)


@pytest.mark.backends("sqlite")
def test_without_a_platform_or_a_state_folder_it_says_so(run: Run, state: list[object], tmp_path: Path) -> None:
    assert run("profiles", "list")[0] == 3
    assert run("profiles", "list", "--as", "cleo")[0] == 2
    code, _, told = run("profiles", "list", "--state", tmp_path, "--as", "cleo")
    assert (code, "There is no database in this state folder." in told) == (3, True)


@pytest.mark.parametrize("version", ["maps", "maps@", "maps@x", "maps@1e9", "@1 ", "maps@99999999999"])
def test_a_version_is_a_name_and_a_number(run: Run, state: list[object], version: str) -> None:
    assert run("profiles", "withdraw", version, *state, "--as", "cleo")[0] == 2


# --- policy ----------------------------------------------------------------------------------------------------------


def test_the_rules_are_listed_with_their_controls(run: Run) -> None:
    found = json.loads(run("policy", "list", "--json")[1])
    assert len(found) == 57
    assert all(rule["controls"] and rule["message"] for rule in found)
    assert "no-privileged" in run("policy", "list")[1]


def test_the_export_is_what_kubectl_takes(run: Run) -> None:
    found = list(yaml.safe_load_all(run("policy", "export", "--account", "system:serviceaccount:a:b")[1]))
    assert [one["kind"] for one in found] == ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] * 4
    assert json.loads(run("policy", "export", "--account", "system:serviceaccount:a:b", "--json")[1]) == found


def test_exceptions_are_granted_listed_and_revoked(run: Run, state: list[object], put: Any) -> None:
    run("profiles", "propose", put(profile_text(memory="128Gi")), *state, "--as", "cleo")
    until = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
    arguments = ["policy", "except", "maps", "memory-limit", "--until", until, "--reason", "Floods.", "--group", "gis"]
    assert "need not meet memory-limit until" in run(*arguments, *state, "--as", "eva")[1]
    (found,) = json.loads(run("policy", "exceptions", *state, "--as", "ben", "--json")[1])
    assert (found["groups"], found["owner"], found["reason"]) == (["gis"], "eva", "Floods.")
    assert "Floods." in run("policy", "exceptions", *state, "--as", "ben")[1]
    assert "is over" in run("policy", "revoke", found["id"], "--reason", "Dry.", *state, "--as", "uma")[1]
    assert "There are no exceptions." in run("policy", "exceptions", *state, "--as", "ben")[1]
    assert len(json.loads(run("policy", "exceptions", "--ended", *state, "--as", "ben", "--json")[1])) == 1
